import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import one_pass
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import SMALL_BENCHMARK

from twinrank.benchmark.corruption import CORRUPTION, draw_corruption, render
from twinrank.benchmark.generator import (
    Drawn,
    benchmark_digits,
    drawn_split,
    is_benchmark,
    make_benchmark,
    refuse_other_benchmark,
    render_split,
)
from twinrank.benchmark.mnist import Mnist
from twinrank.benchmark.submission import check_submission
from twinrank.cli.main import main
from twinrank.config import SPLITS, BenchmarkConfig, Split
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError

X_DIGESTS = {
    "val": "d7435c974f5a97cf0cd4c21090d93296ae25fbd70d0a5aee2a49210b3b298e40",
    "test_private": "40793a34cac3c2f9f9db003568b1dadfaaa43189a30ac2eb28044a3e29415500",
    "test_public": "1f5f67c457be47ddc66a1dc35d3ba3613f11694a0e58bd04c61806a3371cea4d",
}
Y_DIGESTS = {
    "train": "923ed2a0643c14838d5213d2643bed39128d802b5e09b88fc3872a727196a71b",
    "val": "367df002f5749790b9d0cf7165d639f39c10d11d6faaf1a03e8b4212dbbf95df",
    "test_private": "1ace23375b17d75e0ead37a43c20399197313fc06197c1a3689d853e4de44ed2",
    "test_public": "3658216709cdd9010f0583629d003fc682b87a76d1963134be24ba728eb76610",
}
TRAIN_ENDS = "71148b332c2e406708a653babd30b2d9d07da22d9b6758f5d647da1627fa5d57"
"""Of the first and the last 4,000 rows of the file: all 50,000 take a quarter of a minute."""


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


@pytest.mark.parametrize("split", ["val", "test_public", "test_private"])
def test_the_benchmark_proper_is_remade_bit_for_bit(mnist: Mnist, split: Split) -> None:
    drawn = drawn_split(mnist, BenchmarkConfig(), split)
    pool = mnist.train_images if split == "val" else mnist.test_images
    assert drawn.y.dtype == np.int8
    assert sha256(drawn.y) == Y_DIGESTS[split]
    assert sha256(render_split(pool, drawn)) == X_DIGESTS[split]


def test_train_is_remade_bit_for_bit(mnist: Mnist) -> None:
    drawn = drawn_split(mnist, BenchmarkConfig(), "train")
    assert sha256(drawn.y) == Y_DIGESTS["train"]
    ends = np.r_[:4_000, 46_000:50_000]
    few = Drawn(drawn.positions[ends], drawn.classes[ends], drawn.corruptions[ends])
    assert sha256(render_split(mnist.train_images, few)) == TRAIN_ENDS


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), severity=st.integers(0, 6), row=st.integers(0, 299))
def test_drawing_first_and_rendering_after_equals_one_pass(digits: Mnist, seed: int, severity: int, row: int) -> None:
    digit = digits.train_images[row]
    first, second = random.Random(seed), random.Random(seed)
    expected = one_pass.corrupt(digit, first, severity)
    corruption = np.array([draw_corruption(second, severity)], CORRUPTION)
    np.testing.assert_array_equal(render(digit[None], corruption)[0], expected)
    assert second.getstate() == first.getstate()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32), pairs=st.integers(1, 40), weight=st.floats(0, 1))
def test_whole_splits_equal_one_pass(digits: Mnist, seed: int, pairs: int, weight: float) -> None:
    config = BenchmarkConfig(seed=seed, pairs_train=pairs, weight_diff1=weight)
    drawn = drawn_split(digits, config, "train")
    x, y = one_pass.make_split(digits.train_images, digits.train_labels, pairs, seed, weight_diff1=weight)
    np.testing.assert_array_equal(drawn.y, y)
    np.testing.assert_array_equal(render_split(digits.train_images, drawn, 1), x)


