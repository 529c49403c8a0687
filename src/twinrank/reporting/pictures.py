"""Pictures on demand, as PNG or, by the file's ending, SVG or PDF."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.order import OrderReport
from twinrank.reporting.canvas import save_picture
from twinrank.reporting.contents import read_run
from twinrank.reporting.formats import distinct, plain
from twinrank.reporting.plots import compared_curves
from twinrank.reporting.sheets import cycle_sheet, image_rows, saliency_sheet
from twinrank.runs import distinct_runs

if TYPE_CHECKING:
    from twinrank.inference.saliency import Saliency

_LONGEST_NAME = 24
_LABELS = ("right", "equal", "left")


def draw_curves(runs: Sequence[Path], out: Path, band: bool = False) -> Path:
    """Draw the accuracy on val of runs over their epochs.

    Args:
        runs: Run folders with a history.
        out: Path of the picture.
        band: Whether to draw one curve with a band, for runs that differ in their seed.

    Raises:
        InputError: A folder is not a run folder, is given twice or has no history yet, or the file cannot be written.
    """
    histories, names = [], []
    for run in distinct_runs(runs):
        history = read_run(run, current=False).history
        if not history:
            raise InputError(f"{run}: no epoch has ended yet; wait for the first")
        name = run.resolve().name
        histories.append(history)
        names.append(name if name not in names else str(run))
    return save_picture(compared_curves(dict(zip(distinct(names), histories, strict=True)), band), out)


def draw_saliency(data: Judgements, saliency: "Saliency", out: Path) -> Path:
    """Draw the spots that decisions rest on.

    Args:
        data: Pairs.
        saliency: Saliency of the same pairs.
        out: Path of the picture.

    Raises:
        InputError: The file cannot be written.
    """
    captions = [f"row {plain(name, _LONGEST_NAME)}" for name in data.row_ids]
    if data.y is not None:
        captions = [
            f"{text}, label: {_LABELS[1 + int(np.sign(y - 0.5))]}" for text, y in zip(captions, data.y, strict=True)
        ]
    return save_picture(saliency_sheet(data.xa, data.xb, *saliency, captions), out)


def draw_cycles(pool: Pool, report: OrderReport, out: Path) -> Path:
    """Draw the clearest cycles, each image with its place in the ranking.

    Args:
        pool: Images.
        report: Report on the predictions for all their pairs.
        out: Path of the picture.

    Raises:
        InputError: The file cannot be written.
    """
    place = np.argsort(report.ranking) + 1
    captions = [
        f"{plain(name, _LONGEST_NAME)}\nplace {rank:,} of {len(pool):,}"
        for name, rank in zip(pool.names, place, strict=True)
    ]
    return save_picture(cycle_sheet(pool.images, report.cycles, captions), out)


def draw_augmentations(examples: Mapping[str, np.ndarray], out: Path) -> Path:
    """Draw the effect of each augmentation on some images, a row for each.

    Args:
        examples: Images by name, of :func:`twinrank.data.augmentation.examples.augmented_examples`.
        out: Path of the picture.

    Raises:
        InputError: The file cannot be written.
    """
    return save_picture(image_rows(examples), out)
