from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinrank.data.folds import Folds, assign_folds, image_groups
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError


def pairs_of(images: np.ndarray) -> Judgements:
    """Pairs whose images are all of one value each, so equal numbers are identical images."""
    x = np.broadcast_to(images[:, :, None, None, None], (*images.shape, 1, 8, 8)).astype(np.uint8)
    return Judgements.of_pairs(
        PairArrays(x[:, 0], x[:, 1], np.zeros(len(x), np.int8), None), Path("pairs.npz"), "0" * 64
    )


def numbered(images: np.ndarray, sides: np.ndarray) -> Judgements:
    """Rows of images that are stored once, always with the left one higher."""
    y = np.ones(len(sides), np.int8)
    left, right = sides.T
    return Judgements(ImageStore.from_arrays(images), left, right, y, None, Path("pairs.npz"), "0" * 64)


@given(
    st.lists(st.tuples(st.integers(0, 250), st.integers(0, 250)), min_size=30, max_size=80),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.integers(0, 5),
)
def test_no_image_is_in_two_folds_or_on_both_sides_of_a_slice(
    images: list[tuple[int, int]], count: int, share: float, seed: int
) -> None:
    data = pairs_of(np.array(images))
    try:
        folds = assign_folds(data, count, share, seed)
    except InputError:  # Too few groups.
        return
    if folds.images is None:
        place = folds.fold.astype(int) * 2 + folds.stop
        for image in {each for pair in images for each in pair}:
            assert len(set(place[[image in pair for pair in images]])) == 1
        assert folds.stop.sum() <= share * len(data)
    for fold in range(folds.count):
        fitted, chosen, held = folds.fitted(fold).rows, folds.stopped_on(fold).rows, folds.left_out(fold).rows
        assert not {*fitted} & {*chosen}
        assert (folds.fold[held] == fold).all()
        given, unseen = ({each for row in rows for each in images[row]} for rows in ([*fitted, *chosen], held))
        assert not given & unseen, "no image of a fold is in what its network is given"
        if folds.images is None:
            assert len(fitted) + len(chosen) + len(held) == len(data), "every row has one part"
        in_fitted = {each for row in fitted for each in images[row]}
        assert all(not in_fitted.issuperset(images[row]) for row in chosen), "who chooses the epoch shows a new image"
    again = assign_folds(data, count, share, seed)
    assert np.array_equal(again.fold, folds.fold)
    assert np.array_equal(again.stop, folds.stop)


def test_folds_and_slices_are_of_one_size_where_no_image_is_shared() -> None:
    folds = assign_folds(pairs_of(np.arange(240).reshape(120, 2)), 5, 0.25)
    assert np.bincount(folds.fold).tolist() == [24] * 5
    assert np.bincount(folds.fold[folds.stop]).tolist() == [6] * 5
    other = assign_folds(pairs_of(np.arange(240).reshape(120, 2)), 5, 0.25, seed=1)
    assert not np.array_equal(other.fold, folds.fold)


def test_a_pair_and_its_mirror_stay_together() -> None:
    pairs = np.arange(120).reshape(60, 2)
    folds = assign_folds(pairs_of(np.concatenate([pairs, pairs[:, ::-1]])))
    assert np.array_equal(folds.fold[:60], folds.fold[60:])
    assert np.array_equal(folds.stop[:60], folds.stop[60:])


CONNECTED = {(500, 80): 7, (600, 600): 7, (2000, 60): 13}
"""Rows and images at random: one connected set, a giant group with strays, and many rows for each image."""


