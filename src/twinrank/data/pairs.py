"""Pairs of images from anyone: an NPZ file, a folder of images with a CSV, such a CSV, or a selection of such rows."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinrank.data.image_folder import find_pair_table, read_image_pairs
from twinrank.data.labels import read_labels
from twinrank.data.pair_npz import read_pair_npz
from twinrank.data.reading import reading
from twinrank.data.selection import ENDING, read_selection
from twinrank.errors import InputError
from twinrank.files import sha256


@dataclass(frozen=True, eq=False)
class PairData:
    """N pairs of images.

    Attributes:
        xa: uint8, or float32 in [0, 1], (N, C, H, W), left images; C is 1 or 3. Often a view of a wider array.
        xb: the same shape and dtype, right images.
        y: int8 (N,), 1 where the left image ranks higher, else 0; None if unlabelled.
        id: str (N,), each once; None if the file has none.
        path: the file or folder that was given.
        sha256: of the NPZ file, or over a CSV and its images, or over a selection's rows and the digest of what they
            are selected from, in hexadecimal; a label CSV is not part of it.
    """

    xa: np.ndarray
    xb: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None
    path: Path
    sha256: str

    def __len__(self) -> int:
        return len(self.xa)

    @property
    def row_ids(self) -> np.ndarray:
        """str (N,): the ids, or the row numbers "0", "1", ... of a file without."""
        return np.arange(len(self)).astype(str) if self.id is None else self.id

    def select(self, rows: np.ndarray | slice) -> "PairData":
        """Some rows, in the order given; they keep their row ids. A slice copies no image.

        Args:
            rows: int (M,) positions, bool (N,) mask, or slice.
        """
        y = None if self.y is None else self.y[rows]
        return replace(self, xa=self.xa[rows], xb=self.xb[rows], y=y, id=self.row_ids[rows])


def load_pairs(path: Path, labels: Path | None = None) -> PairData:
    """Read pairs, refusing whatever is not well-formed. ``docs/data.md`` describes the formats and every refusal.

    Args:
        path: an NPZ file; a folder with images and a CSV ``left,right[,label][,id]``; such a CSV; or a selection of
            rows of any of these, ``NAME.rows.npz``.
        labels: CSV ``id,label`` with every row id once, in any order. Without it, an NPZ file ``NAME.npz`` without
            ``y`` takes its labels from ``NAME_labels.csv`` beside it, if that exists.

    Raises:
        InputError: one line that says what is wrong, where, and what to do.
    """
    path = Path(path)
    if path.name.endswith(ENDING):
        return _selected(path, labels)
    with reading(path):
        if path.is_dir() or path.suffix.lower() == ".csv":
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


def _selected(path: Path, labels: Path | None) -> PairData:
    selection = read_selection(path)
    if selection.of.name.endswith(ENDING):
        raise InputError(f"{path}: selects from another selection, {selection.of}; select from the pair file itself")
    data = load_pairs(selection.of, labels)
    if data.sha256 != selection.of_sha256:
        raise InputError(
            f"{path}: {selection.of} has changed since its rows were selected (SHA-256 differs); restore it"
        )
    if selection.rows[-1] >= len(data):
        raise InputError(f"{path}: row {selection.rows[-1]} is beyond the {len(data):,} rows of {selection.of}")
    return replace(data.select(selection.rows), path=path, sha256=selection.sha256)
