"""What a tower sees of an image."""

import torch
from torch import nn


class Encode(nn.Module):
    """Pixels, standardised, with the occlusion mask as one more channel.

    Covered pixels are exactly 0 in every channel, while a noisy background hardly ever is: the mask ``x == 0`` tells a
    tower what is black from what is hidden.

    Args:
        channels: C, of the images.
        mask: add the mask.

    Attributes:
        out_channels: channels that a tower sees.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, channels: int, mask: bool = True) -> None:
        super().__init__()
        self.mask = mask
        self.out_channels = channels + mask
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    @torch.no_grad()
    def standardise(self, images: torch.Tensor) -> None:
        """Take mean and standard deviation of each channel from images, uint8 or float in [0, 1], (N, C, H, W)."""
        pixels = unit_range(images)
        self.mean.copy_(pixels.mean((0, 2, 3))[:, None, None])
        self.std.copy_(pixels.std((0, 2, 3))[:, None, None].clamp_min(1e-3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images uint8 or float in [0, 1], (N, C, H, W), to float32 (N, out_channels, H, W), channels last."""
        pixels = (unit_range(images) - self.mean) / self.std
        if self.mask:
            hidden = (images == 0).all(1, keepdim=True)
            pixels = torch.cat([pixels, hidden.to(pixels.dtype)], 1)
        return pixels.contiguous(memory_format=torch.channels_last)


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1]; float images as float32."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