@pytest.mark.parametrize("shape", CONNECTED)
def test_connected_rows_are_in_even_folds_of_images(shape: tuple[int, int], tmp_path: Path) -> None:
    rows, images = shape
    random = np.random.default_rng(3)
    sides = np.stack([random.choice(images, 2, replace=False) for _ in range(rows)])
    data = numbered(random.integers(0, 256, (images, 1, 8, 8), np.uint8), sides)
    folds = assign_folds(data, CONNECTED[shape], 0.1)
    assert folds.images is not None
    assert folds.count == CONNECTED[shape]
    sizes = np.bincount(folds.fold)
    assert sizes.sum() == rows, "no row is lost"
    assert sizes.max() <= 1.25 * sizes.min()
    folds.save(tmp_path / "folds.npz")
    read = Folds.load(tmp_path / "folds.npz")
    for fold in range(folds.count):
        fitted, chosen, held = folds.fitted(fold), folds.stopped_on(fold), folds.left_out(fold)
        assert not {*sides[held.rows].ravel()} & {*sides[fitted.rows].ravel(), *sides[chosen.rows].ravel()}
        assert (~np.isin(sides[chosen.rows], sides[fitted.rows]).all(1)).all()
        assert 1 <= len(chosen.rows) <= max(1, 0.1 * (len(fitted.rows) + len(chosen.rows)))
        assert len(fitted.rows) >= 0.2 * rows
        assert read.fitted(fold).sha256 == fitted.sha256
        assert read.stopped_on(fold).sha256 == chosen.sha256
    whole = assign_folds(data, CONNECTED[shape], 0)
    assert np.array_equal(whole.fold, folds.fold), "the slice that chooses epochs changes no fold"
    assert not whole.stop.any()


def test_folds_that_do_not_leave_out_their_images_are_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = numbered(random.integers(0, 256, (30, 1, 8, 8), np.uint8), random.integers(0, 30, (200, 2)))
    folds = assign_folds(data, 5, 0.1)
    folds.fold[4] = (folds.fold[4] + 1) % 7
    folds.save(tmp_path / "folds.npz")
    with pytest.raises(InputError, match=r"does not leave out the images of row 4|do not fit") as found:
        Folds.load(tmp_path / "folds.npz")
    assert str(found.value).count("\n") == 0


def test_images_without_a_group_are_no_group() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8), np.uint8)
    data = numbered(pixels, np.array([[0, 1], [2, 3], [4, 5]]))
    first, second, third = image_groups(replace(data, group=np.array(["a", "", "", "", "a", ""]))).tolist()
    assert first == third != second


def test_images_of_one_group_stay_together() -> None:
    random = np.random.default_rng(0)
    sides = random.integers(0, 90, (400, 2))
    group = (np.arange(90) // 3).astype(str)
    data = replace(numbered(random.integers(0, 256, (90, 1, 8, 8), np.uint8), sides), group=group)
    folds = assign_folds(data, 5, 0.1)
    for fold in range(folds.count):
        assert not {*group[sides[folds.left_out(fold).rows]].ravel()} & {*group[sides[folds.fitted(fold).rows]].ravel()}


def test_an_image_in_every_row_is_refused() -> None:
    random = np.random.default_rng(0)
    sides = np.stack([np.zeros(99, int), np.arange(1, 100)], 1)
    data = numbered(random.integers(0, 256, (100, 1, 8, 8), np.uint8), sides)
    with pytest.raises(
        InputError,
        match=r"^pairs.npz: 99 rows of 100 images, too few for 7 folds .* \(one image is in 99 rows\)",
    ):
        assign_folds(data)
    few = numbered(random.integers(0, 256, (6, 1, 8, 8), np.uint8), random.integers(0, 6, (99, 2)))
    with pytest.raises(InputError, match="6 images are too few for 7 folds"):
        assign_folds(few)


def test_folds_are_kept_in_a_file(tmp_path: Path) -> None:
    folds = assign_folds(pairs_of(np.arange(80).reshape(40, 2)), 2)
    folds.save(tmp_path / "folds.npz")
    read = Folds.load(tmp_path / "folds.npz")
    assert read.fitted(1).sha256 == folds.fitted(1).sha256
    assert read.stopped_on().sha256 == folds.stopped_on().sha256
    assert read.id.tolist() == folds.id.tolist()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="not an assignment of folds"):
        Folds.load(tmp_path / "other.npz")


def test_impossible_folds_are_refused() -> None:
    data = pairs_of(np.arange(80).reshape(40, 2))
    for count, share, message in ((1, 0.1, "`folds`: 1"), (5, 1.0, "`stop_share`: 1.0"), (30, 0.1, "too few for 30")):
        with pytest.raises(InputError, match=message):
            assign_folds(data, count, share)
