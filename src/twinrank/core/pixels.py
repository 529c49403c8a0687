"""What a pixel's number means, and which pixel stands beyond an edge."""

import torch


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1]; float images as float32."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def mirrored(position: torch.Tensor, size: int) -> torch.Tensor:
    """Places along an axis of ``size`` pixels, those beyond an edge mirrored at it; at most ``size - 1`` beyond."""
    return size - 1 - (size - 1 - position.abs()).abs()
