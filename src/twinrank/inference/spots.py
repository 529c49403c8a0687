"""Spots of an image, which saliency covers one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.errors import InputError

_SPOT, _LARGE_SPOT = 1 / 7, 1 / 5
"""Side of a spot, as a share of the image's shorter side."""
_SMALLEST_IMAGE = 8


class Spots(NamedTuple):
    """Square spots of an image.

    Attributes:
        side: Side of a spot, in pixels.
        tops: First rows of the spots.
        lefts: First columns.
    """

    side: int
    tops: Sequence[int]
    lefts: Sequence[int]

    @classmethod
    def of(cls, height: int, width: int, where: Path, few: bool = False) -> "Spots":
        """The spots of images of a size. They overlap by half.

        Args:
            height: Pixels.
            width: Pixels.
            where: Place of the images, for the message.
            few: Whether there are fewer and larger ones, side by side.

        Raises:
            InputError: The images are smaller than 8 pixels.
        """
        if min(height, width) < _SMALLEST_IMAGE:
            raise InputError(
                f"{where}: images of {height} x {width} are too small to cover spots of; both sides need"
                f" {_SMALLEST_IMAGE} pixels or more"
            )
        side = max(2, round(min(height, width) * (_LARGE_SPOT if few else _SPOT)))
        step = side if few else max(1, side // 2)
        return cls(side, *(range(0, size - side + 1, step) for size in (height, width)))

    @property
    def places(self) -> list[tuple[int, int]]:
        """First row and first column of each spot, row by row."""
        return [(top, left) for top in self.tops for left in self.lefts]

    def covered(self, images: np.ndarray, top: int, left: int) -> np.ndarray:
        """Images (..., H, W) with a spot of exact zeros."""
        images = images.copy()
        images[..., top : top + self.side, left : left + self.side] = 0
        return images
