"""A hash and a few numbers for each image of a file, computed in one pass."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from twinrank.data.pairs import PairData

_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Hashes and numbers of a file's images, left in column 0 and right in column 1.

    Attributes:
        path: Pair file.
        row_ids: Row ids, str (N,).
        shape: Shape of an image, (C, H, W).
        images: BLAKE2b hashes of the pixels as 8-bit values, uint64 (N, 2).
        uniform: Whether an image has one value throughout, bool (N, 2).
        brightness: Mean pixels, 0 to 1, float64 (N, 2).
        visible: Shares of pixels above 0, float64 (N, 2).
        brightest: Largest pixel of the file, 0 to 255.
    """

    path: Path
    row_ids: np.ndarray
    shape: tuple[int, ...]
    images: np.ndarray
    uniform: np.ndarray
    brightness: np.ndarray
    visible: np.ndarray
    brightest: int


def fingerprint(data: PairData) -> Fingerprints:
    """Fingerprints of all images of a file, some megabytes at a time."""
    size = (len(data), 2)
    images, uniform = np.empty(size, np.uint64), np.empty(size, bool)
    brightness, visible = np.empty(size), np.empty(size)
    brightest = 0
    rows = max(1, _CHUNK_BYTES // data.xa[0].size)
    for side, pixels in enumerate((data.xa, data.xb)):
        for start in range(0, len(data), rows):
            stop = min(start + rows, len(data))
            flat = _eight_bit(pixels[start:stop]).reshape(stop - start, -1)
            low, high = flat.min(axis=1), flat.max(axis=1)
            hashes = b"".join(blake2b(image.tobytes(), digest_size=8).digest() for image in flat)
            images[start:stop, side] = np.frombuffer(hashes, np.uint64)
            uniform[start:stop, side] = low == high
            brightness[start:stop, side] = flat.mean(axis=1) / 255
            visible[start:stop, side] = np.count_nonzero(flat, axis=1) / flat.shape[1]
            brightest = max(brightest, int(high.max()))
    return Fingerprints(data.path, data.row_ids, data.xa.shape[1:], images, uniform, brightness, visible, brightest)


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    eight_bit = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
    return np.ascontiguousarray(eight_bit)
