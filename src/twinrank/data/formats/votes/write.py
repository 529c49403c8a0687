"""Judgements as a CSV that :func:`twinrank.data.formats.votes.read.read_votes` reads back without a difference."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from twinrank.data.formats.votes.table import VoteTable


def votes_as_csv(votes: VoteTable, question: str | None = None) -> str:
    """The text of a CSV with the columns ``left,right`` and, where they say something, others.

    ``outcome`` is ``left``, ``right``, ``tie``, or the share of the votes for left; the others are ``weight``,
    ``rater``, ``id``, ``left_group``, ``right_group`` and ``question``.

    Args:
        votes: N judgements. Their names, and not those of the table that they are from, are written.
        question: Question that people answered; None writes none.
    """
    columns: dict[str, Sequence[str]] = {"left": votes.left, "right": votes.right}
    if votes.y is not None:
        columns["outcome"] = _outcomes(votes.y, votes.tie)
    if (votes.weight != 1).any():
        columns["weight"] = [_number(value) for value in votes.weight]
    for name in ("rater", "id", "left_group", "right_group"):
        values = getattr(votes, name)
        if values is not None:
            columns[name] = values
    if question is not None:
        columns["question"] = [question] * len(votes)
    return as_csv([*columns], [*zip(*columns.values(), strict=True)])


def as_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The text of a CSV, which can be read back whatever is in its cells.

    Args:
        header: Names of the columns.
        rows: Cells of each row.
    """
    text = io.StringIO(newline="")
    # By itself, the writer does not quote a lone carriage return.
    returns = any("\r" in cell for row in rows for cell in row if isinstance(cell, str))
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _outcomes(y: np.ndarray, tie: np.ndarray) -> list[str]:
    words = {1.0: "left", 0.0: "right"}
    return [
        "tie" if is_tie else words.get(float(share)) or _number(share) for share, is_tie in zip(y, tie, strict=True)
    ]


def _number(value: np.float32) -> str:
    """The shortest decimal that is read back as the same number."""
    short = str(value)
    return short if np.float32(float(short)) == value else repr(float(value))
