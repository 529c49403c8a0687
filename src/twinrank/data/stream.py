"""Judgements for prediction, read in chunks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import reading, sha256
from twinrank.data.batch_sizes import rows_a_chunk
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.formats.pair_npz import open_pair_npz, stores_images_once
from twinrank.data.formats.selection import ENDING
from twinrank.data.judgements import Judgements, load_pairs, selected
from twinrank.data.source import REFERENCE, Source, is_table


class PairStream(NamedTuple):
    """N pairs that are read in chunks.

    Attributes:
        pairs: Number of pairs, N.
        chunks: Parts of the pairs, without labels, in order. Each has the ``path`` and ``sha256`` of the whole.
    """

    pairs: int
    chunks: Iterator[Judgements]


@contextmanager
def stream_pairs(
    path: Path, rows: int | None = None, source: Source | None = None, context: Context = Context()
) -> Iterator[PairStream]:
    """Open pairs for prediction. They need neither labels nor ids, and labels are not read.

    Of an NPZ file only the ids and a chunk or two of the images are in memory. Images that a CSV names are loaded
    whole, and so is the file that a selection selects from.

    Args:
        path: Anything that :func:`load_pairs` reads.
        rows: Rows of a chunk; by default :func:`twinrank.data.batch_sizes.rows_a_chunk`.
        source: Where the images of a table are, and how it is read.
        context: Listeners, as those of :func:`load_pairs`.

    Raises:
        InputError: Anything that :func:`load_pairs` refuses, in the same words. Everything but the images of an NPZ
            file is checked before the first chunk.
    """
    path = Path(path)
    with reading(path):
        npz = _is_npz(path) and not stores_images_once(path)
    if npz:
        with open_pair_npz(path, rows) as (pairs, ids, sides):
            yield PairStream(pairs, _numbered(path, ids, sides))
        return
    data = selected(path, _unlabelled) if path.name.endswith(ENDING) else load_pairs(path, None, source, context)
    data, rows = replace(data, y=None, id=data.row_ids), rows or _rows_a_chunk(data)
    parts = (data.select(slice(start, start + rows)) for start in range(0, len(data), rows))
    chunks = (replace(part, sha256=data.sha256) for part in parts)
    yield PairStream(len(data), chunks)


def _rows_a_chunk(data: Judgements) -> int:
    """All rows where images recur: in chunks, an image would go through the network again and again."""
    return len(data) if data.shared else rows_a_chunk(*data.images.shape[1:])


def _numbered(
    path: Path, ids: np.ndarray | None, sides: Iterator[tuple[np.ndarray, np.ndarray]]
) -> Iterator[Judgements]:
    digest, start = sha256(path), 0
    for xa, xb in sides:
        end = start + len(xa)
        row_ids = np.arange(start, end).astype(str) if ids is None else ids[start:end]
        yield Judgements.of_pairs(PairArrays(xa, xb, None, row_ids), path, digest)
        start = end


def _unlabelled(path: Path) -> Judgements:
    with stream_pairs(path, sys.maxsize) as stream:
        (data,) = stream.chunks
    return data


def digest_of(path: Path) -> str:
    """The digest that :func:`load_pairs` gives, of an NPZ file without reading its arrays.

    Raises:
        InputError: As for :func:`load_pairs`.
    """
    path = Path(path)
    with reading(path):
        return sha256(path) if _is_npz(path) else load_pairs(path).sha256


def _is_npz(path: Path) -> bool:
    return not path.name.endswith((ENDING, REFERENCE)) and not is_table(path)
