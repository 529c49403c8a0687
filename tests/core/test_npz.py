import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from twinrank.data.judgements import Judgements, load_pairs

Refusal = Callable[..., str]
Outcome = Callable[[Path], Judgements | str]

X = np.random.default_rng(0).integers(0, 256, (4, 8, 16), np.uint8)
ARRAYS = {"x": X, "y": np.array([0, 1, 1, 0], np.int8), "id": np.array(["a", "b", "c", "d"])}


class Whole(NamedTuple):
    content: bytes
    scratch: Path


@pytest.fixture(scope="module", params=[np.savez, np.savez_compressed], ids=["stored", "compressed"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    file = io.BytesIO()
    request.param(file, **ARRAYS)
    return Whole(file.getvalue(), tmp_path_factory.mktemp("damaged") / "damaged.npz")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_truncated_file_is_refused(whole: Whole, refusal: Refusal, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(whole.content) - 1), "bytes kept")
    whole.scratch.write_bytes(whole.content[:kept])
    line = refusal(whole.scratch)
    assert "truncated or damaged NPZ file; copy or download it again" in line or kept < 4


@settings(max_examples=500, deadline=None, derandomize=True)
@given(data=st.data())
def test_changed_bytes_are_refused_or_change_nothing(whole: Whole, outcome: Outcome, data: st.DataObject) -> None:
    position = st.integers(0, len(whole.content) - 1)
    flips = data.draw(st.dictionaries(position, st.integers(1, 255), min_size=1, max_size=3), "flips")
    damaged = bytearray(whole.content)
    for place, bits in flips.items():
        damaged[place] ^= bits
    whole.scratch.write_bytes(damaged)
    loaded = outcome(whole.scratch)
    if isinstance(loaded, str):
        assert loaded.startswith(str(whole.scratch))
        assert len(loaded.splitlines()) == 1
        return
    np.testing.assert_array_equal(np.concatenate([loaded.xa, loaded.xb], axis=-1)[:, 0], X)
    np.testing.assert_array_equal(loaded.y, ARRAYS["y"])
    np.testing.assert_array_equal(loaded.row_ids, ARRAYS["id"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    content=st.binary(max_size=200), start=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00"])
)
def test_any_bytes_are_refused(whole: Whole, refusal: Refusal, content: bytes, start: bytes) -> None:
    whole.scratch.write_bytes(start + content)
    refusal(whole.scratch)


def member(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    npy.write_array(file, array)
    return file.getvalue()


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def test_a_path_that_does_not_exist(tmp_path: Path, refusal: Refusal) -> None:
    assert refusal(tmp_path / "none.npz").endswith("no such file or folder; check the path")


def test_a_link_to_itself(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    assert "cannot be read" in refusal(tmp_path / "loop.npz")


def test_a_name_too_long_for_the_file_system(tmp_path: Path, refusal: Refusal) -> None:
    assert "cannot be read (File name too long)" in refusal(tmp_path / f"{'n' * 300}.npz")


@pytest.mark.parametrize(
    "content", [b"", b"x,y\n1,2\n", member(X), pickle.dumps({"x": 1})], ids=["empty", "text", "npy", "pickle"]
)
def test_other_files_are_not_npz(tmp_path: Path, refusal: Refusal, content: bytes) -> None:
    path = tmp_path / "odd.npz"
    path.write_bytes(content)
    assert "not an NPZ file (not a zip archive); write it with numpy.savez_compressed" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("word/document.xml", b"<xml/>")], "'word/document.xml' is not an array; write it with numpy.savez"),
        ([("x.npy", member(X)), ("x.npy", member(X))], "key 'x' occurs 2 times; keep one"),
        ([("x.npy", b"")], "key 'x' cannot be read"),
        ([("x.npy", b"\x93NUMPY\x09\x00 later version")], "key 'x' cannot be read"),
        ([("x.npy", header((1000, 28, 56)) + X.tobytes())], "claims shape (1000, 28, 56) of uint8"),
        ([("x.npy", header((1 << 40, 28, 56)) + X.tobytes())], "bytes, but"),
        ([("x.npy", header((-4, -8, 16)) + X.tobytes())], "the file is damaged, write it again"),
        ([("x.npy", header((4, 8, 8)) + X.tobytes())], "the file is damaged, write it again"),
        ([("x.npy", header((4,), "[('" + "f" * 20_000 + "', '<f4')]"))], "key 'x' cannot be read"),
    ],
)
def test_zip_files_that_are_no_sound_npz(
    tmp_path: Path, refusal: Refusal, members: list[tuple[str, bytes]], message: str
) -> None:
    assert message in refusal(archive(tmp_path / "odd.npz", *members))


def test_an_entry_that_damage_hides_is_missed(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "hidden.npz"
    np.savez(path, **ARRAYS)
    content = bytearray(path.read_bytes())
    entries = [place for place in range(len(content)) if content.startswith(b"PK\x01\x02", place)]
    comment_length = entries[1] + 32
    content[comment_length] = content.index(b"PK\x05\x06") - entries[2]
    path.write_bytes(content)
    assert "truncated or damaged NPZ file" in refusal(path)


def test_a_comment_and_what_follows_the_archive_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "commented.npz"
    np.savez(path, **ARRAYS)
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"made by hand"
    with path.open("ab") as file:
        file.write(bytes(100))
    np.testing.assert_array_equal(load_pairs(path).row_ids, ARRAYS["id"])


def test_an_overlong_header_is_refused_without_the_advice_to_trust_pickles(tmp_path: Path, refusal: Refusal) -> None:
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4, 8, 16)}" + b" " * 20_000 + b"\n"
    content = npy.magic(1, 0) + struct.pack("<H", len(text)) + text + X.tobytes()
    line = refusal(archive(tmp_path / "long.npz", ("x.npy", content), ("y.npy", member(ARRAYS["y"]))))
    assert "key 'x' cannot be read (Header info length" in line
    assert "pickle" not in line


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


def test_nothing_is_unpickled(tmp_path: Path, refusal: Refusal) -> None:
    marker = tmp_path / "went off"
    bomb = np.array([Bomb(marker)] * 4, object)
    objects, bare, alone = tmp_path / "objects.npz", tmp_path / "bare.npz", tmp_path / "alone.npz"
    np.savez(objects, x=X, id=bomb)
    archive(bare, ("x.npy", pickle.dumps(bomb)))
    alone.write_bytes(pickle.dumps(bomb))
    assert "key 'id' holds pickled objects, which are never loaded; save it as numbers or text" in refusal(objects)
    assert "key 'x' cannot be read" in refusal(bare)
    assert "not an NPZ file" in refusal(alone)
    assert not marker.exists()
    np.load(objects, allow_pickle=True)["id"]
    assert marker.exists(), "a bomb that never goes off proves nothing"
