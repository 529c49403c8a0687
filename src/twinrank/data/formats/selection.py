"""Some rows of another pair file as a file of its own: what a network is fitted, stopped or asked on."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.files import write_npz
from twinrank.core.npz import read_written
from twinrank.errors import InputError

ENDING = ".rows.npz"
_KINDS = {"rows": "i", "of": "U", "of_sha256": "U"}


class Selection(NamedTuple):
    """Rows of a pair file.

    Attributes:
        of: the pair file.
        of_sha256: its digest, as :class:`twinrank.data.pairs.PairData` has it.
        rows: int64 (M,), positions in it, ascending, each once.
    """

    of: Path
    of_sha256: str
    rows: np.ndarray

    @property
    def sha256(self) -> str:
        """Digest of what is selected: of the file's digest and the rows."""
        return hashlib.sha256(bytes.fromhex(self.of_sha256) + self.rows.astype("<i8").tobytes()).hexdigest()


def write_selection(path: Path, selection: Selection) -> None:
    """Write a selection, which :func:`twinrank.data.pairs.load_pairs` reads like any pair file.

    It names its pair file by the way from its own folder, so both can be moved together.

    Raises:
        InputError: the file cannot be written.
    """
    of = os.path.relpath(selection.of.resolve(), Path(path).parent.resolve())
    write_npz(path, {"rows": selection.rows, "of": of, "of_sha256": selection.of_sha256})


def read_selection(path: Path) -> Selection:
    """Read what :func:`write_selection` wrote.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    path = Path(path)
    rows, of, digest = read_written(path, _KINDS, "a selection of rows").values()
    if rows.ndim != 1 or not len(rows) or rows[0] < 0 or (np.diff(rows) <= 0).any() or of.ndim or digest.ndim:
        raise InputError(f"{path}: key 'rows' must be positions in ascending order, each once; make the file again")
    return Selection(path.parent / str(of), str(digest), rows.astype(np.int64))
