"""Pairs in an NPZ file, read whole or part by part."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.memory import require_memory
from twinrank.core.npz import Archive
from twinrank.data.batch_sizes import rows_a_chunk
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.formats.image_arrays import ImageArrays, read_image_arrays
from twinrank.data.formats.pair_arrays import (
    check_headers,
    peak_bytes,
    peak_bytes_in_parts,
    read_ids,
    read_pairs,
    read_sides,
)


class PairParts(NamedTuple):
    """N pairs whose images are read part by part.

    Attributes:
        pairs: Number of pairs, N.
        id: Row ids, str (N,), each once; None if the file has none.
        sides: Left and right images of each part, as :class:`twinrank.data.formats.arrays.PairArrays` has them.
    """

    pairs: int
    id: np.ndarray | None
    sides: Iterator[tuple[np.ndarray, np.ndarray]]


def stores_images_once(path: Path) -> bool:
    """Whether an NPZ file has judgements of images that are stored once, and not pairs.

    Raises:
        InputError: It is no NPZ file.
    """
    with Archive(path) as archive:
        return "images" in archive.headers


def read_image_npz(path: Path) -> ImageArrays | None:
    """Read an NPZ file of judgements whose images are stored once; None if it is a file of pairs.

    Args:
        path: NPZ file.

    Raises:
        InputError: Anything listed in ``docs/data.md`` for such files.
    """
    with Archive(path) as archive:
        if "images" not in archive.headers:
            return None
        require_memory(path, sum(peak_bytes(key, header) for key, header in archive.headers.items()))
        return read_image_arrays(archive)


def read_pair_npz(path: Path, labelled_elsewhere: bool) -> PairArrays:
    """Read an NPZ file of pairs. Keys, types, shapes and memory are checked by the headers, before any array is read.

    Float images other than float32 are converted; otherwise nothing is copied, and the halves of ``x`` are views.

    Args:
        path: NPZ file.
        labelled_elsewhere: Whether labels come from a CSV, so that neither ``y`` nor ``id`` is needed.

    Raises:
        InputError: Anything listed in ``docs/data.md`` for NPZ files.
    """
    with Archive(path) as archive:
        check_headers(archive, labelled_elsewhere)
        require_memory(path, sum(peak_bytes(key, header) for key, header in archive.headers.items()))
        return read_pairs(archive, labelled_elsewhere)


@contextmanager
def open_pair_npz(path: Path, rows: int | None = None) -> Iterator[PairParts]:
    """Open an NPZ file of pairs for prediction: neither ``y`` nor ``id`` is needed, and ``y`` is not read.

    Memory depends on the number of pairs only where they have ids, or images in Fortran order, which are read whole.

    Args:
        path: NPZ file.
        rows: Rows of a part; by default :func:`twinrank.data.batch_sizes.rows_a_chunk`.

    Raises:
        InputError: Anything that :func:`read_pair_npz` refuses, in the same words. Headers, memory and ids are checked
            before the first part, images when their part is read.
    """
    with Archive(path) as archive:
        images = check_headers(archive, labelled_elsewhere=True)
        count, *_, height, width = next(iter(images.values())).shape
        rows = rows or rows_a_chunk(height, width // 2 if "x" in images else width)
        needed = sum(peak_bytes_in_parts(key, header, rows) for key, header in images.items())
        require_memory(path, needed + (peak_bytes("id", archive.headers["id"]) if "id" in archive.headers else 0))
        yield PairParts(count, read_ids(archive), read_sides(archive, images, rows))
