"""The benchmark's corruption of one digit, split into *drawing* its parameters and *rendering* them.

The draws never depend on pixels. So the whole benchmark is drawn first, by one sequential generator, into
an array of :data:`CORRUPTION`. It is rendered afterwards, in any sequence and on any number of cores, to the
same bytes.
"""

import random
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from twinrank.config import MAX_SEVERITY

IMAGE_SIZE = 28

CANVAS_SIZE = 36
MARGIN = (CANVAS_SIZE - IMAGE_SIZE) // 2
_MAX_CUTOUTS = MAX_SEVERITY // 2

CORRUPTION = np.dtype(
    [
        ("severity", np.uint8),
        ("side", np.uint8),
        ("angle", np.float64),
        ("crop", np.uint8, 2),
        ("contrast", np.float64),
        ("brightness", np.float64),
        ("noise_seed", np.uint32),
        ("line", np.uint8, 4),
        ("line_width", np.uint8),
        ("cutouts", np.uint8, (_MAX_CUTOUTS, 4)),
    ]
)
"""The corruption of one digit.

``side`` is the digit's edge in pixels after scaling. ``angle`` is in degrees. ``crop`` is the upper left corner on the
36x36 canvas. ``line`` is x1, y1, x2, y2; its ``line_width`` is 0 for no line. A cutout is x, y, width, height.
Only the first ``severity // 2`` cutouts count.
"""


def draw_corruption(rng: random.Random, severity: int) -> tuple:
    """Draw the parameters of one corruption.

    Args:
        rng: Generator of the benchmark; numbers are drawn in the benchmark's sequence.
        severity: Strength, 0 (none) to 6 (the benchmark's).

    Returns:
        The fields of one :data:`CORRUPTION`, one after the other.
    """
    uniform, randint = rng.uniform, rng.randint
    factor = 1 + uniform(-0.05 * severity, 0.05 * severity)
    side = min(40, max(16, round(IMAGE_SIZE * factor)))
    angle = uniform(-6 * severity, 6 * severity)
    shift = min(8, 2 * severity)
    crop = (
        min(2 * MARGIN, max(0, MARGIN + randint(-shift, shift))),
        min(2 * MARGIN, max(0, MARGIN + randint(-shift, shift))),
    )
    cutouts = [(0, 0, 0, 0)] * _MAX_CUTOUTS
    line, line_width = (0, 0, 0, 0), 0
    if severity == 0:
        return severity, side, angle, crop, 1.0, 1.0, 0, line, line_width, cutouts

    contrast = 1 + uniform(-0.15, 0.15) * severity / 3
    brightness = 1 + uniform(-0.15, 0.15) * severity / 3
    noise_seed = randint(0, 2**31 - 1)
    if severity >= 3 and rng.random() <= 0.35 + 0.05 * severity:
        last = IMAGE_SIZE - 1
        line = (randint(0, last), randint(0, last), randint(0, last), randint(0, last))
        line_width = randint(1, max(1, severity // 2))
    longest = 2 + 3 * severity
    for i in range(severity // 2):
        width, height = randint(2, longest), randint(2, longest)
        x = randint(0, max(0, IMAGE_SIZE - width))
        y = randint(0, max(0, IMAGE_SIZE - height))
        cutouts[i] = (x, y, width, height)
    return severity, side, angle, crop, contrast, brightness, noise_seed, line, line_width, cutouts


def corrupt(digit: np.ndarray, corruption: np.void, noise_source: np.random.RandomState) -> np.ndarray:
    """Render one corruption.

    Args:
        digit: Digit, uint8 (28, 28).
        corruption: One :data:`CORRUPTION`.
        noise_source: Source of the noise, seeded anew here. To make one takes four times as long as to seed it.

    Returns:
        uint8 (28, 28).
    """
    fields: tuple[Any, ...] = corruption.tolist()  # pyright: ignore[reportAssignmentType]
    severity, side, angle, crop, contrast, brightness, noise_seed, line, line_width, cutouts = fields

    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (CANVAS_SIZE, CANVAS_SIZE))
    offset = (CANVAS_SIZE - side) // 2
    canvas.paste(image, (offset, offset))
    canvas = canvas.rotate(angle, Image.Resampling.BILINEAR, fillcolor=0)
    left, top = crop
    image = canvas.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))
    if severity == 0:
        return np.asarray(image)

    # What ImageEnhance.Contrast and .Brightness do, without their detour through ImageStat.
    mean = int(np.asarray(image).sum() / IMAGE_SIZE**2 + 0.5)
    image = Image.blend(Image.new("L", image.size, mean), image, contrast)
    image = Image.blend(Image.new("L", image.size), image, brightness)

    noise_source.seed(noise_seed)
    noisy = noise_source.normal(0, 3 * severity, (IMAGE_SIZE, IMAGE_SIZE))
    noisy += np.asarray(image)
    image = Image.fromarray(noisy.clip(0, 255, out=noisy).astype(np.uint8))

    if severity >= 3:
        image = image.filter(ImageFilter.GaussianBlur(0.2 * severity))
    if line_width:
        ImageDraw.Draw(image).line(line.tolist(), fill=0, width=line_width)
    pixels = np.array(image)
    for x, y, width, height in cutouts[: severity // 2]:
        pixels[y : y + height + 1, x : x + width + 1] = 0
    return pixels


def render(digits: np.ndarray, corruptions: np.ndarray) -> np.ndarray:
    """Render corrupted digits.

    Args:
        digits: Digits, uint8 (n, 28, 28).
        corruptions: Corruptions, :data:`CORRUPTION` (n,).

    Returns:
        uint8 (n, 28, 28).
    """
    out = np.empty_like(digits)
    noise_source = np.random.RandomState()
    for i, corruption in enumerate(corruptions):
        out[i] = corrupt(digits[i], corruption, noise_source)
    return out
