"""The arrays of a pair file, which are the same for every format, and the sizes of images that are accepted."""

from typing import NamedTuple

import numpy as np

from twinrank.config import LARGEST, SMALLEST
from twinrank.errors import InputError


class PairArrays(NamedTuple):
    """Arrays of N pairs, checked.

    Attributes:
        xa: Left images, uint8 or float32 in [0, 1], (N, C, H, W).
        xb: Right images, the same shape and dtype.
        y: Labels, int8 (N,), 1 where the left image ranks higher, else 0; None if unlabelled.
        id: Row ids, str (N,), each once; None if the rows are known by their numbers.
    """

    xa: np.ndarray
    xb: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None


def check_size(where: str, height: int, width: int) -> None:
    """Refuse an image size out of the accepted range.

    Args:
        where: File, and key or image in it, for the message.
        height: Pixels.
        width: Pixels.

    Raises:
        InputError: The size is out of range.
    """
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InputError(
            f"{where} has images of {height} x {width} pixels; resize them, {SMALLEST} to {LARGEST} are possible"
        )
