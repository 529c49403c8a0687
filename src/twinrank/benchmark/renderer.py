"""The corruption of :mod:`twinrank.benchmark.corruption` for whole batches, on any device: alike, not byte for byte.

Random numbers come from torch. Each step is Pillow's, and rounds and cuts off where Pillow does. The same draws and
noise cover exactly the same pixels. Less than a hundredth of the pixels differ, by one to three grey levels.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from twinrank.benchmark.corruption import CANVAS_SIZE, IMAGE_SIZE, MARGIN
from twinrank.config import MAX_SEVERITY
from twinrank.core.torch_random import signed

_LAST = IMAGE_SIZE - 1
_ALL_COLUMNS = (1 << IMAGE_SIZE) - 1
_WIDEST_LINE = MAX_SEVERITY // 2
_ROUNDING_ERROR = 1 / 256
"""More than the error of float32 in an interpolated pixel: added before the fraction is cut off."""
_NOISE_BITS = 15
"""Bits of a normal number. Only 1 pixel in 30,000 would be further out than the last of so many values (4.2)."""
_BLUR_PASSES = 3
"""Boxes that Pillow's Gaussian blur is made of, along each axis."""
_TIES = 500
"""Pillow rounds the blur's weights to 24 bits, which decides where two grey levels are equally near. That error,
enlarged so many times, decides in float32, too, and changes nothing else."""


class Draws(NamedTuple):
    """The corruptions of N digits: fields of :data:`twinrank.benchmark.corruption.CORRUPTION`, and the noise itself.

    Attributes:
        side: Edge of the digit in pixels after scaling, int64 (N,).
        angle: Degrees, float32 (N,).
        crop: Left and top on the canvas, int64 (N, 2).
        contrast: Factors, float32 (N,).
        brightness: Factors, float32 (N,).
        noise: Standard normal numbers, float32 (N, 28, 28).
        line: Ends x1, y1, x2, y2 of a line, int64 (N, 4).
        line_width: Width of the line, 0 for none, int64 (N,).
        cutouts: Rectangles x, y, width and height, int64 (N, C, 4).
    """

    side: torch.Tensor
    angle: torch.Tensor
    crop: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor
    noise: torch.Tensor
    line: torch.Tensor
    line_width: torch.Tensor
    cutouts: torch.Tensor


def corrupt_batch(digits: torch.Tensor, severity: int, generator: torch.Generator) -> torch.Tensor:
    """Corrupt digits, each in its own way, as the benchmark does.

    On a CPU some hundred digits at a time are fastest.

    Args:
        digits: Digits, uint8 (N, 28, 28).
        severity: Strength, 0 (none) to 6 (the benchmark's).
        generator: Generator of every draw, on its own device; the same state gives the same images.

    Returns:
        uint8 (N, 28, 28), on the digits' device.
    """
    draws = draw_corruptions(len(digits), severity, generator)
    return render_batch(digits, Draws(*(field.to(digits.device) for field in draws)), severity)