def test_the_bytes_do_not_depend_on_the_number_of_processes(digits: Mnist) -> None:
    drawn = drawn_split(digits, BenchmarkConfig(pairs_train=800, severity=4), "train")
    alone, together = (render_split(digits.train_images, drawn, jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(alone, together)


def test_progress_reaches_the_end(digits: Mnist) -> None:
    drawn = drawn_split(digits, BenchmarkConfig(pairs_val=600, severity=0), "val")
    done: list[int] = []
    render_split(digits.train_images, drawn, 1, done.append)
    assert done == sorted(done)
    assert done[-1] == 600


def test_the_files_are_those_of_the_benchmark(benchmark_folder: Path) -> None:
    assert {path.name for path in benchmark_folder.iterdir()} == {
        *(f"{split}.npz" for split in SPLITS),
        "test_public_labels.csv",
        "test_private_labels.csv",
        "meta.json",
    }
    assert json.loads((benchmark_folder / "meta.json").read_text()) == {
        "seed": 42,
        "severity": {"train": 1, "val": 1, "public": 1, "private": 1},
        "weight_diff1": 0.8,
    }
    with np.load(benchmark_folder / "train.npz") as train, np.load(benchmark_folder / "test_private.npz") as test:
        assert set(train.files) == {"x", "y"}
        assert (train["x"].dtype, train["x"].shape) == (np.uint8, (384, 28, 56))
        assert (train["y"].dtype, int(train["y"].sum())) == (np.int8, 192)
        assert set(test.files) == {"x", "id"}
        assert test["id"].tolist() == [f"PRV_{row:07d}" for row in range(60)]
    labels = (benchmark_folder / "test_public_labels.csv").read_text().splitlines()
    assert labels[0] == "id,label"
    assert labels[1].startswith("PUB_0000000,")
    assert (
        check_submission(benchmark_folder / "test_private_labels.csv", benchmark_folder / "test_private.npz").rows == 60
    )


def test_one_split_can_have_its_own_severity(digits: Mnist, tmp_path: Path) -> None:
    config = BenchmarkConfig(severity=0, severity_val=6, pairs_train=10, pairs_val=10)
    make_benchmark(digits, tmp_path, config, ["train", "val"], jobs=1)
    assert json.loads((tmp_path / "meta.json").read_text())["severity"] == {
        "train": 0,
        "val": 6,
        "public": 0,
        "private": 0,
    }
    assert not (tmp_path / "test_public.npz").exists()
    train, val = (load_pairs(tmp_path / f"{name}.npz") for name in ("train", "val"))
    black = [float((data.xa == 0).mean()) for data in (train, val)]
    assert black[0] > 0.7 > black[1], "noise leaves black only where it covers"


def test_a_folder_of_another_benchmark_is_refused(benchmark_folder: Path, tmp_path: Path) -> None:
    same = SMALL_BENCHMARK
    refuse_other_benchmark(tmp_path, same, "out")
    refuse_other_benchmark(benchmark_folder, same, "out")
    with pytest.raises(InputError, match=r"severity.private is 1, not 3\); choose another folder with `out`"):
        refuse_other_benchmark(benchmark_folder, replace(same, severity_private=3), "out")
    fewer = replace(same, pairs_val=90)
    with pytest.raises(InputError, match=r"another benchmark \(val.npz has 96 pairs, not 90\); choose another folder"):
        refuse_other_benchmark(benchmark_folder, fewer, "out")
    refuse_other_benchmark(benchmark_folder, fewer, "out", ["train"])
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(InputError, match=r"holds another benchmark \(it is \[\], not "):
        refuse_other_benchmark(tmp_path, same, "out")


def test_files_of_ones_own_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "val.npz"
    mine.write_bytes(b"mine")
    with pytest.raises(SystemExit) as stopped:
        main(["run", "demo", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "val.npz: is there already, without the meta.json of a benchmark" in capsys.readouterr().err
    assert mine.read_bytes() == b"mine"
    assert [*tmp_path.rglob("*")] == [mine]


def test_a_small_or_easy_benchmark_is_not_the_benchmark_proper(digits: Mnist, tmp_path: Path) -> None:
    for number, config in enumerate([BenchmarkConfig(pairs_val=20), BenchmarkConfig(severity=0)]):
        make_benchmark(digits, tmp_path / str(number), config, ["val"], jobs=1)
        assert not is_benchmark(tmp_path / str(number) / "val.npz")


def test_true_digits_are_drawn_again_from_the_files(mnist: Mnist, tmp_path: Path) -> None:
    make_benchmark(mnist, tmp_path, BenchmarkConfig(pairs_public=30, severity=0), ["test_public"], jobs=1)
    data = load_pairs(tmp_path / "test_public.npz")
    digits = benchmark_digits(data)
    assert digits is not None
    assert data.y is not None
    np.testing.assert_array_equal(digits[:, 0] > digits[:, 1], data.y == 1)
    assert not is_benchmark(data.path)
    assert benchmark_digits(data.select(np.arange(29, -1, -1))) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"severity": 7}, "severity is 7; it must be at least 0 and at most 6"),
        ({"severity_val": -1}, "severity_val is -1"),
        ({"weight_diff1": 1.5}, "weight_diff1 is 1.5"),
        ({"weight_diff1": float("nan")}, "weight_diff1 is nan"),
        ({"pairs_public": 0}, "pairs_public is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_benchmarks_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BenchmarkConfig(**values)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "meta", ["[]", "{", '{"seed": -1}', '{"seed": 42, "severity": {"val": 99}, "weight_diff1": 1}']
)
def test_a_meta_file_of_something_else_makes_no_benchmark(benchmark_folder: Path, tmp_path: Path, meta: str) -> None:
    (tmp_path / "val.npz").write_bytes((benchmark_folder / "val.npz").read_bytes())
    (tmp_path / "meta.json").write_text(meta)
    assert benchmark_digits(load_pairs(tmp_path / "val.npz")) is None
    assert not is_benchmark(tmp_path / "val.npz")


def test_impossible_jobs_are_refused(digits: Mnist, tmp_path: Path) -> None:
    for jobs in (0, -2, 1025):
        with pytest.raises(InputError, match=f"^`jobs`: {jobs} is not possible; use 1 to 1,024, or -1"):
            make_benchmark(digits, tmp_path / "out", SMALL_BENCHMARK, jobs=jobs)
    assert not (tmp_path / "out").exists()
