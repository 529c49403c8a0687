"""Ranges of pixels, mirrored edges, and batches in parts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

LUMA = 0.299, 0.587, 0.114
"""Shares of red, green and blue in a grey value (ITU-R BT.601)."""
_whole = False


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1]; float images as float32."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def mirrored(position: torch.Tensor, size: int) -> torch.Tensor:
    """Positions along an axis of ``size`` pixels; those up to ``size - 1`` beyond an edge are mirrored at it."""
    return size - 1 - (size - 1 - position.abs()).abs()


def in_parts(images: torch.Tensor, most: int) -> Sequence[torch.Tensor]:
    """A batch in parts of at most ``most`` numbers, or one image; whole within :func:`whole_batches`."""
    return [images] if _whole else images.split(max(1, most // images[0].numel()))


@contextmanager
def whole_batches() -> Iterator[None]:
    """A block in which no batch is divided: a graph that is traced there serves batches of any length."""
    global _whole
    _whole = True
    try:
        yield
    finally:
        _whole = False
