"""Submissions: a CSV ``id,label`` with every id of a test file once."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinrank.data.labels import id_defects, label_defects, read_labels
from twinrank.data.pairs import load_pairs
from twinrank.errors import InputError
from twinrank.files import write_text


@dataclass(frozen=True)
class SubmissionSummary:
    """A submission that fits its test file.

    Attributes:
        rows: number of pairs.
        left_higher: how many of them say that the left image ranks higher.
    """

    rows: int
    left_higher: int


def write_submission(path: Path, ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray) -> None:
    """Write a submission, atomically.

    Args:
        path: of the CSV.
        ids: str (N,), each once.
        labels: int or bool (N,), 1 where the left image is held to rank higher, else 0.

    Raises:
        InputError: lengths differ, an id is empty or repeated, a label is not 0 or 1, or the file cannot be written.
    """
    if len(ids) != len(labels):
        raise InputError(f"{path}: {len(ids)} ids and {len(labels)} labels; lengths must be the same")
    texts = [str(row_id) for row_id in ids]
    values = [str(int(label)) if label in (0, 1) else str(label) for label in labels]
    rows = [f"row {row}" for row in range(len(texts))]
    defects = id_defects(texts, rows) + label_defects(values, rows)
    if defects:
        raise InputError(f"{path}: not written; {'; '.join(defects)}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label"))
    writer.writerows(zip(texts, values, strict=True))
    write_text(path, text.getvalue())


def check_submission(path: Path, test_file: Path) -> SubmissionSummary:
    """Check that a submission fits a test file. The order of its rows does not matter.

    Args:
        path: the CSV ``id,label``; a byte order mark is tolerated.
        test_file: anything that :func:`twinrank.data.pairs.load_pairs` reads; its labels, if any, are not compared.

    Raises:
        InputError: either file is refused. All defects of ids and labels stand in one line, each kind with its
            count, first examples and their lines.
    """
    data = load_pairs(Path(test_file))
    labels = read_labels(Path(path), data.row_ids, data.path)
    return SubmissionSummary(len(labels), int(labels.sum()))
