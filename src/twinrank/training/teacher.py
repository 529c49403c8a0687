"""What a teacher said about the pairs that a student is fitted to. It is asked once, and what it said is kept."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.files import parse_json, write_npz
from twinrank.core.npz import read_written
from twinrank.data.pairs import PairData
from twinrank.errors import InputError, differences

_KINDS = {"id": "U", "logit": "f", "levels": "f", "about": "U", "sha256": "U"}


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a teacher says of the training pairs.

    Attributes:
        id: str (N,), row ids of the pairs.
        logit: float32 (N,), positive where it holds that the left image ranks higher.
        levels: float32 (N, 2, K), log-posteriors of the left and the right image over its latent levels, lowest first;
            None without any.
        about: JSON values: ``path`` of the teacher, or a list of several; its ``track``; ``answered`` (who did, with
            digests), ``of_sha256`` (of the file of the pairs), ``rows`` (what these were to the teacher, in words) and
            ``seen`` (the same of all files that its training was given, by digest).
    """

    id: np.ndarray
    logit: np.ndarray
    levels: np.ndarray | None
    about: dict[str, Any]

    def require_rows(self, pairs: PairData, where: str = "the teacher") -> None:
        """Make sure that it speaks of these pairs.

        Args:
            pairs: that a student is fitted to.
            where: it comes from, for the message.

        Raises:
            InputError: it speaks of others.
        """
        ids = pairs.row_ids
        alike = len(self.logit) == len(_stored(self)) == len(ids) and np.array_equal(self.id, ids)
        if self.about["of_sha256"] != pairs.sha256 or not alike:
            raise InputError(f"{where}: was asked about other rows than those of {pairs.path}; ask it about these")

    def save(self, path: Path) -> None:
        """Write an NPZ file with a digest of all that is in it; the same answers give the same bytes.

        Raises:
            InputError: the file cannot be written.
        """
        about = json.dumps(self.about, allow_nan=False)
        levels = _stored(self)
        digest = _digest(self.id, self.logit, levels, about)
        said = {"id": self.id, "logit": self.logit, "levels": levels}
        write_npz(path, said | {"about": about, "sha256": digest})


def read_teacher(path: Path, answered: Mapping[str, Any], pairs: PairData) -> Teacher:
    """Read what :meth:`Teacher.save` wrote, after making sure that it is what this teacher said of these pairs.

    Args:
        path: of the file.
        answered: who is to have answered, as in :attr:`Teacher.about`.
        pairs: that a student is fitted to.

    Raises:
        InputError: the file is missing, damaged or has been edited, speaks of other rows, or is another teacher's.
    """
    arrays = read_written(path, _KINDS, "what a teacher said")
    ids, logit, levels, about = arrays["id"], arrays["logit"], arrays["levels"], str(arrays["about"])
    if str(arrays["sha256"]) != _digest(ids, logit, levels, about):
        raise InputError(
            f"{path}: has been edited since the teacher was asked (SHA-256 differs); restore it, or distill into"
            " another folder"
        )
    teacher = Teacher(ids, logit, levels if levels.shape[-1] else None, parse_json(about, f"{path}: key 'about'"))
    teacher.require_rows(pairs, str(path))
    if other := differences(teacher.about["answered"], dict(answered)):
        raise InputError(f"{path}: is what another teacher said ({'; '.join(other)}); distill into another folder")
    return teacher


def _stored(teacher: Teacher) -> np.ndarray:
    """The levels as the file has them: an array without levels where there are none."""
    return np.empty((len(teacher.logit), 2, 0), np.float32) if teacher.levels is None else teacher.levels


def _digest(ids: np.ndarray, logit: np.ndarray, levels: np.ndarray, about: str) -> str:
    content = hashlib.sha256(json.dumps([about, ids.tolist(), levels.shape]).encode())
    content.update(logit.astype("<f4").tobytes())
    content.update(levels.astype("<f4").tobytes())
    return content.hexdigest()
