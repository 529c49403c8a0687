"""Ranges of pixels, and mirrored edges."""

import torch

LUMA = 0.299, 0.587, 0.114
"""Shares of red, green and blue in a grey value (ITU-R BT.601)."""


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1]; float images as float32."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def mirrored(position: torch.Tensor, size: int) -> torch.Tensor:
    """Positions along an axis of ``size`` pixels; those up to ``size - 1`` beyond an edge are mirrored at it."""
    return size - 1 - (size - 1 - position.abs()).abs()
