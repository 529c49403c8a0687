"""Words set in typefaces of known weight: which word is bolder?

The fonts are packages of npm, ``@fontsource/NAME``, under the SIL Open Font License. Their weights are 100 to 900.
Images differ as those of people do: in size, shape, colours and file format. Some have an alpha channel, whose hidden
colours mean nothing. Some are stored turned, and EXIF says how to turn them back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.real_data.picture import Picture
from twinrank.errors import InputError

WORDS = """
Amber Basil Birch Cedar Clover Coral Daisy Ember Fennel Garnet Hazel Heron Indigo Ivory Juniper Kestrel Lagoon Lark
Lemon Linen Maple Marble Meadow Nectar Nutmeg Ocean Olive Onyx Opal Orchid Otter Pebble Pepper Plum Quartz Quince
Raven River Robin Rowan Saffron Sage Sparrow Stone Thistle Topaz Umber Velvet Violet Walnut Willow Zephyr"""
WEIGHT_OF_ONE_LOGIT = 75
"""Difference in weight that is worth a log-odds of 1."""
LONGEST = (96, 320)
SHAPES = ((4, 3), (3, 2), (1, 1), (3, 4), (2, 1))
KINDS = ("colour.png", "alpha.png", "grey.png", "palette.png", "plain.jpg", "turned.jpg", "plain.webp", "alpha.webp")
TURNS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""EXIF orientations, and how an image is stored under them."""
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Font:
    """One weight of a typeface.

    Attributes:
        family: Name of the package, such as "inter".
        weight: 100 to 900.
        path: Font file.
    """

    family: str
    weight: int
    path: Path


def find_fonts(folder: Path) -> list[Font]:
    """Latin upright fonts of all packages of ``@fontsource`` that are installed in a folder.

    Args:
        folder: Folder in which ``npm install`` ran.

    Raises:
        InputError: There are none.
    """
    fonts = []
    for path in sorted(folder.glob("node_modules/@fontsource/*/files/*-latin-*-normal.woff2")):
        named = re.fullmatch(r"(.+)-latin-(\d+)-normal", path.stem)
        if named and named[1] == path.parents[1].name:
            fonts.append(Font(named[1], int(named[2]), path))
    if not fonts:
        raise InputError(f"{folder}: no fonts; run `npm install @fontsource/inter @fontsource/noto-serif` there")
    return fonts


def typefaces(fonts: list[Font], count: int, seed: int, longest: tuple[int, int] = LONGEST) -> Iterator[Picture]:
    """Images of words.

    Args:
        fonts: Fonts to choose from; weights come equally often where they can.
        count: Number of images.
        seed: Seed of all choices.
        longest: Least and greatest length of the longer side, in pixels.
    """
    rng = np.random.default_rng(seed)
    by_weight = [[font for font in fonts if font.weight == weight] for weight in sorted({f.weight for f in fonts})]
    for number in range(count):
        of_weight = by_weight[int(rng.integers(len(by_weight)))]
        font = of_weight[int(rng.integers(len(of_weight)))]
        kind, ending = KINDS[int(rng.integers(len(KINDS)))].split(".")
        yield Picture(
            name=f"word_{number:04d}.{ending}",
            score=font.weight / WEIGHT_OF_ONE_LOGIT,
            write=partial(_write, font=font, kind=kind, longest=longest, seed=(seed, number)),
            facts={"weight": font.weight, "family": font.family, "kind": kind},
        )


def _write(path: Path, font: Font, kind: str, longest: tuple[int, int], seed: tuple[int, int]) -> None:
    """Draws a word and stores it in the way that its kind says."""
    rng = np.random.default_rng(seed)
    ink, paper = _colours(rng)
    image = Image.new("RGB", _size(rng, longest), paper)
    mask = _word(rng, font, image.size)
    image.paste(ink, (0, 0), mask)
    if kind == "alpha":
        # The hidden colour is close to the ink: who drops alpha sees no word.
        Image.merge("RGBA", (*Image.new("RGB", image.size, ink).split(), mask)).save(path, lossless=True)
    elif kind == "turned":
        orientation = int(rng.choice(list(TURNS)))
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        image.transpose(TURNS[orientation]).save(path, quality=85, exif=exif)
    elif kind == "grey":
        image.convert("L").save(path)
    elif kind == "palette":
        image.quantize(16).save(path)
    else:
        image.save(path, quality=85)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A dark ink and a light paper."""
    ink, paper = rng.integers(0, 110, 3), rng.integers(190, 256, 3)
    return tuple(map(int, ink)), tuple(map(int, paper))


def _size(rng: np.random.Generator, longest: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    side = int(rng.integers(longest[0], longest[1] + 1))
    return side * shape[0] // max(shape), side * shape[1] // max(shape)


def _word(rng: np.random.Generator, font: Font, size: tuple[int, int]) -> Image.Image:
    """Coverage of the pixels by a word somewhere in an image of this size, mode L."""
    word = str(rng.choice(WORDS.split()))
    filled = rng.uniform(0.6, 0.92)
    left, top, right, bottom = ImageFont.truetype(font.path, 100).getbbox(word)
    points = 100 * filled * min(size[0] / (right - left), size[1] / (bottom - top))
    drawn = ImageFont.truetype(font.path, max(5, int(points)))
    left, top, right, bottom = drawn.getbbox(word)
    place = [
        rng.uniform(0.03, 0.97) * (room - used) for room, used in zip(size, (right - left, bottom - top), strict=True)
    ]
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).text((place[0] - left, place[1] - top), word, 255, drawn)
    return mask
