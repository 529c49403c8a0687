"""The benchmark's generator as a simple loop: draw, corrupt and join one pair after the other with Pillow.

It is the rival of ``make_data.py`` and, because it follows ``docs/benchmark.md`` word by word, the oracle of the tests.
"""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter


def corrupt(digit: np.ndarray, rng: random.Random, s: int) -> np.ndarray:
    """One digit, uint8 (28, 28), corrupted at severity ``s``."""
    side = min(40, max(16, round(28 * (1 + rng.uniform(-0.05 * s, 0.05 * s)))))
    canvas = Image.new("L", (36, 36), 0)
    digit_image = Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR)
    canvas.paste(digit_image, ((36 - side) // 2, (36 - side) // 2))
    canvas = canvas.rotate(rng.uniform(-6 * s, 6 * s), Image.Resampling.BILINEAR, fillcolor=0)
    m = min(8, 2 * s)
    ox, oy = (min(8, max(0, 4 + rng.randint(-m, m))) for _ in range(2))
    image = canvas.crop((ox, oy, ox + 28, oy + 28))
    if s > 0:
        contrast, brightness = (1 + rng.uniform(-0.15, 0.15) * s / 3 for _ in range(2))
        image = ImageEnhance.Brightness(ImageEnhance.Contrast(image).enhance(contrast)).enhance(brightness)
        noise = np.random.RandomState(rng.randint(0, 2**31 - 1)).normal(0, 3 * s, (28, 28))
        image = Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))
    if s >= 3:
        image = image.filter(ImageFilter.GaussianBlur(0.2 * s))
        if rng.random() <= 0.35 + 0.05 * s:
            line = [rng.randint(0, 27) for _ in range(4)]
            ImageDraw.Draw(image).line(line, fill=0, width=rng.randint(1, max(1, s // 2)))
    for _ in range(s // 2):
        w, h = rng.randint(2, 2 + 3 * s), rng.randint(2, 2 + 3 * s)
        x, y = rng.randint(0, max(0, 28 - w)), rng.randint(0, max(0, 28 - h))
        ImageDraw.Draw(image).rectangle((x, y, x + w, y + h), fill=0)
    return np.asarray(image)


def make_split(
    images: np.ndarray, labels: np.ndarray, pairs: int, seed: int, severity: int = 6, weight_diff1: float = 0.8
) -> tuple[np.ndarray, np.ndarray]:
    """A split from a pool of digits: ``x`` uint8 (N, 28, 56) and ``y`` int8 (N,)."""
    rng = random.Random(seed)
    members = [np.flatnonzero(labels == digit).tolist() for digit in range(10)]
    made = []
    for row in range(pairs):
        greater = row < pairs // 2
        near = rng.random() < weight_diff1
        left = rng.randint(1, 9) if greater else rng.randint(0, 8)
        if near:
            right = left - 1 if greater else left + 1
        else:
            right = rng.randint(0, left - 1) if greater else rng.randint(left + 1, 9)
        pair = [images[rng.choice(members[digit])] for digit in (left, right)]
        made.append((np.concatenate([corrupt(digit, rng, severity) for digit in pair], axis=1), int(greater)))
    rng.shuffle(made)
    x, y = zip(*made, strict=True)
    return np.stack(x), np.array(y, np.int8)
