"""A picture of some pairs of a file, with their labels."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from twinrank.core.files import replacing, require_ending
from twinrank.core.messages import counted
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.reporting.formats import plain

MOST_PAIRS = 400
"""Most pairs of a sheet; viewers and memory bear no larger picture."""

_PAPER, _INK, _MUTED = "#ffffff", "#1f2430", "#5b6472"
_WINNER = "#e69f00"
"""Okabe and Ito's orange."""
_COLUMNS = 8
_IMAGE_SIDE = 96
_GAP, _BAR, _MARGIN, _BETWEEN = 4, 5, 32, 26
_HEADING, _CAPTION, _SMALL = 26, 17, 14
_NARROWEST, _NARROWEST_CELL = 560, 150
_LONGEST_TEXT = 300
_LINE = 1.35
"""Line height, times the font size."""


def draw_sheet(data: Judgements, out: Path, pairs: int = 40, seed: int = 0) -> np.ndarray:
    """Draw pairs taken at random, in file order, as a PNG; a bar marks the image that ranks higher.

    Small images are enlarged by a whole factor, so that every pixel stays visible. Large images are reduced.

    Args:
        data: Pairs, labelled or not.
        out: Path of the PNG.
        pairs: Number of pairs; all pairs if the file has fewer.
        seed: Seed of the choice.

    Returns:
        Rows that are drawn, int64 (min(pairs, N),).

    Raises:
        InputError: ``pairs`` is not 1 to 400, ``out`` does not end in .png, or the file cannot be written.
    """
    require_ending(out, ".png")
    if not 1 <= pairs <= MOST_PAIRS:
        raise InputError(f"`pairs` is {pairs}; 1 to {MOST_PAIRS} are possible")
    rows = np.sort(numpy_generator(seed, "sheet").choice(len(data), min(pairs, len(data)), replace=False))
    drawn = data.select(rows)
    sheet = _Sheet.of(drawn)
    picture = Image.new("RGB", sheet.size, _PAPER)
    draw = ImageDraw.Draw(picture)
    _draw_heading(draw, sheet, drawn, len(data))
    for position in range(len(rows)):
        corner = sheet.corner(position)
        _draw_pair(picture, draw, sheet, corner, drawn, position)
        _draw_caption(draw, sheet, corner, drawn, position)
    with replacing(out) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    return rows


@dataclass(frozen=True)
class _Sheet:
    """Places in pixels: a heading, then cells of two images over their caption."""

    image: tuple[int, int]
    cell: tuple[int, int]
    columns: int
    lines: int

    @classmethod
    def of(cls, drawn: Judgements) -> "_Sheet":
        height, width = drawn.images.shape[1:]
        scale = _IMAGE_SIDE / max(height, width)
        scale = int(scale) if scale >= 1 else scale
        image = max(1, round(width * scale)), max(1, round(height * scale))
        caption = _BAR + 2 * _GAP + round((_SMALL + (0 if drawn.y is None else _CAPTION)) * _LINE)
        columns = min(len(drawn), _COLUMNS)
        cell = max(2 * image[0] + _GAP, _NARROWEST_CELL), image[1] + caption
        return cls(image, cell, columns, -(-len(drawn) // columns))

    @property
    def top(self) -> int:
        return _MARGIN + round((_HEADING + _CAPTION) * _LINE) + _BETWEEN

    @property
    def size(self) -> tuple[int, int]:
        width, height = (
            (cell + _BETWEEN) * times - _BETWEEN
            for cell, times in zip(self.cell, (self.columns, self.lines), strict=True)
        )
        return max(width, _NARROWEST) + 2 * _MARGIN, self.top + height + _MARGIN

    def corner(self, position: int) -> tuple[int, int]:
        line, column = divmod(position, self.columns)
        return _MARGIN + column * (self.cell[0] + _BETWEEN), self.top + line * (self.cell[1] + _BETWEEN)


def _draw_heading(draw: ImageDraw.ImageDraw, sheet: _Sheet, drawn: Judgements, total: int) -> None:
    channels, height, width = drawn.images.shape
    colour = "grey" if channels == 1 else "RGB"
    summary = f"{len(drawn):,} of {counted(total, 'pair', 'pairs')}, {height} × {width} {colour}"
    if drawn.y is not None:
        summary += "; the bar marks the image that ranks higher"
    room = sheet.size[0] - 2 * _MARGIN
    for text, top, size, ink, bold in (
        (drawn.path.name, _MARGIN, _HEADING, _INK, True),
        (summary, _MARGIN + _HEADING * _LINE, _CAPTION, _MUTED, False),
    ):
        draw.text((_MARGIN, top), _shortened(text, size, bold, room), ink, _font(size, bold))


def _draw_pair(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    sheet: _Sheet,
    corner: tuple[int, int],
    drawn: Judgements,
    position: int,
) -> None:
    width, height = sheet.image
    x, y = corner[0] + (sheet.cell[0] - 2 * width - _GAP) // 2, corner[1]
    sides = np.array([drawn.left[position], drawn.right[position]])
    for side, pixels in enumerate(drawn.images.take(sides)):
        left = x + side * (width + _GAP)
        picture.paste(_scaled(pixels, sheet.image), (left, y))
        if drawn.y is not None and (drawn.y[position] - 0.5) * (0.5 - side) > 0:
            top = y + height + _GAP
            draw.rectangle((left, top, left + width - 1, top + _BAR - 1), _WINNER)


def _draw_caption(
    draw: ImageDraw.ImageDraw, sheet: _Sheet, corner: tuple[int, int], drawn: Judgements, position: int
) -> None:
    lines = []
    if drawn.y is not None:
        sign = "<=>"[1 + int(np.sign(drawn.y[position] - 0.5))]
        lines.append((f"left {sign} right", _CAPTION, _INK, True))
    lines.append((str(drawn.row_ids[position]), _SMALL, _MUTED, False))
    middle = corner[0] + sheet.cell[0] / 2
    top = corner[1] + sheet.image[1] + _BAR + 2 * _GAP
    for text, size, ink, bold in lines:
        draw.text((middle, top), _shortened(text, size, bold, sheet.cell[0]), ink, _font(size, bold), anchor="ma")
        top += size * _LINE


def _scaled(pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    eight_bit = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(eight_bit[0] if len(eight_bit) == 1 else eight_bit.transpose(1, 2, 0)))
    return image.resize(size, Image.Resampling.NEAREST if size >= image.size else Image.Resampling.LANCZOS)


def _shortened(text: str, size: int, bold: bool, room: int) -> str:
    text = plain(text[:_LONGEST_TEXT], _LONGEST_TEXT)
    font, kept = _font(size, bold), len(text)
    while kept > 1 and font.getlength(text) > room:
        kept -= 1
        text = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return text


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: the same on every machine, with most alphabets."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", name), size)
