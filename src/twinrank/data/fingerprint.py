"""The fingerprints of a file's images, pair by pair."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinrank.data.judgements import Judgements


@dataclass(frozen=True, eq=False)
class PairFingerprints:
    """Hashes and numbers of a file's images, left in column 0 and right in column 1.

    Attributes:
        path: Pair file.
        row_ids: Row ids, str (N,).
        shape: Shape of an image, (C, H, W).
        images: BLAKE2b hashes of the pixels as 8-bit values, uint64 (N, 2).
        files: First 64 bits of the digests of the image files, uint64 (N, 2); None of arrays.
        uniform: Whether an image has one value throughout, bool (N, 2).
        brightness: Mean pixels, 0 to 1, float64 (N, 2).
        visible: Shares of pixels above 0, float64 (N, 2).
        brightest: Largest pixel of the file, 0 to 255.
    """

    path: Path
    row_ids: np.ndarray
    shape: tuple[int, ...]
    images: np.ndarray
    files: np.ndarray | None
    uniform: np.ndarray
    brightness: np.ndarray
    visible: np.ndarray
    brightest: int


def fingerprint(data: Judgements) -> PairFingerprints:
    """Fingerprints of all images of a file; each image is looked at once."""
    found, sides = data.images.fingerprints, np.stack([data.left, data.right], 1)
    digests = data.images.digests
    return PairFingerprints(
        data.path,
        data.row_ids,
        data.images.shape,
        images=found.hashes[sides],
        files=None if digests is None else digests[:, :8].copy().view(np.uint64)[sides, 0],
        uniform=found.uniform[sides],
        brightness=found.brightness[sides],
        visible=found.visible[sides],
        brightest=found.brightest,
    )
