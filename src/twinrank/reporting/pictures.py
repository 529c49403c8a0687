"""Pictures on demand, as PNG or, by the file's ending, SVG or PDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from twinrank.config import TrainConfig
from twinrank.data.augment import Augmentation
from twinrank.data.pairs import PairData
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.order import OrderReport
from twinrank.evaluation.saliency import Saliency
from twinrank.files import replacing, require_ending
from twinrank.randomness import numpy_generator, torch_generator
from twinrank.reporting.contents import distinct_runs, read_run
from twinrank.reporting.plots import compared_curves, cycle_sheet, image_rows, saliency_sheet

_ENDINGS = (".png", ".svg", ".pdf")
_DOTS_AN_INCH = 200
_SHOWN = 8
_LONGEST_NAME = 24
_AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "shift 2": {"shift": 2},
    "rotate 10": {"rotate": 10.0},
    "translate 0.1": {"translate": 0.1},
    "crop_scale 0.9": {"crop_scale": 0.9},
    "randaugment 2": {"randaugment": 2},
    "cutout 1": {"cutout": 1},
    "lines 1": {"lines": 1},
    "brightness 0.4": {"brightness": 0.4},
    "contrast 0.4": {"contrast": 0.4},
}
"""What is drawn; all but the last two as strong as they are meant to be used."""


def save_picture(figure: Figure, out: Path) -> Path:
    """Write a figure, on white.

    Raises:
        InputError: the ending is not .png, .svg or .pdf, or the file cannot be written.
    """
    out = Path(out)
    require_ending(out, *_ENDINGS)
    with replacing(out) as temporary:
        figure.savefig(temporary, format=out.suffix.lower()[1:], dpi=_DOTS_AN_INCH, facecolor="white")
    return out


def draw_curves(runs: Sequence[Path], out: Path, band: bool = False) -> Path:
    """Draw the accuracy on val of runs over their epochs.

    Args:
        runs: run folders with a history.
        out: the picture.
        band: as one curve with a band, for runs that differ in their seed.

    Raises:
        InputError: a folder is not a run folder, is given twice or has no history yet, or the file cannot be written.
    """
    histories = {}
    for run in distinct_runs(runs):
        history = read_run(run).history
        if not history:
            raise InputError(f"{run}: no epoch has ended yet; wait for the first")
        name = run.resolve().name
        histories[name if name not in histories else str(run)] = history
    return save_picture(compared_curves(histories, band), out)


def draw_saliency(data: PairData, saliency: Saliency, out: Path) -> Path:
    """Draw what decisions rest on.

    Args:
        data: pairs.
        saliency: of the same pairs.
        out: the picture.

    Raises:
        InputError: the file cannot be written.
    """
    captions = [f"row {name}" for name in data.row_ids]
    if data.y is not None:
        captions = [f"{text}, label: {('right', 'left')[int(y)]}" for text, y in zip(captions, data.y, strict=True)]
    return save_picture(saliency_sheet(data.xa, data.xb, *saliency, captions), out)


def draw_cycles(pool: Pool, report: OrderReport, out: Path) -> Path:
    """Draw the clearest cycles, each image with its place in the ranking.

    Args:
        pool: images.
        report: on decisions about the same images.
        out: the picture.

    Raises:
        InputError: the file cannot be written.
    """
    place = np.argsort(report.ranking) + 1
    captions = [
        f"{_shortened(name)}\nplace {rank:,} of {len(pool):,}" for name, rank in zip(pool.names, place, strict=True)
    ]
    return save_picture(cycle_sheet(pool.images, report.cycles, captions), out)


def draw_augmentations(data: PairData, out: Path, seed: int = 0) -> Path:
    """Draw what each augmentation does to some images: a row each, the images as they are first.

    Args:
        data: pairs.
        out: the picture.
        seed: chooses images and augmentations.

    Raises:
        InputError: the file cannot be written.
    """
    rows = numpy_generator(seed, "images").choice(len(data), min(_SHOWN, len(data)), replace=False)
    images = torch.from_numpy(data.xa[rows])
    drawn = {"as it is": images.numpy()}
    for name, values in _AUGMENTATIONS.items():
        augment = Augmentation(TrainConfig(**values))
        uniform = torch.rand(len(images), augment.draws, generator=torch_generator(seed, name))
        drawn[name] = augment(images, uniform).numpy()
    return save_picture(image_rows(drawn), out)


def _shortened(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
