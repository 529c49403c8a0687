"""What a pixel's number means."""

import torch


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1]; float images as float32."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
