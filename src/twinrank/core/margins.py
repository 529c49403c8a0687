"""Margins of one colour around an image."""

from typing import Any, TypeVar

Array = TypeVar("Array", bound=Any)
"""A NumPy array or a tensor of torch; this module loads neither."""

_LEAST_TRIMMED = 32
"""Sides that an image without its margins has at least, in pixels."""


def trimmed(image: Array) -> Array:
    """An image (C, H, W) without lines at its borders that have the colour of a corner alone.

    It is as it was where less than 32 pixels would be left of a side.

    >>> import numpy as np
    >>> image = np.zeros((1, 60, 80))
    >>> image[:, 10:50, 20:] = np.random.default_rng(0).random((1, 40, 60))
    >>> trimmed(image).shape
    (1, 40, 60)

    Args:
        image: Array or tensor of any type.

    Returns:
        A view of it.
    """
    kept = image
    for corner in (image[:, :1, :1], image[:, -1:, -1:]):
        inside = (kept != corner).any(0)
        rows, columns = (_span(inside.any(axis).tolist()) for axis in (1, 0))
        kept = kept[:, rows, columns]
    return image if min(kept.shape[1:]) < _LEAST_TRIMMED else kept


def _span(inside: list[bool]) -> slice:
    """From the first place to the last that is inside; everything where none is."""
    if not any(inside):
        return slice(None)
    return slice(inside.index(True), len(inside) - inside[::-1].index(True))
