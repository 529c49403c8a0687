"""The arrays of a pair file, whatever its format, the sizes that are accepted, and how many pairs go together."""

from typing import NamedTuple

import numpy as np

from twinrank.config import LARGEST, SMALLEST
from twinrank.errors import InputError


class PairArrays(NamedTuple):
    """Arrays of N pairs, checked.

    Attributes:
        xa: uint8 or float32 in [0, 1] (N, C, H, W), left images.
        xb: the same shape and dtype, right images.
        y: int8 (N,), 1 where the left image ranks higher, else 0; None if unlabelled.
        id: str (N,), each once; None if the rows are known by their numbers.
    """

    xa: np.ndarray
    xb: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None


def check_size(where: str, height: int, width: int) -> None:
    """Refuse an image size out of the accepted range.

    Raises:
        InputError: ``where`` (a file, and a key or an image in it) and the size.
    """
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InputError(
            f"{where} has images of {height} x {width} pixels; resize them, {SMALLEST} to {LARGEST} are possible"
        )
