"""Hashes and a few numbers of images, from one look at their pixels."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

LOOK = np.dtype([("hash", "<u8"), ("brightness", "<f8"), ("visible", "<f8"), ("brightest", "u1"), ("uniform", "?")])
"""What is known of one image, with the meanings that :class:`Fingerprints` has."""
_CHUNK_BYTES = 1 << 24


class Fingerprints(NamedTuple):
    """A hash and a few numbers for each of M images.

    Attributes:
        hashes: BLAKE2b hashes of the pixels as 8-bit values, uint64 (M,).
        uniform: Whether an image has one value throughout, bool (M,).
        brightness: Mean pixels, 0 to 1, float64 (M,).
        visible: Shares of pixels above 0, float64 (M,).
        brightest: Largest pixel of all, 0 to 255.
    """

    hashes: np.ndarray
    uniform: np.ndarray
    brightness: np.ndarray
    visible: np.ndarray
    brightest: int

    @classmethod
    def of(cls, looks: np.ndarray) -> "Fingerprints":
        """The fingerprints of M images.

        Args:
            looks: What is known of each, :data:`LOOK` (M,).
        """
        hashes, uniform, brightness, visible = (
            np.ascontiguousarray(looks[name]) for name in ("hash", "uniform", "brightness", "visible")
        )
        return cls(hashes, uniform, brightness, visible, int(looks["brightest"].max(initial=0)))


def look_at(images: np.ndarray) -> np.ndarray:
    """One look at some images.

    Args:
        images: Images (n, C, H, W), uint8, or float32 in [0, 1], whose pixels count as 8-bit values.

    Returns:
        :data:`LOOK` (n,).
    """
    flat = images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)
    flat = np.ascontiguousarray(flat).reshape(len(flat), -1)
    looks = np.empty(len(flat), LOOK)
    looks["hash"] = np.frombuffer(b"".join(blake2b(image.data, digest_size=8).digest() for image in flat), "<u8")
    looks["brightness"] = flat.mean(axis=1) / 255
    looks["visible"] = np.count_nonzero(flat, axis=1) / flat.shape[1]
    looks["brightest"] = flat.max(axis=1)
    looks["uniform"] = flat.min(axis=1) == looks["brightest"]
    return looks


def look_through(parts: Sequence[np.ndarray]) -> np.ndarray:
    """One look at all images of some blocks, a few megabytes at a time, :data:`LOOK` (M,).

    Args:
        parts: Blocks of images, each (m, C, H, W).
    """
    rows = max(1, _CHUNK_BYTES // int(np.prod(parts[0].shape[1:])))
    chunks = (part[start : start + rows] for part in parts for start in range(0, len(part), rows))
    return np.concatenate([np.empty(0, LOOK), *map(look_at, chunks)])
