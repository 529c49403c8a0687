"""Some rows of another pair file as a file of its own, such as the rows that a network is fitted to."""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.files import write_npz
from twinrank.core.npz import read_written
from twinrank.errors import InputError

ENDING = ".rows.npz"
_DIGEST = re.compile("[0-9a-f]{64}")
_KINDS = {"rows": "i", "of": "U", "of_sha256": "U"}


class Selection(NamedTuple):
    """Rows of a pair file.

    Attributes:
        of: Pair file.
        of_sha256: Digest of the pair file, as :class:`twinrank.data.judgements.Judgements` has it.
        rows: Positions in the pair file, int64 (M,), ascending, each once.
    """

    of: Path
    of_sha256: str
    rows: np.ndarray

    @property
    def sha256(self) -> str:
        """Digest of the file's digest and the rows."""
        return hashlib.sha256(bytes.fromhex(self.of_sha256) + self.rows.astype("<i8").tobytes()).hexdigest()


def write_selection(path: Path, selection: Selection) -> None:
    """Write a selection, which :func:`twinrank.data.judgements.load_pairs` reads like any pair file.

    It names its pair file by the path from its own folder, so both can be moved together.

    Raises:
        InputError: The file cannot be written.
    """
    of = os.path.relpath(selection.of.resolve(), Path(path).parent.resolve())
    write_npz(path, {"rows": selection.rows, "of": of, "of_sha256": selection.of_sha256})


def read_selection(path: Path) -> Selection:
    """Read what :func:`write_selection` wrote.

    Raises:
        InputError: The file is missing, damaged, or holds something else.
    """
    path = Path(path)
    rows, of, digest = read_written(path, _KINDS, "a selection of rows").values()
    if rows.ndim != 1 or not len(rows) or rows[0] < 0 or (np.diff(rows) <= 0).any() or of.ndim or digest.ndim:
        raise InputError(f"{path}: key 'rows' must be positions in ascending order, each once; make the file again")
    if not str(of) or "\0" in str(of) or not _DIGEST.fullmatch(str(digest)):
        raise InputError(f"{path}: keys 'of' and 'of_sha256' must be a path and a SHA-256; make the file again")
    return Selection(path.parent / str(of), str(digest), rows.astype(np.int64))
