"""Augmentation of whole batches. Images keep their type and shape, and a covered pixel stays exactly 0.

Every random number of an image is drawn beforehand, one column each. So the result depends on an image and its row of
draws, and not on the batch that it comes in.
"""

import math
from collections.abc import Callable

import torch

from twinrank.config import TrainConfig
from twinrank.core.pixels import mirrored
from twinrank.core.torch_random import signed
from twinrank.data.augmentation.geometry import rotation, scaling, shear, translation, warp
from twinrank.data.augmentation.photometry import (
    autocontrast,
    brightness,
    contrast,
    hue,
    posterize,
    saturation,
    sharpness,
    solarize,
)

_LONGEST_CUTOUT = 0.5
_WIDEST_LINE = 0.1
_MOST_MAGNITUDE = 30


class Augmentation:
    """The augmentation of a configuration, in this sequence: geometry in one resampling, light, colour, shift, flips,
    covering. Crops come before all of it, see :func:`random_crop`.

    Args:
        config: Training configuration.

    Attributes:
        draws: Number of uniform draws in [0, 1) that an image needs.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._geometric = config.rotate > 0 or config.translate > 0 or config.crop_scale < 1 or config.randaugment > 0
        widths = {
            "rotate": 1,
            "translate": 2,
            "crop": 3,
            "randaugment": 2 * config.randaugment,
            "brightness": 1,
            "contrast": 1,
            "shift": 2,
            "cutout": 4 * config.cutout,
            "lines": 5 * config.lines,
            # Later ones have no column where they are off, so that the others keep their draws.
            "flip": int(config.flip),
            "flip_vertical": int(config.flip_vertical),
            "saturation": int(config.saturation > 0),
            "hue": int(config.hue > 0),
        }
        self._columns: dict[str, slice] = {}
        self.draws = 0
        for name, width in widths.items():
            self._columns[name] = slice(self.draws, self.draws + width)
            self.draws += width

    def __bool__(self) -> bool:
        config = self._config
        light = config.brightness + config.contrast + config.saturation + config.hue > 0
        flips = config.flip or config.flip_vertical
        return self._geometric or light or flips or config.shift + config.cutout + config.lines > 0

    def __call__(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment a batch.

        Args:
            images: Images, uint8, or float in [0, 1], (N, C, H, W).
            draws: Uniform draws in [0, 1), float32 (N, :attr:`draws`), on the same device.

        Returns:
            The same shape and dtype.
        """
        config = self._config
        of = {name: draws[:, columns] for name, columns in self._columns.items()}
        operations = _operations(of["randaugment"], config.magnitude)
        if self._geometric:
            images = warp(images, self._matrix(of, operations))
        for apply, strength, chosen in _light(operations):
            if images.is_cuda:
                # To choose images, the processor would have to wait for them.
                images = torch.where(chosen[:, None, None, None], apply(images, strength), images)
            elif chosen.any():
                images = images.clone()
                images[chosen] = apply(images[chosen], strength[chosen])
        if config.brightness:
            images = brightness(images, 1 + config.brightness * signed(of["brightness"][:, 0]))
        if config.contrast:
            images = contrast(images, 1 + config.contrast * signed(of["contrast"][:, 0]))
        if config.saturation:
            images = saturation(images, 1 + config.saturation * signed(of["saturation"][:, 0]))
        if config.hue:
            images = hue(images, 2 * math.pi * config.hue * signed(of["hue"][:, 0]))
        if config.shift:
            images = shift(images, config.shift, of["shift"])
        for axis, name in ((3, "flip"), (2, "flip_vertical")):
            if of[name].shape[1]:
                images = flip(images, axis, of[name][:, 0])
        for rectangle in of["cutout"].split(4, 1) if config.cutout else ():
            images = cutout(images, rectangle)
        for each in of["lines"].split(5, 1) if config.lines else ():
            images = line(images, each)
        return images

    def _matrix(self, of: dict[str, torch.Tensor], operations: list["_Operation"]) -> torch.Tensor:
        config = self._config
        matrix = rotation(math.radians(config.rotate) * signed(of["rotate"][:, 0]))
        matrix = matrix @ translation(2 * config.translate * signed(of["translate"]))
        # A crop of this side, anywhere in the image, enlarged.
        side = (config.crop_scale + (1 - config.crop_scale) * of["crop"][:, 0]).sqrt()
        matrix = matrix @ translation((1 - side)[:, None] * signed(of["crop"][:, 1:])) @ scaling(side)
        for name, strength, chosen in operations:
            if name in _GEOMETRY:
                matrix = matrix @ _GEOMETRY[name](torch.where(chosen, strength, 0.0))
        return matrix


def random_crop(images: torch.Tensor, side: int, draws: torch.Tensor) -> torch.Tensor:
    """A square of each image, each at its own place. Pixels stay as they are.

    >>> random_crop(torch.zeros(2, 3, 64, 48), 32, torch.rand(2, 2)).shape
    torch.Size([2, 3, 32, 32])

    Args:
        images: Images (N, C, H, W) of any dtype.
        side: Side of the square in pixels, at most H and W.
        draws: Uniform draws in [0, 1) for rows and columns, float32 (N, 2).
    """
    room = draws.new_tensor([images.shape[2] - side + 1, images.shape[3] - side + 1])
    corners = (draws * room).long().tolist()
    cut = [image[:, top : top + side, left : left + side] for image, (top, left) in zip(images, corners, strict=True)]
    return torch.stack(cut)


