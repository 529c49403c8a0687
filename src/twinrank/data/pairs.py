"""Pairs of images from anyone: an NPZ file, a folder of images with a CSV, such a CSV, or a selection of such rows."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twinrank.core.files import reading, sha256
from twinrank.data.batch_sizes import rows_a_chunk
from twinrank.data.formats.image_folder import find_pair_table, read_image_pairs
from twinrank.data.formats.labels import read_labels
from twinrank.data.formats.pair_arrays import InMemory, PairArrays, arrays_digest, as_array, read_pairs
from twinrank.data.formats.pair_npz import open_pair_npz, read_pair_npz
from twinrank.data.formats.selection import ENDING, Selection, read_selection
from twinrank.errors import InputError


@dataclass(frozen=True, eq=False)
class PairData:
    """N pairs of images.

    Attributes:
        xa: Left images, uint8, or float32 in [0, 1], (N, C, H, W); C is 1 or 3. Often a view of a wider array.
        xb: Right images, the same shape and dtype.
        y: Labels, int8 (N,), 1 where the left image ranks higher, else 0; None if unlabelled.
        id: Row ids, str (N,), each once; None if the file has none.
        path: File or folder that was given, or the name of arrays in memory.
        sha256: Digest in hexadecimal: of the NPZ file; over a CSV and its images; over a selection's rows and the
            digest of their pair file; or over arrays in memory. A label CSV is not part of it.
    """

    xa: np.ndarray
    xb: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None
    path: Path
    sha256: str

    def __len__(self) -> int:
        return len(self.xa)

    def __repr__(self) -> str:
        _, channels, height, width = self.xa.shape
        labels = "" if self.y is not None else ", no labels"
        return f"PairData({self.path}: {len(self):,} pairs, {channels} x {height} x {width} {self.xa.dtype}{labels})"

    @cached_property
    def content_sha256(self) -> str:
        """Digest of images and labels, in hexadecimal: equal for the same pairs in another file, or in memory."""
        return arrays_digest(PairArrays(self.xa, self.xb, self.y, None))

    @property
    def row_ids(self) -> np.ndarray:
        """str (N,): the ids, or the row numbers "0", "1", ... of a file without."""
        return np.arange(len(self)).astype(str) if self.id is None else self.id

    @classmethod
    def from_arrays(
        cls, xa: ArrayLike, xb: ArrayLike, y: ArrayLike | None = None, id: ArrayLike | None = None, name: str = "arrays"
    ) -> "PairData":
        """Pairs from arrays in memory, checked like those of an NPZ file.

        Arrays that need no conversion are not copied, so they must not be changed afterwards.

        >>> images = np.random.default_rng(0).integers(0, 256, (2, 10, 28, 28), np.uint8)
        >>> pairs = PairData.from_arrays(images[0], images[1], y=np.arange(10) % 2)
        >>> len(pairs), pairs.xa.shape, pairs.row_ids[:3].tolist()
        (10, (10, 1, 28, 28), ['0', '1', '2'])

        Args:
            xa: Left images, (N, H, W) or (N, C, H, W), uint8, or floating-point from 0 to 1.
            xb: Right images, the same shape and type.
            y: Labels (N,), 1 where the left image ranks higher, else 0.
            id: Row ids (N,), texts or whole numbers, each once.
            name: Name of the pairs in messages, and their ``path``.

        Raises:
            InputError: Anything that :func:`load_pairs` refuses in an NPZ file.
        """
        given = {"xa": xa, "xb": xb, "y": y, "id": id}
        arrays = {key: as_array(value, key, name) for key, value in given.items() if value is not None}
        pairs = read_pairs(InMemory(Path(name), arrays), labelled_elsewhere=True)
        return cls(*pairs, path=Path(name), sha256=arrays_digest(pairs))

    def select(self, rows: np.ndarray | slice) -> "PairData":
        """Some rows in the row order given; they keep their row ids. A slice copies no image.

        The digest is that of the selected rows, so two selections from a file count as different pairs.

        Args:
            rows: Positions int (M,), mask bool (N,), or slice.
        """
        places = np.arange(len(self))[rows]
        whole = np.array_equal(places, np.arange(len(self)))
        digest = self.sha256 if whole else Selection(self.path, self.sha256, places).sha256
        y = None if self.y is None else self.y[rows]
        # Torch takes no flipped views.
        forward = places if isinstance(rows, slice) and (rows.step or 1) < 0 else rows
        return replace(self, xa=self.xa[forward], xb=self.xb[forward], y=y, id=self.row_ids[rows], sha256=digest)


class PairStream(NamedTuple):
    """N pairs that are read in chunks.

    Attributes:
        pairs: Number of pairs, N.
        files: Files that hold the pairs, or name their images.
        chunks: Parts of the pairs, without labels, in order. Each has the ``path`` and ``sha256`` of the whole.
    """

    pairs: int
    files: tuple[Path, ...]
    chunks: Iterator[PairData]


def load_pairs(path: Path, labels: Path | None = None) -> PairData:
    """Read pairs; whatever is not well-formed is refused. ``docs/data.md`` describes the formats and every refusal.

    Args:
        path: An NPZ file; a folder with images and a CSV ``left,right[,label][,id]``; such a CSV; or a selection of
            rows of any of these, ``NAME.rows.npz``.
        labels: CSV ``id,label`` with every row id once, in any order. Without it, an NPZ file ``NAME.npz`` without
            ``y`` takes its labels from ``NAME_labels.csv`` beside it, if that exists.

    Raises:
        InputError: The pairs are not well-formed.
    """
    path = Path(path)
    if path.name.endswith(ENDING):
        return _selected(path, partial(load_pairs, labels=labels))
    with reading(path):
        if _has_table(path):
            arrays, digest = read_image_pairs(find_pair_table(path) if path.is_dir() else path)
            own = "column 'label'"
        else:
            beside = path.with_name(f"{path.stem}_labels.csv")
            arrays = read_pair_npz(path, labelled_elsewhere=labels is not None or beside.is_file())
            digest = sha256(path)
            own = "key 'y'"
            if labels is None and arrays.y is None and beside.is_file():
                labels = beside
    data = PairData(*arrays, path=path, sha256=digest)
    if labels is None:
        return data
    if arrays.y is not None:
        raise InputError(
            f"{path}: has labels already ({own}); leave out {labels}, or remove the labels from one of them"
        )
    return replace(data, y=read_labels(Path(labels), data.row_ids, path))


@contextmanager
def stream_pairs(path: Path, rows: int | None = None) -> Iterator[PairStream]:
    """Open pairs for prediction. They need neither labels nor ids, and labels are not read.

    Of an NPZ file only the ids and a chunk or two of the images are in memory. Images that a CSV names are loaded
    whole, and so is the file that a selection selects from.

    Args:
        path: Anything that :func:`load_pairs` reads.
        rows: Rows of a chunk; by default :func:`twinrank.data.batch_sizes.rows_a_chunk`.

    Raises:
        InputError: Anything that :func:`load_pairs` refuses, in the same words. Everything but the images of an NPZ
            file is checked before the first chunk.
    """
    path = Path(path)
    selection = path.name.endswith(ENDING)
    with reading(path):
        npz = not selection and not _has_table(path)
    if npz:
        with open_pair_npz(path, rows) as (pairs, ids, sides):
            yield PairStream(pairs, (path,), _numbered(path, ids, sides))
        return
    data = _selected(path, _unlabelled) if selection else load_pairs(path)
    data, rows = replace(data, y=None, id=data.row_ids), rows or rows_a_chunk(*data.xa.shape[2:])
    parts = (data.select(slice(start, start + rows)) for start in range(0, len(data), rows))
    chunks = (replace(part, sha256=data.sha256) for part in parts)
    yield PairStream(len(data), tuple(_files(path)), chunks)


def _numbered(path: Path, ids: np.ndarray | None, sides: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[PairData]:
    digest, start = sha256(path), 0
    for xa, xb in sides:
        end = start + len(xa)
        row_ids = np.arange(start, end).astype(str) if ids is None else ids[start:end]
        yield PairData(xa, xb, None, row_ids, path, digest)
        start = end


def _unlabelled(path: Path) -> PairData:
    with stream_pairs(path, sys.maxsize) as stream:
        (data,) = stream.chunks
    return data


def _has_table(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".csv"


def _files(path: Path) -> list[Path]:
    if path.name.endswith(ENDING):
        return [path, *_files(read_selection(path).of)]
    return [find_pair_table(path) if path.is_dir() else path]


def digest_of(path: Path) -> str:
    """The digest that :func:`load_pairs` gives, of an NPZ file without reading its arrays.

    Raises:
        InputError: As for :func:`load_pairs`.
    """
    path = Path(path)
    with reading(path):
        return load_pairs(path).sha256 if path.name.endswith(ENDING) or _has_table(path) else sha256(path)


def _selected(path: Path, load: Callable[[Path], PairData]) -> PairData:
    selection = read_selection(path)
    if selection.of.name.endswith(ENDING):
        raise InputError(f"{path}: selects from another selection, {selection.of}; select from the pair file itself")
    data = load(selection.of)
    if data.sha256 != selection.of_sha256:
        raise InputError(
            f"{path}: {selection.of} has changed since its rows were selected (SHA-256 differs); restore it"
        )
    if selection.rows[-1] >= len(data):
        raise InputError(f"{path}: row {selection.rows[-1]} is beyond the {len(data):,} rows of {selection.of}")
    return replace(data.select(selection.rows), path=path, sha256=selection.sha256)
