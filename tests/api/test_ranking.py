"""``tr.rank`` of arrays: what is the same, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

import twinrank as tr

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 1, 28, 28), np.uint8)
FLOATS = (PIXELS / 255).astype(np.float32)


@pytest.mark.parametrize(
    "images",
    [PIXELS[:, 0], FLOATS, FLOATS.astype(">f4"), FLOATS.astype(float), np.asfortranarray(PIXELS), [*PIXELS]],
    ids=["without channels", "float32", "big-endian", "float64", "column-major", "list"],
)
def test_the_same_images_have_the_same_scores(trained: Path, images: np.ndarray) -> None:
    run = trained / "runs" / "first"
    np.testing.assert_array_equal(tr.rank(run, images).scores.mean, tr.rank(run, PIXELS).scores.mean)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (PIXELS.astype(np.float32), "is float32 from 0 to 255; floats are 0 to 1, divide by 255 or clip"),
        (PIXELS.astype(np.int64), "is int64; images are uint8"),
        (np.where(FLOATS > 0.5, np.nan, FLOATS), "has NaN or infinity, first in row"),
        (PIXELS.transpose(0, 2, 3, 1), r"has shape \(6, 28, 28, 1\), 28 channels; channels come before height"),
        (PIXELS[0, 0], r"has shape \(28, 28\), not \(M,H,W\)"),
        (PIXELS[:0], r"has shape \(0, 1, 28, 28\)"),
    ],
    ids=["floats to 255", "whole numbers", "NaN", "channels last", "one image", "none"],
)
def test_arrays_that_are_no_images_are_refused(trained: Path, images: np.ndarray, words: str) -> None:
    with pytest.raises(tr.InputError, match=f"key 'images' {words}"):
        tr.rank(trained / "runs" / "first", images)
