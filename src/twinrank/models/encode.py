"""From images to the channels that a tower gets."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from twinrank.core.pixels import in_parts, unit_range

_LEAST_SIDE = 32
_AT_A_TIME = 1 << 23
"""Pixels that are encoded at a time, since each step of the encoding needs a copy of them."""


class Encode(nn.Module):
    """Pixels, standardised, with the occlusion mask as one more channel.

    Covered pixels are exactly 0 in every channel, while a noisy background hardly ever is. So the mask ``x == 0``
    separates what is hidden from what is black.

    Larger images are folded: a square of ``fold`` by ``fold`` pixels becomes one place with ``fold ** 2`` times the
    channels (space to depth, Ridnik et al. 2020, arXiv:2003.13630), so that a tower made for 28 pixels costs about the
    same at 512 and no pixel is lost.

    Args:
        channels: Channels of the images, C.
        mask: Whether the mask is added.
        image_size: Shorter side of the images, in pixels; the sides are divided by one for each full 32 of it.

    Attributes:
        channels: Channels of the images, C.
        out_channels: Channels that a tower gets.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, channels: int, mask: bool = True, image_size: int = 28) -> None:
        super().__init__()
        self.channels = channels
        self.mask = mask
        self.fold = max(1, image_size // _LEAST_SIDE)
        self.out_channels = (channels + mask) * self.fold**2
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    @torch.no_grad()
    def standardise(self, images: torch.Tensor) -> None:
        """Take mean and standard deviation of each channel from images, uint8 or float in [0, 1], (N, C, H, W)."""
        pixels = unit_range(images)
        self.mean.copy_(pixels.mean((0, 2, 3))[:, None, None])
        self.std.copy_(pixels.std((0, 2, 3))[:, None, None].clamp_min(1e-3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images uint8 or float in [0, 1], (N, C, H, W), to float32 (N, out_channels, H / fold, W / fold).

        Sides are rounded up, and the memory format is channels last. Many large images are encoded bit by bit, to the
        same numbers.
        """
        parts = [images] if images.requires_grad else in_parts(images, _AT_A_TIME)
        return self._encoded(parts[0]) if len(parts) == 1 else torch.cat([self._encoded(part) for part in parts])

    def _encoded(self, images: torch.Tensor) -> torch.Tensor:
        pixels = (unit_range(images) - self.mean) / self.std
        if self.mask:
            hidden = (images == 0).all(1, keepdim=True)
            pixels = torch.cat([pixels, hidden.to(pixels.dtype)], 1)
        if self.fold > 1:
            down, right = ((self.fold - side % self.fold) % self.fold for side in pixels.shape[2:])
            pixels = functional.pad(pixels, (0, right, 0, down))
            pixels = functional.pixel_unshuffle(pixels, self.fold)
        return pixels.contiguous(memory_format=torch.channels_last)


class FixedEncode(Encode):
    """Pixels as public weights expect them: RGB, standardised with values that are not those of the training images.

    There is no mask and no fold. Grey images get three equal channels.

    Args:
        channels: Channels of the images, 1 or 3.
        mean: Mean of each channel of RGB, on the scale from 0 to 1.
        std: Standard deviation of each.
    """

    def __init__(self, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(channels, mask=False, image_size=0)
        self.out_channels = len(mean)
        self.mean = torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(std, dtype=torch.float32)[:, None, None]

    def standardise(self, images: torch.Tensor) -> None:
        """Change nothing: the values belong to the weights."""
