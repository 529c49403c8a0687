"""A CSV ``id,label``, matched one to one with the rows of a pair file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinrank.core.messages import first_few, quoted
from twinrank.data.formats.tables import read_table
from twinrank.errors import InputError

LABELS = {"0": 0, "1": 1}
"""The spellings of a label in a CSV: 1 is left ranks higher, 0 is right does."""


def read_labels(path: Path, ids: Sequence[str] | np.ndarray, pair_file: Path) -> np.ndarray:
    """Labels of ``ids``; the rows of the CSV may be in any order.

    Args:
        path: CSV with the columns ``id`` and ``label``, every id of ``ids`` once and no other.
        ids: Row ids of the pair file, str (N,), each once.
        pair_file: Pair file, named in messages.

    Returns:
        int8 (N,), in the row order of ``ids``.

    Raises:
        InputError: The CSV cannot be read (:func:`twinrank.data.formats.tables.read_table`), or ids or labels in it are
            missing, repeated, unknown or not 0 or 1; the line counts every kind and has its first examples.
    """
    table = read_table(path, ("id", "label"))
    given, labels = table.columns["id"], table.columns["label"]
    known, wanted = set(given), {str(row_id) for row_id in ids}
    defects = [
        *id_defects(given, "line", table.lines),
        *label_defects(labels, "line", table.lines),
        *_defect(f"ids of {pair_file.name} that are not there", [quoted(i) for i in ids if str(i) not in known]),
        *_defect(
            f"ids that are not in {pair_file.name}",
            [f"{quoted(i)} in line {n}" for i, n in zip(given, table.lines, strict=True) if i and i not in wanted],
        ),
    ]
    if defects:
        raise InputError(f"{path}: {'; '.join(defects)}; it needs every id of {pair_file.name} once, with label 0 or 1")
    of = dict(zip(given, labels, strict=True))
    return np.fromiter((LABELS[of[str(row_id)]] for row_id in ids), np.int8, len(ids))


def id_defects(ids: Sequence[str], unit: str, numbers: Sequence[int]) -> list[str]:
    """Empty ids and ids that occur more than once, in a text for each of the two kinds.

    Args:
        ids: Row ids (N,).
        unit: Noun for the place of an id, ``line`` or ``row``.
        numbers: Number of the place of each id, (N,).
    """
    earlier: set[str] = set()
    repeated = []
    for row_id, number in zip(ids, numbers, strict=True):
        if row_id and row_id in earlier:
            repeated.append(f"{quoted(row_id)} in {unit} {number}")
        earlier.add(row_id)
    missing = [f"{unit} {number}" for row_id, number in zip(ids, numbers, strict=True) if not row_id]
    return [*_defect("missing ids", missing), *_defect("ids that occur again", repeated)]


def label_defects(labels: Sequence[str], unit: str, numbers: Sequence[int]) -> list[str]:
    """Empty labels and labels other than 0 and 1, in a text for each of the two kinds, as :func:`id_defects` has it."""
    missing, other = [], []
    for label, number in zip(labels, numbers, strict=True):
        if not label:
            missing.append(f"{unit} {number}")
        elif label not in LABELS:
            other.append(f"{quoted(label)} in {unit} {number}")
    return [*_defect("missing labels", missing), *_defect("labels other than 0 and 1", other)]


def _defect(kind: str, examples: Sequence[str]) -> list[str]:
    return [f"{kind}: {len(examples)} ({first_few(examples)})"] if examples else []