def flip(images: torch.Tensor, axis: int, draws: torch.Tensor) -> torch.Tensor:
    """Mirror a random half of the images.

    Args:
        images: Images (N, C, H, W) of any dtype.
        axis: 3 is left to right, 2 is top to bottom.
        draws: Uniform draws in [0, 1), float32 (N,).
    """
    return torch.where((draws < 0.5)[:, None, None, None], images.flip(axis), images)


def shift(images: torch.Tensor, distance: int, draws: torch.Tensor) -> torch.Tensor:
    """Move each image by its own whole number of pixels along each axis; the border is mirrored.

    Mirroring keeps the background's noise and what is covered as they are; a black border would look covered.

    Args:
        images: Images (N, C, H, W) of any dtype.
        distance: Largest move in pixels; it is cut to less than H and W.
        draws: Uniform draws in [0, 1) for rows and columns, float32 (N, 2).
    """
    height, width = images.shape[2:]
    distance = min(distance, height - 1, width - 1)
    moves = (draws * (2 * distance + 1)).long() - distance
    rows, columns = (
        mirrored(torch.arange(size, device=images.device) + move[:, None], size)
        for size, move in zip((height, width), moves.T, strict=True)
    )
    each = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Cover a rectangle of each image with exact zeros (DeVries and Taylor 2017, Cutout, arXiv:1708.04552).

    Args:
        images: Images (N, C, H, W) of any dtype.
        draws: Uniform draws in [0, 1), float32 (N, 4): height, width, top, left; sides are up to half the image's.
    """
    height, width = images.shape[2:]
    tall, wide = 1 + _LONGEST_CUTOUT * draws[:, 0] * height, 1 + _LONGEST_CUTOUT * draws[:, 1] * width
    top, left = draws[:, 2] * (height - tall + 1).floor(), draws[:, 3] * (width - wide + 1).floor()
    rows, columns = _coordinates(images)
    inside = _between(rows, top, tall) & _between(columns, left, wide)
    return images.masked_fill(inside[:, None], 0)


def line(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Cover a line through each image with exact zeros.

    Args:
        images: Images (N, C, H, W) of any dtype.
        draws: Uniform draws in [0, 1), float32 (N, 5): row and column of both ends, and the width.
    """
    height, width = images.shape[2:]
    size = draws.new_tensor([height - 1, width - 1])
    start, end = draws[:, :2] * size, draws[:, 2:4] * size
    thick = 1 + _WIDEST_LINE * draws[:, 4] * min(height, width)
    direction = end - start
    length = direction.square().sum(1).clamp_min(1e-6)
    rows, columns = _coordinates(images)
    offset = torch.stack(torch.broadcast_tensors(rows, columns), -1) - start[:, None, None]
    along = ((offset * direction[:, None, None]).sum(-1) / length[:, None, None]).clamp(0, 1)
    distance = (offset - along[..., None] * direction[:, None, None]).norm(dim=-1)
    return images.masked_fill((distance <= thick[:, None, None] / 2)[:, None], 0)


_Operation = tuple[str, torch.Tensor, torch.Tensor]
"""Name, strength float32 (N,), and which images it is for, bool (N,)."""

_GEOMETRY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rotate": lambda strength: rotation(math.radians(30) * strength),
    "shear_x": lambda strength: shear(torch.stack([0.3 * strength, 0 * strength], 1)),
    "shear_y": lambda strength: shear(torch.stack([0 * strength, 0.3 * strength], 1)),
    "translate_x": lambda strength: translation(torch.stack([0.9 * strength, 0 * strength], 1)),
    "translate_y": lambda strength: translation(torch.stack([0 * strength, 0.9 * strength], 1)),
}
_LIGHT: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "brightness": lambda images, strength: brightness(images, 1 + 0.9 * strength),
    "contrast": lambda images, strength: contrast(images, 1 + 0.9 * strength),
    "sharpness": lambda images, strength: sharpness(images, 1 + 0.9 * strength),
    "posterize": lambda images, strength: posterize(images, (8 - 4 * strength.abs()).round()),
    "solarize": lambda images, strength: solarize(images, 1 - strength.abs()),
    "autocontrast": lambda images, _: autocontrast(images),
}
RANDAUGMENT: tuple[str, ...] = ("identity", *_GEOMETRY, *_LIGHT)
"""Operations of RandAugment (Cubuk et al. 2020, arXiv:1909.13719) that keep covered pixels recognisable."""


def _operations(draws: torch.Tensor, magnitude: float) -> list[_Operation]:
    operations = []
    for which, sign in (pair.T for pair in draws.split(2, 1)) if draws.shape[1] else ():
        strength = torch.where(sign < 0.5, -1.0, 1.0) * (magnitude / _MOST_MAGNITUDE)
        index = (which * len(RANDAUGMENT)).long()
        operations += [(name, strength, index == place) for place, name in enumerate(RANDAUGMENT) if place]
    return operations


def _light(
    operations: list[_Operation],
) -> list[tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], torch.Tensor, torch.Tensor]]:
    return [(_LIGHT[name], strength, chosen) for name, strength, chosen in operations if name in _LIGHT]


def _coordinates(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device, dtype=torch.float32)[None, :, None]
    return rows, torch.arange(width, device=images.device, dtype=torch.float32)[None, None, :]


def _between(places: torch.Tensor, start: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    first = start.floor()[:, None, None]
    return (places >= first) & (places < first + length.floor()[:, None, None])
