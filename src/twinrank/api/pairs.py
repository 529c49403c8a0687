"""Pairs from files."""

import os

from twinrank.api.values import as_path
from twinrank.data import judgements
from twinrank.data.judgements import Judgements

__all__ = ["PairData", "load_pairs"]

PairData = Judgements
"""The name that :class:`Judgements` had before; scripts may use it."""


def load_pairs(path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None) -> Judgements:
    """Read pairs of images from a file or a folder.

    >>> pairs = tr.load_pairs("data/val.npz")
    >>> pairs.xa.shape, str(pairs.xa.dtype), str(pairs.y.dtype)
    ((96, 1, 28, 28), 'uint8', 'int8')

    Args:
        path: NPZ file with ``x``, or ``xa`` and ``xb``; folder of images with a CSV ``left,right[,label][,id]``; or
            such a CSV.
        labels: CSV ``id,label``. By default the labels of the file itself, or ``NAME_labels.csv`` beside it.

    Returns:
        Images ``xa`` and ``xb``, uint8 or float32 in [0, 1], (N, C, H, W) with C 1 or 3. Labels ``y``, int8 (N,), 1
        where the left image ranks higher; None without labels. Row ids ``id``, str (N,), or None.

    Raises:
        InputError: The file is missing or not well-formed. The line says what is wrong, where, and what to do.
    """
    return judgements.load_pairs(as_path(path, "path"), None if labels is None else as_path(labels, "labels"))
