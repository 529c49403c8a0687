"""Pairs for any torch ``DataLoader``."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch.utils.data import Dataset

from twinrank.data.given import Pairs, as_pairs
from twinrank.errors import InputError

Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor | str]


class PairNPZDataset(Dataset[Item]):
    """A map-style dataset of pairs, held in memory. It can be pickled, so it works with worker processes.

    An item is ``(xa, xb, y)``: images float32 (C, H, W) in [0, 1], and a label float32 () 0 or 1, as binary
    cross-entropy takes it. Without labels it is ``(xa, xb, id)``, the row id as str.

    >>> from torch.utils.data import DataLoader
    >>> xa, xb, y = next(iter(DataLoader(tr.PairNPZDataset("data/train.npz", is_train=True), batch_size=64)))
    >>> xa.shape, y.shape
    (torch.Size([64, 1, 28, 28]), torch.Size([64]))

    Args:
        pairs: Path of pairs that :func:`twinrank.data.judgements.load_pairs` reads, :class:`Judgements`,
            or a tuple of arrays ``(xa, xb)`` or ``(xa, xb, y)``.
        is_train: Whether labels are required.
        labels: CSV ``id,label`` for a path. By default the file's own labels, or ``NAME_labels.csv`` beside it.

    Attributes:
        data: The :class:`twinrank.data.judgements.Judgements` that is served.

    Raises:
        InputError: The pairs are refused, or ``is_train`` and they have no labels.
    """

    def __init__(self, pairs: Pairs, is_train: bool = False, labels: str | os.PathLike[str] | None = None) -> None:
        self.data = as_pairs(pairs, labels=labels)
        if is_train and self.data.y is None:
            raise InputError(
                f"{self.data.path}: no labels to train on; add key 'y', or give a CSV id,label as `labels`"
            )
        self._ids = self.data.row_ids

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Item:
        data = self.data
        target = self._ids[index].item() if data.y is None else torch.tensor(float(data.y[index]))
        left, right = (data.images.take(side[index : index + 1])[0] for side in (data.left, data.right))
        return _image(left), _image(right), target


def _image(pixels: np.ndarray) -> torch.Tensor:
    image = torch.from_numpy(pixels.astype(np.float32))
    return image / 255 if pixels.dtype == np.uint8 else image
