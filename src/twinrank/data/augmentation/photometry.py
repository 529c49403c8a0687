"""Changes of light of whole batches. They depend on the visible pixels alone, and covered ones stay exactly 0."""

import math

import torch
from torch.nn import functional

from twinrank.core.pixels import LUMA, unit_range

_DARKEST = 1 / 255
"""The darkest visible pixel; 0 is covered."""
_SMOOTH = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
"""Pillow's SMOOTH filter, which its Sharpness blends with."""


def brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply pixels, uint8 or float in [0, 1], (N, C, H, W), by factors (N,)."""
    return _changed(images, unit_range(images) * _each(factor))


def contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply distances from the mean of an image's visible pixels by factors (N,)."""
    pixels = unit_range(images)
    visible = _visible(images).float()
    mean = (pixels * visible).sum((1, 2, 3)) / (visible.sum((1, 2, 3)) * images.shape[1]).clamp_min(1)
    return _changed(images, _each(mean) + (pixels - _each(mean)) * _each(factor))


def saturation(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply distances from the grey image by factors (N,): 0 is grey. Images are RGB, (N, 3, H, W)."""
    pixels = unit_range(images)
    grey = (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    return _changed(images, grey + (pixels - grey) * _each(factor))


def hue(images: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Turn the colours of RGB images (N, 3, H, W) about the axis of greys by angles in radians (N,); greys stay."""
    third, root = (1 - angle.cos()) / 3, angle.sin() / math.sqrt(3)
    main, plus, minus = angle.cos() + third, third + root, third - root
    rows = ((main, minus, plus), (plus, main, minus), (minus, plus, main))
    turn = torch.stack([torch.stack(row, 1) for row in rows], 1)
    return _changed(images, torch.einsum("nij,njhw->nihw", turn, unit_range(images)))


def sharpness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply distances from the smoothed image by factors (N,): below 1 blurs, above 1 sharpens."""
    pixels = unit_range(images)
    n, channels, height, width = pixels.shape
    flat = functional.pad(pixels.reshape(n * channels, 1, height, width), (1, 1, 1, 1), mode="replicate")
    smooth = functional.conv2d(flat, _SMOOTH.to(pixels.device)[None, None]).reshape(pixels.shape)
    return _changed(images, smooth + (pixels - smooth) * _each(factor))


def posterize(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keep some bits of each pixel's 8, their number by image (N,)."""
    step = _each(2 ** (8 - bits))
    return _changed(images, (unit_range(images) * 255 / step).floor() * step / 255)


def solarize(images: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Invert pixels at or above thresholds (N,) in [0, 1]."""
    pixels = unit_range(images)
    return _changed(images, torch.where(pixels >= _each(threshold), 1 - pixels, pixels))


def autocontrast(images: torch.Tensor) -> torch.Tensor:
    """Stretch each image's visible pixels to the whole range."""
    pixels, visible = unit_range(images), _visible(images)
    low = pixels.masked_fill(~visible, 1).amin((1, 2, 3))
    high = pixels.masked_fill(~visible, 0).amax((1, 2, 3))
    return _changed(images, (pixels - _each(low)) / _each((high - low).clamp_min(_DARKEST)))


def like(pixels: torch.Tensor, images: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Pixels in the dtype of images, 0 where they are not visible and more than 0 where they are.

    Args:
        pixels: Pixels, float32 (N, C, H, W).
        images: Images whose dtype is wanted, uint8, or float in [0, 1].
        visible: Whether a pixel is visible, bool (N, 1, H, W).
    """
    pixels = pixels.clamp(_DARKEST, 1)
    pixels = (pixels * 255).round().to(torch.uint8) if images.dtype == torch.uint8 else pixels.to(images.dtype)
    return pixels.masked_fill(~visible, 0)


def _changed(images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return like(pixels, images, _visible(images))


def _visible(images: torch.Tensor) -> torch.Tensor:
    return (images != 0).any(1, keepdim=True)


def _each(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
