"""Photographs of solar cells: which cell is the more defective?

The package ``elpv-dataset`` has 2,624 electroluminescence images of 300 x 300 pixels, each with one of four levels of
defect. They are by Buerhop-Lutz, Deitsch and others, under CC BY-NC-SA 4.0, and never part of twinrank.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.real_data.picture import Picture
from twinrank.errors import InputError

LOGITS_BETWEEN_LEVELS = 2.0


def cells(count: int | None, seed: int) -> Iterator[Picture]:
    """Images of solar cells.

    Args:
        count: Number of images, drawn without replacement; None for all.
        seed: Seed of the draw.

    Raises:
        InputError: The package is not installed, or has fewer images.
    """
    try:
        from elpv_dataset.utils import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("solar cells need the package elpv-dataset: pip install 'twinrank[real]'") from error
    images, defect, module = load_dataset()
    if count is not None and count > len(images):
        raise InputError(f"`images`: {count:,}, and there are {len(images):,} solar cells")
    order = np.random.default_rng(seed).permutation(len(images))[:count]
    for cell in sorted(order.tolist()):
        level = round(3 * float(defect[cell]))
        yield Picture(
            name=f"cell_{cell + 1:04d}.png",
            score=LOGITS_BETWEEN_LEVELS * level,
            write=partial(_write, pixels=images[cell]),
            facts={"level": level, "module": str(module[cell])},
        )


def _write(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)
