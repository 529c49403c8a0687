"""Pair files for any torch ``DataLoader``."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from twinrank.data.pairs import load_pairs
from twinrank.errors import InputError

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor | str]


class PairNPZDataset(Dataset[Sample]):
    """A map-style dataset of pairs, held in memory; can be pickled, so it works with worker processes.

    An item is ``(xa, xb, y)``: images float32 (C, H, W) in [0, 1], label float32 () 0 or 1, as binary cross-entropy
    takes it. Without labels it is ``(xa, xb, id)``, the row id as str.

    Args:
        path: anything that :func:`twinrank.data.pairs.load_pairs` reads.
        is_train: labels are required.
        labels: CSV ``id,label``; by default the file's own labels, or ``NAME_labels.csv`` beside it.

    Attributes:
        data: the :class:`twinrank.data.pairs.PairData` that is served.

    Raises:
        InputError: the file is refused, or ``is_train`` and it has no labels.
    """

    def __init__(self, path: str | Path, is_train: bool = False, labels: str | Path | None = None) -> None:
        self.data = load_pairs(Path(path), None if labels is None else Path(labels))
        if is_train and self.data.y is None:
            raise InputError(f"{path}: no labels to train on; add key 'y', or give a CSV id,label as labels=")
        self._ids = self.data.row_ids

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        data = self.data
        target = self._ids[index].item() if data.y is None else torch.tensor(float(data.y[index]))
        return _image(data.xa[index]), _image(data.xb[index]), target


def _image(pixels: np.ndarray) -> torch.Tensor:
    image = torch.from_numpy(pixels.astype(np.float32))
    return image / 255 if pixels.dtype == np.uint8 else image
