from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from twinrank.benchmark.fresh import FreshPairs, refuse_other_place, write_fresh
from twinrank.benchmark.mnist import Mnist
from twinrank.config import FreshConfig
from twinrank.core.torch_random import torch_generator
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError


def expected_shares(weight_diff1: float) -> np.ndarray:
    """Of each pair of classes, (10, 10), by the rules of docs/benchmark.md."""
    shares = np.zeros((10, 10))
    for left in range(1, 10):
        shares[left, left - 1] += weight_diff1 / 18
        shares[left, :left] += (1 - weight_diff1) / 18 / left
    for left in range(9):
        shares[left, left + 1] += weight_diff1 / 18
        shares[left, left + 1 :] += (1 - weight_diff1) / 18 / (9 - left)
    return shares


@pytest.mark.parametrize("weight_diff1", [0.0, 0.8, 1.0])
def test_pairs_are_drawn_as_in_the_benchmark(mnist: Mnist, weight_diff1: float) -> None:
    positions, y = FreshPairs(mnist, weight_diff1=weight_diff1).draw(50_001, torch_generator(1, "pairs"))
    classes = mnist.train_labels[positions.numpy()].astype(int)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, tuple(classes.T), 1)
    shares = expected_shares(weight_diff1)
    assert shares.sum() == pytest.approx(1)
    assert (counts[shares == 0] == 0).all(), "equal digits are never paired"
    possible = shares > 0
    assert stats.chisquare(counts[possible], 50_001 * shares[possible]).pvalue > 1e-3
    np.testing.assert_array_equal(y.numpy() == 1, classes[:, 0] > classes[:, 1])
    assert y.sum() == 25_000
    assert abs(y[:25_000].mean().item() - 0.5) < 0.02, "in random order"
    neighbours = (np.abs(np.diff(classes, axis=1)) == 1).mean()
    by_chance = sum(1 / left for left in range(1, 10)) / 9
    assert neighbours == pytest.approx(weight_diff1 + (1 - weight_diff1) * by_chance, abs=0.01)


def test_every_training_digit_is_drawn_and_no_other(digits: Mnist) -> None:
    pool, tests = ({image.tobytes() for image in part} for part in (digits.train_images, digits.test_images))
    xa, xb, y = FreshPairs(digits, severity=0)(3000, torch_generator(2, "pairs"))
    assert (xa.shape, xa.dtype, y.dtype) == ((3000, 1, 28, 28), torch.uint8, torch.float32)
    drawn = {image.tobytes() for image in torch.cat([xa, xb]).numpy()}
    assert drawn == pool
    assert not drawn & tests


def test_digits_of_a_class_are_equally_likely(digits: Mnist) -> None:
    positions, _ = FreshPairs(digits).draw(100_000, torch_generator(3, "pairs"))
    for digit in range(10):
        members = np.flatnonzero(digits.train_labels == digit)
        counts = np.bincount(positions.flatten().numpy(), minlength=len(digits.train_labels))[members]
        assert stats.chisquare(counts).pvalue > 1e-3


def test_subclasses_divide_each_class_into_digits_that_look_alike(digits: Mnist) -> None:
    found = FreshPairs(digits).subclasses(4)
    assert torch.equal(found, FreshPairs(digits).subclasses(4))
    assert torch.equal(found // 4, torch.from_numpy(digits.train_labels.astype(np.int64)))
    images = digits.train_images.reshape(len(found), -1) / 255
    within, whole = 0.0, 0.0
    for number in found.unique().tolist():
        own = images[found.numpy() == number]
        within += ((own - own.mean(0)) ** 2).sum()
    for digit in range(10):
        own = images[digits.train_labels == digit]
        whole += ((own - own.mean(0)) ** 2).sum()
    by_chance = (len(found) - 40) / (len(found) - 10)
    assert within / whole < 0.9 * by_chance
    # More than there are digits of a class.
    assert torch.equal(FreshPairs(digits).subclasses(1000) // 1000, found // 4)


def test_both_sides_are_corrupted_each_in_its_own_way(digits: Mnist) -> None:
    fresh, generator = FreshPairs(digits), torch_generator(4, "pairs")
    xa, xb = fresh.render(torch.zeros(50, 2, dtype=torch.int64), generator)
    assert len({image.tobytes() for image in torch.cat([xa, xb]).numpy()}) == 100
    again = FreshPairs(digits)(50, torch_generator(5, "pairs")), FreshPairs(digits)(50, torch_generator(5, "pairs"))
    assert all(torch.equal(one, other) for one, other in zip(*again, strict=True))


def test_a_file_is_an_ordinary_pair_file_and_the_same_for_the_same_seed(digits: Mnist, tmp_path: Path) -> None:
    done: list[int] = []
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        write_fresh(digits, tmp_path / f"{name}.npz", FreshConfig(pairs=600, seed=seed, severity=3), done.append)
    one, again, other = (load_pairs(tmp_path / f"{name}.npz") for name in ("one", "again", "other"))
    assert one.sha256 == again.sha256 != other.sha256
    assert done[-1] == 600
    assert done[:3] == sorted(done[:3])
    assert one.xa.shape == (600, 1, 28, 28)
    assert one.y is not None
    assert one.y.sum() == 300
    assert one.row_ids[[0, 599]].tolist() == ["OPEN_0000000", "OPEN_0000599"]


def test_nothing_is_written_where_it_would_be_taken_for_something_else(benchmark_folder: Path, tmp_path: Path) -> None:
    refuse_other_place(tmp_path / "fresh.npz")
    for out, message in (
        (benchmark_folder / "train.npz", r"holds a benchmark, .*; choose another folder with `out`"),
        (tmp_path / "fresh.csv", r"ends in \.npz"),
        (tmp_path / "fresh.rows.npz", r"are of selections of rows"),
    ):
        with pytest.raises(InputError, match=message):
            refuse_other_place(out)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairs": 0}, "pairs is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1"),
        ({"severity": 7}, "severity is 7"),
        ({"weight_diff1": 1.5}, "weight_diff1 is 1.5"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FreshConfig(**values)  # pyright: ignore[reportArgumentType]
