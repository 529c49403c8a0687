import hashlib
from pathlib import Path

import numpy as np
import pytest

from twinrank.data.formats.selection import Selection
from twinrank.data.judgements import Judgements, load_pairs

X = np.random.default_rng(0).integers(0, 256, (5, 8, 16), np.uint8)
Y = np.array([1, 0, 1, 1, 0], np.int8)


@pytest.fixture
def data(tmp_path: Path) -> Judgements:
    np.savez_compressed(tmp_path / "a.npz", x=X, y=Y)
    return load_pairs(tmp_path / "a.npz")


def test_a_file_is_known_by_its_path_and_digest(data: Judgements) -> None:
    assert data.sha256 == hashlib.sha256(data.path.read_bytes()).hexdigest()
    assert data.path.name == "a.npz"


@pytest.mark.parametrize(
    "rows", [np.array([3, 0, 4]), np.array([True, False, True, False, True]), slice(1, 4), np.array([], int)]
)
def test_selected_rows_keep_their_ids(data: Judgements, rows: np.ndarray | slice) -> None:
    some = data.select(rows)
    np.testing.assert_array_equal(some.xa, X[rows, None, :, :8])
    np.testing.assert_array_equal(some.xb, X[rows, None, :, 8:])
    np.testing.assert_array_equal(some.y, Y[rows])
    np.testing.assert_array_equal(some.row_ids, np.arange(5).astype(str)[rows])
    assert (len(some), some.path) == (len(Y[rows]), data.path)
    places = np.arange(5)[rows]
    assert some.sha256 == Selection(data.path, data.sha256, places).sha256 != data.sha256


def test_all_rows_are_the_file_itself(data: Judgements) -> None:
    assert data.select(slice(None)).sha256 == data.sha256


def test_unlabelled_rows_stay_unlabelled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, id=np.array(list("vwxyz")))
    some = load_pairs(tmp_path / "a.npz").select(np.array([4, 1]))
    assert some.y is None
    assert some.row_ids.tolist() == ["z", "w"]


def test_a_slice_copies_no_image(data: Judgements) -> None:
    assert np.shares_memory(data.select(slice(2)).xa, data.xa)
