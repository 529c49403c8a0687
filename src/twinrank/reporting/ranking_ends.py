"""The two ends of a ranking as a picture: the images that rank highest, and those that rank lowest."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from twinrank.core.files import read_bytes
from twinrank.core.messages import counted, first_few, quoted
from twinrank.data.formats.votes.cells import Cells, read_delimited, text_of
from twinrank.data.formats.votes.names import find_images
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.inputs import require_kept
from twinrank.errors import InputError
from twinrank.reporting.canvas import DOTS_AN_INCH, INK, MUTED, save_picture
from twinrank.reporting.ranking_page import number

MOST_IMAGES = 20
"""Most images of a row; viewers show no wider picture at its full size."""
_NUMBERS = ("score", "low", "high", "rank")
_SIDE, _GAP, _MARGIN, _NARROWEST = 128, 20, 30, 760
"""Pixels: a thumbnail, what lies between two, the margin, and the least width, which the titles need."""
_TITLE, _CAPTION = 46, 96
"""Pixels in height of a title, and of what stands below a thumbnail."""
_STEP = 5
"""Values of pixels are rounded to multiples of it, which no eye sees: a PNG with noise is a quarter smaller."""


@dataclass(frozen=True, eq=False)
class RankedImages:
    """Images with their scores, the highest first.

    Attributes:
        names: Names of the images, M of them.
        score: Scores, float (M,).
        low: Lower ends of their 95% intervals, float (M,).
        high: Upper ends, the same.
        rank: Ranks, float (M,), 1 for the highest.
    """

    names: list[str]
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rank: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def read_ranking(path: Path) -> RankedImages:
    """Read a ranking that ``twinrank rank`` or ``twinrank fit`` has written. Further columns may be there.

    Args:
        path: CSV with the columns image, score, low, high and rank.

    Raises:
        InputError: It is no table, columns are missing, it has fewer than two images, or cells are not finite numbers.
    """
    cells = read_delimited(path, text_of(path, read_bytes(path)))
    missing = [quoted(name) for name in ("image", *_NUMBERS) if name not in cells.columns]
    if missing:
        found = ", ".join(map(quoted, cells.columns))
        raise InputError(
            f"{path}: without {counted(len(missing), 'column', 'columns')} of a ranking: {', '.join(missing)}; it has"
            f" {found}. Give a ranking.csv of 'twinrank rank' or 'twinrank fit'"
        )
    if len(cells) < 2:
        raise InputError(f"{path}: {counted(len(cells), 'image', 'images')} ranked; two ends need 2 or more")
    values = _numbers(cells)
    order = np.argsort(values["rank"], kind="stable")
    return RankedImages([cells.columns["image"][row] for row in order], **{k: v[order] for k, v in values.items()})


def _numbers(cells: Cells) -> dict[str, np.ndarray]:
    """The columns of numbers, float (M,) each."""
    values: dict[str, list[float]] = {name: [] for name in _NUMBERS}
    wrong = []
    for row, line in enumerate(cells.lines):
        for name, column in values.items():
            column.append(_number(cells.columns[name][row]))
            if not math.isfinite(column[-1]):
                wrong.append(f"line {line}: {name} {quoted(cells.columns[name][row])}")
    if wrong:
        raise InputError(
            f"{cells.path}: {counted(len(wrong), 'cell is no finite number', 'cells are no finite numbers')}"
            f" ({first_few(wrong)}); correct them, or rank the images again"
        )
    return {name: np.array(column) for name, column in values.items()}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def draw_ranking(ranking: Path, images: Path, out: Path, count: int = 6, reading: Reading = Reading(fit="pad")) -> Path:
    """Draw the images that rank highest and lowest, a row each, with their ranks, scores and intervals.

    Each image is drawn once, so a row of a short ranking has at most half of its images.

    Args:
        ranking: CSV that ``twinrank rank`` has written.
        images: Folder of the images that it names.
        out: Path of the picture.
        count: Most images of a row, 1 to 20.
        reading: How files become thumbnails, whose size is fixed. ``pad`` shows whole images with their aspect ratio.
            ``native`` shows their middles unscaled: blur and noise stay visible.

    Raises:
        InputError: The ranking is none (:func:`read_ranking`), images are missing or cannot be read, ``count`` is out
            of range, or the file cannot be written or is one of the images.
    """
    if not 1 <= count <= MOST_IMAGES:
        raise InputError(f"`count` is {count}; 1 to {MOST_IMAGES} are possible")
    ranked = read_ranking(ranking)
    files = find_images(ranked.names, images, ranking)
    require_kept([out], [ranking, *files])
    length = min(count, len(ranked) // 2)
    shown = [*range(length), *range(len(ranked) - length, len(ranked))]
    names, paths = [ranked.names[place] for place in shown], [files[place] for place in shown]
    thumbnails = ImageStore.from_files(names, paths, replace(reading, size=_SIDE), images)
    pixels = thumbnails.take(np.arange(len(shown)))
    return save_picture(_figure(ranked, [shown[:length], shown[length:]], pixels), out)


def _figure(ranked: RankedImages, rows: list[list[int]], pixels: np.ndarray) -> Figure:
    """The picture; a pixel of a thumbnail is a pixel of a PNG.

    Args:
        ranked: All ranked images.
        rows: Places in the ranking, from 0, of the images of each row.
        pixels: Their thumbnails in the same order, uint8 (n, C, side, side).
    """
    length = len(rows[0])
    width = max(2 * _MARGIN + length * (_SIDE + _GAP) - _GAP, _NARROWEST)
    height = _MARGIN + len(rows) * (_TITLE + _SIDE + _CAPTION)
    figure = Figure(figsize=(width / DOTS_AN_INCH, height / DOTS_AN_INCH))
    rounded = (np.rint(pixels / _STEP) * _STEP).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    thumbnails = iter(np.broadcast_to(rounded, (*rounded.shape[:3], 3)))
    titles = f"Highest of {len(ranked):,} images: rank, score and its 95% interval", "Lowest"
    for line, (title, places) in enumerate(zip(titles, rows, strict=True)):
        top = height - _MARGIN - line * (_TITLE + _SIDE + _CAPTION)
        figure.text(_MARGIN / width, top / height, title, size=9, color=INK, va="top")
        for column, place in enumerate(places):
            left, bottom = _MARGIN + column * (_SIDE + _GAP), top - _TITLE - _SIDE
            axes = figure.add_axes((left / width, bottom / height, _SIDE / width, _SIDE / height))
            axes.imshow(next(thumbnails), interpolation="none")
            axes.set_axis_off()
            score, low, high = (number(float(each[place])) for each in (ranked.score, ranked.low, ranked.high))
            for text, below, size, colour in (
                (f"{ranked.rank[place]:.0f}", 8, 7, INK),
                (score, 34, 6, INK),
                (f"{low} to {high}", 56, 5.5, MUTED),
            ):
                middle, y = (left + _SIDE / 2) / width, (bottom - below) / height
                figure.text(middle, y, text, size=size, color=colour, ha="center", va="top")
    return figure