def draw_corruptions(n: int, severity: int, generator: torch.Generator) -> Draws:
    """Draw the parameters of :func:`twinrank.benchmark.corruption.draw_corruption` for n digits.

    Args:
        n: Number of digits.
        severity: Strength, 0 to 6.
        generator: Generator of every draw; the result is on its device.
    """
    slots = severity // 2
    uniform = torch.rand(12 + 4 * slots, n, generator=generator, device=generator.device)
    factor, angle, contrast, brightness, lined, thickness = uniform[:6]
    shift = min(8, 2 * severity)
    crop = MARGIN + _whole(uniform[6:8].T, -shift, shift)
    line_width = _whole(thickness, 1, max(1, severity // 2))
    size = _whole(uniform[12 : 12 + 2 * slots], 2, 2 + 3 * severity)
    place = _whole(uniform[12 + 2 * slots :], 0, IMAGE_SIZE - size)
    return Draws(
        # Up to severity 6 no digit grows beyond the canvas or shrinks below the 16 pixels that the benchmark allows.
        side=(IMAGE_SIZE * (1 + 0.05 * severity * signed(factor))).round().long(),
        angle=6 * severity * signed(angle),
        crop=crop.clamp(0, 2 * MARGIN),
        contrast=1 + 0.05 * severity * signed(contrast),
        brightness=1 + 0.05 * severity * signed(brightness),
        noise=_normal(n, generator),
        line=_whole(uniform[8:12].T, 0, _LAST),
        line_width=torch.where((lined <= 0.35 + 0.05 * severity) & (severity >= 3), line_width, 0),
        cutouts=torch.cat([place, size]).view(4, slots, n).permute(2, 1, 0),
    )


def render_batch(digits: torch.Tensor, draws: Draws, severity: int) -> torch.Tensor:
    """Render corruptions, by the steps of :func:`twinrank.benchmark.corruption.corrupt`.

    Args:
        digits: Digits, uint8 (N, 28, 28).
        draws: Corruptions of the digits, on their device.
        severity: Strength that they were drawn for.

    Returns:
        uint8 (N, 28, 28). What a line or a cutout covers is exactly 0.
    """
    place = _placement(digits.device).index_select(0, draws.side)
    canvas = _rounded(place @ _rounded(digits.float() @ place.mT))
    image = _turned(canvas, draws.angle.deg2rad(), draws.crop)
    mean = _rounded(image.mean((1, 2), keepdim=True))
    image = _cut_off(image.sub_(mean).mul_(_each(draws.contrast)).add_(mean))
    image = _cut_off(image.mul_(_each(draws.brightness)))
    image = _cut_off(image.add_(draws.noise, alpha=3 * severity))
    if severity >= 3:
        image = _blurred(image, 0.2 * severity)
    return image.int().mul_(visible(draws)).to(torch.uint8)


def _turned(canvas: torch.Tensor, angle: torch.Tensor, crop: torch.Tensor) -> torch.Tensor:
    """Crops (N, 28, 28) of canvases (N, 36, 36) turned by radians (N,).

    The canvas's outermost pixels fade into the black around it. Pillow's do not, but they are black themselves, unless
    a digit touches its own border and is scaled to the whole canvas.
    """
    places = torch.arange(IMAGE_SIZE, device=canvas.device) + (0.5 - CANVAS_SIZE / 2)
    columns, rows = ((places + start[:, None]) / (CANVAS_SIZE / 2) for start in crop.T)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    by_column, by_row = torch.stack([cos * columns, sin * columns]), torch.stack([-sin * rows, cos * rows])
    # One long row, x and y apart, is twice as fast to make and to read as a grid of points.
    grid = (by_column[:, :, None] + by_row[..., None]).flatten(2)[:, :, None].permute(1, 2, 3, 0)
    turned = functional.grid_sample(canvas[:, None], grid, "bilinear", "zeros", align_corners=False)
    return turned.view(-1, IMAGE_SIZE, IMAGE_SIZE).add_(_ROUNDING_ERROR).floor_()


def _box_weights(radius: float) -> tuple[float, float]:
    """Weights of a pixel and of each neighbour in one box of the blur."""
    own = 1 - radius**2 / _BLUR_PASSES
    beside = (1 - own) / 2
    # As integers, the way Pillow has them: the whole is 2^24.
    own_bits = int(np.float32(1 << 24) / np.float32(1 / own))
    beside_bits = ((1 << 24) - own_bits) // 2
    return own + _TIES * (own_bits / 2**24 - own), beside + _TIES * (beside_bits / 2**24 - beside)


def _blurred(image: torch.Tensor, radius: float) -> torch.Tensor:
    """Pillow's Gaussian blur: extended boxes (Gwosdek et al. 2011, doi:10.1007/978-3-642-24785-9_38), (N, 28, 28).

    Up to severity 6 a box is a pixel with a part of each neighbour, and each pass ends in whole grey levels.
    """
    own, beside = _box_weights(radius)
    width = IMAGE_SIZE + 2
    padded = image.new_empty(len(image), width, width)
    padded[:, 1:-1, 1:-1] = image
    # All pixels are one long row. Images mix in the borders alone, which are copied anew each time.
    row, sums = padded.view(-1), image.new_empty(padded.numel())
    for axis, step in (2, 1), (1, width):
        first, second, *_, last_but_one, last = padded.unbind(axis)
        before, pixels, after = row[: -2 * step], row[step:-step], row[2 * step :]
        neighbours = sums[step:-step]
        for _ in range(_BLUR_PASSES):
            first.copy_(second)
            last.copy_(last_but_one)
            torch.add(before, after, out=neighbours)
            pixels.mul_(own).add_(neighbours, alpha=beside).round_()
    return padded[:, 1:-1, 1:-1]


def visible(draws: Draws) -> torch.Tensor:
    """Int32 (N, 28, 28): 0 where a line or a cutout lies, else 1."""
    places = torch.arange(IMAGE_SIZE, device=draws.line.device)
    x1, y1, x2, y2 = draws.line.T[..., None]
    lines = _line_words(draws.line.device)
    drawn = lines[draws.line_width, y2[:, 0] - y1[:, 0] + _LAST, x2[:, 0] - x1[:, 0] + _LAST]
    # A row is a word with a bit for each column.
    covered = drawn.gather(1, places - y1 + _LAST) >> (_LAST + _WIDEST_LINE - x1)
    place, size = draws.cutouts.split(2, -1)
    columns, rows = (((2 << size) - 1) << place)[..., None].unbind(2)
    for cutout in ((rows >> places & 1) * columns).unbind(1):
        covered |= cutout
    seen = (~covered & _ALL_COLUMNS).int()
    return (seen[..., None] >> places.int()).bitwise_and_(1)


def _normal(n: int, generator: torch.Generator) -> torch.Tensor:
    """Standard normal float32 (n, 28, 28), to 15 bits: four of a random word, in half the time of ``torch.randn``."""
    words = torch.empty(n * IMAGE_SIZE**2 // 4, dtype=torch.int64, device=generator.device).random_(generator=generator)
    # A random word is never negative: it has no sixteenth bit for the last of the four.
    places = words.view(torch.int16).bitwise_and_((1 << _NOISE_BITS) - 1)
    return _quantiles(generator.device).index_select(0, places.int()).view(n, IMAGE_SIZE, IMAGE_SIZE)


@cache
def _quantiles(device: torch.device) -> torch.Tensor:
    """Float32 (2^15,), equally likely values of the standard normal distribution."""
    count = 1 << _NOISE_BITS
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).float().to(device)


@cache
def _placement(device: torch.device) -> torch.Tensor:
    """Matrices (36, 28) by side. Each scales a column of pixels as Pillow does, and puts it on the canvas."""
    matrices = np.zeros((CANVAS_SIZE + 1, CANVAS_SIZE, IMAGE_SIZE), np.float32)
    unit = Image.fromarray(np.eye(IMAGE_SIZE, dtype=np.float32))
    for side in range(1, CANVAS_SIZE + 1):
        offset = (CANVAS_SIZE - side) // 2
        scaled = unit.resize((IMAGE_SIZE, side), Image.Resampling.BILINEAR)
        matrices[side, offset : offset + side] = np.asarray(scaled)
    return torch.from_numpy(matrices).to(device)


@cache
def _line_words(device: torch.device) -> torch.Tensor:
    """Every line, drawn by Pillow.

    Returns:
        Words, int64 (4, 55, 55, 55), by width, y2 - y1, x2 - x1 and row. Both differences begin at -27, and rows at
        y1 - 27. The lowest bit of a word is column x1 - 30.
    """
    reach = 2 * _LAST + 1
    origin, size = _LAST + _WIDEST_LINE, reach + 2 * _WIDEST_LINE
    words = np.zeros((_WIDEST_LINE + 1, reach, reach, reach), np.int64)
    drawn = np.empty((reach, reach, reach, size), bool)
    for width in range(1, _WIDEST_LINE + 1):
        for down, right in np.ndindex(reach, reach):
            image = Image.new("L", (size, size))
            line = origin, origin, origin + right - _LAST, origin + down - _LAST
            ImageDraw.Draw(image).line(line, fill=1, width=width)
            drawn[down, right] = np.asarray(image)[_WIDEST_LINE:-_WIDEST_LINE]
        words[width] = drawn @ (1 << np.arange(size))
    return torch.from_numpy(words).to(device)


def _whole(uniform: torch.Tensor, low: int, high: torch.Tensor | int) -> torch.Tensor:
    """Whole numbers from low to high, both ends included."""
    return low + (uniform * (high - low + 1)).long()


def _rounded(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.add_(0.5).floor_()


def _cut_off(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.clamp_(0, 255).floor_()


def _each(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None]
