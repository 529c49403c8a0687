from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinrank.data.folds import Folds, assign_folds
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError


def pairs_of(images: np.ndarray) -> Judgements:
    """Pairs whose images are all of one value each, so equal numbers are identical images."""
    x = np.broadcast_to(images[:, :, None, None, None], (*images.shape, 1, 8, 8)).astype(np.uint8)
    return Judgements.of_pairs(
        PairArrays(x[:, 0], x[:, 1], np.zeros(len(x), np.int8), None), Path("pairs.npz"), "0" * 64
    )


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
    place = folds.fold.astype(int) * 2 + folds.stop
    for image in {each for pair in images for each in pair}:
        assert len(set(place[[image in pair for pair in images]])) == 1
    for fold in range(count):
        parts = folds.fitted(fold).rows, folds.stopped_on(fold).rows, folds.left_out(fold).rows
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data))), "every row has one part"
        assert (folds.fold[parts[2]] == fold).all()
    assert folds.stop.sum() <= share * len(data)
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
