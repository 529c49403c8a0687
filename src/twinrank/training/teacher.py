"""A teacher's predictions of the pairs that a student is fitted to. They are made once and kept in a file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.files import parse_json, write_npz
from twinrank.core.npz import read_written
from twinrank.core.records import as_record
from twinrank.core.run_records import TeacherRecord, current_teacher
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError, differences

_KINDS = {"id": "U", "logit": "f", "levels": "f", "about": "U", "sha256": "U"}
_ON_DEMAND = {"subclasses": "i"}


@dataclass(frozen=True, eq=False)
class Teacher:
    """A teacher's predictions of the training pairs.

    Attributes:
        id: Row ids of the pairs, str (N,).
        logit: Logits, float32 (N,), positive where it predicts that left ranks higher.
        levels: Log-posteriors of the left and the right image over its latent levels, lowest first, float32 (N, 2, K);
            None without any.
        subclasses: Subclasses of the left and the right image, int64 (N, 2), see
            :func:`twinrank.data.subclasses.subclasses`; None without any.
        about: Description as JSON values, see :class:`twinrank.core.run_records.TeacherRecord`.
    """

    id: np.ndarray
    logit: np.ndarray
    levels: np.ndarray | None
    about: dict[str, Any]
    subclasses: np.ndarray | None = None

    def require_rows(self, pairs: Judgements, where: str = "the teacher") -> None:
        """Make sure that it predicted these pairs.

        Args:
            pairs: Pairs that a student is fitted to.
            where: Place of the predictions, for the message.

        Raises:
            InputError: It predicted others.
        """
        ids = pairs.row_ids
        alike = len(self.logit) == len(_stored(self)) == len(ids) and np.array_equal(self.id, ids)
        if self.about.get("of_sha256") != pairs.sha256 or not alike:
            raise InputError(f"{where}: predicted other rows than those of {pairs.path}; distill again")

    def save(self, path: Path) -> None:
        """Write an NPZ file with a digest of all that is in it; the same predictions give the same bytes.

        Raises:
            InputError: The file cannot be written.
        """
        about = json.dumps(self.about, allow_nan=False)
        levels = _stored(self)
        digest = _digest(self.id, self.logit, levels, about, self.subclasses)
        arrays = {"id": self.id, "logit": self.logit, "levels": levels}
        if self.subclasses is not None:
            arrays["subclasses"] = self.subclasses
        write_npz(path, arrays | {"about": about, "sha256": digest})


def read_teacher(path: Path, identity: Mapping[str, Any], pairs: Judgements, subclasses: int) -> Teacher:
    """Read what :meth:`Teacher.save` wrote, after making sure that this teacher predicted these pairs.

    Args:
        path: NPZ file.
        identity: Expected teacher identity, as in :attr:`Teacher.about`.
        pairs: Pairs that a student is fitted to.
        subclasses: Expected number of subclasses of each level; 0 for none.

    Raises:
        InputError: The file is missing, damaged or edited, is of other rows, is another teacher's, or has another
            number of subclasses.
    """
    arrays = read_written(path, _KINDS, "the predictions of a teacher", _ON_DEMAND)
    ids, logit, levels, about = arrays["id"], arrays["logit"], arrays["levels"], str(arrays["about"])
    divided = arrays.get("subclasses")
    unlike = divided is not None and divided.shape != levels.shape[:2]
    if logit.ndim != 1 or ids.ndim != 1 or levels.ndim != 3 or levels.shape[1] != 2 or unlike:
        raise InputError(f"{path}: its arrays have shapes that no teacher's predictions have; distill again")
    if str(arrays["sha256"]) != _digest(ids, logit, levels, about, divided):
        raise InputError(
            f"{path}: has been edited since the teacher predicted (SHA-256 differs); restore it, or distill into"
            " another folder"
        )
    values = current_teacher(parse_json(about, f"{path}: key 'about'"), str(path))
    known = dict(as_record(values, TeacherRecord, f"{path}: key 'about'", "the description of a teacher"))
    teacher = Teacher(ids, logit, levels if levels.shape[2] else None, known, divided)
    teacher.require_rows(pairs, str(path))
    if other := differences(known["identity"], dict(identity)):
        raise InputError(
            f"{path}: has the predictions of another teacher ({'; '.join(other)}); distill into another folder"
        )
    if (found := known.get("subclasses", 0)) != subclasses:
        raise InputError(
            f"{path}: has {found} subclasses of each level, and the training values ask for {subclasses}; restore them"
        )
    return teacher


def _stored(teacher: Teacher) -> np.ndarray:
    """The levels as the file has them: an array without levels where there are none."""
    return np.empty((len(teacher.logit), 2, 0), np.float32) if teacher.levels is None else teacher.levels


def _digest(
    ids: np.ndarray, logit: np.ndarray, levels: np.ndarray, about: str, subclasses: np.ndarray | None = None
) -> str:
    content = hashlib.sha256(json.dumps([about, ids.tolist(), levels.shape]).encode())
    content.update(logit.astype("<f4").tobytes())
    content.update(levels.astype("<f4").tobytes())
    if subclasses is not None:
        content.update(subclasses.astype("<i8").tobytes())
    return content.hexdigest()
