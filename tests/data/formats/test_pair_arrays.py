from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from twinrank.data.judgements import Judgements, load_pairs
from twinrank.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 9), np.uint8)
XA, XB = IMAGES
Y = np.array([1, 0, 0, 1, 1])
IDS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255, IMAGES[:, :, None]])
def test_arrays_are_what_their_file_is(images: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", xa=images[0], xb=images[1], y=Y, id=IDS)
    stored, given = load_pairs(tmp_path / "a.npz"), Judgements.from_arrays(*images, y=Y, id=IDS, name="mine")
    for key in ("xa", "xb", "y", "id"):
        ours, theirs = getattr(given, key), getattr(stored, key)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert given.path == Path("mine")


def test_the_digest_is_of_the_content() -> None:
    digest = Judgements.from_arrays(XA, XB, Y).sha256
    assert Judgements.from_arrays(np.asfortranarray(XA), torch.from_numpy(XB), Y.tolist()).sha256 == digest
    others = [(XB, XA, Y), (XA, XB, 1 - Y), (XA, XB), (XA, XB, Y, IDS), (XA / 255, XB / 255, Y)]
    assert len({digest, *(Judgements.from_arrays(*each).sha256 for each in others)}) == 1 + len(others)


def test_uint8_arrays_are_not_copied() -> None:
    assert np.shares_memory(Judgements.from_arrays(XA, XB).xa, XA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xa": XA[:4]}, "'xa' has 4 images and 'xb' 5"),
        ({"xa": XA.astype(int)}, "'xa' is int64; images are uint8"),
        ({"xa": [[1], [1, 2]]}, "'xa' cannot be made an array"),
        ({"xa": XA / 1.0, "xb": XB / 1.0}, "divide by 255 or clip"),
        ({"y": Y + 1}, "labels other than 0 and 1"),
        ({"y": Y[:3]}, "'y' has 3 rows and 'xa' 5"),
        ({"id": ["a", "a", "b", "c", "d"]}, "ids that occur again"),
        ({"id": np.array(["a", None, "b", "c", "d"], object)}, "'id' is object"),
    ],
)
def test_what_a_file_may_not_hold_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^mine: .*{message}"):
        Judgements.from_arrays(**{"xa": XA, "xb": XB} | change, name="mine")


def test_ids_may_be_text_of_pandas() -> None:
    ids = np.array(IDS, object)
    assert Judgements.from_arrays(XA, XB, id=ids).row_ids.tolist() == IDS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_clipped_and_more_is_refused_with_its_digits(dtype: type) -> None:
    images = np.random.default_rng(0).random((2, 5, 8, 9)).astype(dtype)
    images[0, 0, 0, 0], images[1, 1, 1, 1] = 1 + 2e-7, -2e-7
    before = images.copy()
    data = Judgements.from_arrays(*images)
    np.testing.assert_array_equal(data.xa[:, 0], images[0].clip(0, 1).astype(np.float32))
    np.testing.assert_array_equal(data.xb[:, 0], images[1].clip(0, 1).astype(np.float32))
    np.testing.assert_array_equal(images, before)
    images[0, 0, 0, 0] = 1 + 1e-5
    with pytest.raises(InputError, match=r"from [0-9.e-]+ to 1\.00001\d*; floats are 0 to 1"):
        Judgements.from_arrays(*images)
