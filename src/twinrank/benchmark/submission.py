"""Submissions: a CSV ``id,label`` with every id of a test file once."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinrank.core.files import replacing
from twinrank.data.formats.labels import id_defects, label_defects, read_labels
from twinrank.data.stream import stream_pairs
from twinrank.errors import InputError


@dataclass(frozen=True)
class SubmissionSummary:
    """A submission that fits its test file.

    Attributes:
        rows: Number of pairs.
        left_higher: Number of pairs whose left image is predicted to rank higher.
    """

    rows: int
    left_higher: int


def write_submission(path: Path, ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray) -> None:
    """Write a submission, atomically.

    Args:
        path: CSV file.
        ids: Row ids, str (N,), each once.
        labels: Predicted labels, int or bool (N,), 1 where the left image is predicted to rank higher, else 0.

    Raises:
        InputError: Lengths differ, an id is empty or repeated, a label is not 0 or 1, or the file cannot be written.
    """
    if len(ids) != len(labels):
        raise InputError(f"{path}: {len(ids)} ids and {len(labels)} labels; lengths must be the same")
    texts = [str(row_id) for row_id in ids]
    values = [str(int(label)) if label in (0, 1) else str(label) for label in labels]
    rows = range(len(texts))
    defects = id_defects(texts, "row", rows) + label_defects(values, "row", rows)
    if defects:
        raise InputError(f"{path}: not written; {'; '.join(defects)}")
    write_in_parts(path, [(texts, values)])


def write_in_parts(
    path: Path, parts: Iterable[Sequence[Iterable[object]]], columns: Sequence[str] = ("id", "label")
) -> None:
    """Write a submission part by part, atomically: if a part fails, nothing is left behind.

    Args:
        path: CSV file.
        parts: Values of each column; the ids, each once in all parts, and their labels, 0 or 1. They are not checked.
        columns: Names of the columns.

    Raises:
        InputError: The file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for part in parts:
            writer.writerows(zip(*part, strict=True))


def check_submission(path: Path, test_file: Path) -> SubmissionSummary:
    """Check that a submission fits a test file. Its rows may be sorted in any way.

    Args:
        path: CSV ``id,label``; it may begin with a byte order mark.
        test_file: Anything that :func:`twinrank.data.stream.stream_pairs` reads; labels are not compared.

    Raises:
        InputError: Either file is refused. All defects of ids and labels are in one line, each kind with its count,
            first examples and their lines.
    """
    with stream_pairs(test_file) as stream:
        ids = np.concatenate([chunk.row_ids for chunk in stream.chunks])
    labels = read_labels(Path(path), ids, Path(test_file))
    return SubmissionSummary(len(labels), int(labels.sum()))
