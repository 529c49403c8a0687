"""Pairs from files."""

import os
from collections.abc import Mapping
from typing import Any

from twinrank.api.values import as_path, source
from twinrank.data import judgements
from twinrank.data.judgements import Judgements

__all__ = ["PairData", "load_pairs"]

PairData = Judgements
"""The name that :class:`Judgements` had before; scripts may use it."""


def load_pairs(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    images: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    **reading: Any,
) -> Judgements:
    """Read pairs of images from a file or a folder, or judgements of images from a table.

    >>> pairs = tr.load_pairs("data/val.npz")
    >>> pairs.xa.shape, str(pairs.xa.dtype), str(pairs.y.dtype)
    ((96, 1, 28, 28), 'uint8', 'int8')

    Args:
        path: NPZ file with ``x``, with ``xa`` and ``xb``, or with ``images``, ``left`` and ``right``; a table of
            judgements (CSV, TSV, JSON, Parquet); or a folder with images and such a table.
        labels: CSV ``id,label``. By default the labels of the file itself, or ``NAME_labels.csv`` beside it.
        images: Folder of the images that a table names; that of the table by default.
        columns: Columns of a table where their names do not tell, such as ``{"left": "photo_1"}``.
        reading: How image files become pixels: ``size``, ``fit``, ``channels``, ``background``, ``range``, ``page``,
            see :class:`twinrank.data.images.reading.Reading`.

    Returns:
        Images ``xa`` and ``xb``, uint8 or float32 in [0, 1], (N, C, H, W) with C 1 or 3. Labels ``y``, int8 (N,), 1
        where the left image ranks higher; float32 where shares of votes or ties occur; None without labels. Row ids
        ``id``, str (N,), or None. The distinct images are ``images``, and ``left`` and ``right`` number them.

    Raises:
        InputError: The file is missing or not well-formed. The line says what is wrong, where, and what to do.
    """
    given = source(images, columns, **reading) if images or columns or reading else None
    return judgements.load_pairs(as_path(path, "path"), None if labels is None else as_path(labels, "labels"), given)
