"""Rows of a file with the judgements that predictions are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from twinrank.evaluation.predictions import apart


class Votes(TypedDict):
    """Ties and numbers of votes of rows, as the metrics take them."""

    tie: np.ndarray | None
    weight: np.ndarray | None


class Judged(Votes):
    """The same with images, as metrics with an interval take them."""

    images: np.ndarray | None


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of a file.

    Attributes:
        id: Row ids, str (N,).
        y: Labels, int8 (N,), or shares of the votes for left, float32 (N,).
        images: Numbers of the left and the right image, int64 (N, 2), the same for an image in every file, negative for
            one that is like no other in its file; None where no image recurs.
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float32 (N,); None where each row is one.
    """

    id: np.ndarray
    y: np.ndarray
    images: np.ndarray | None = None
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None

    @property
    def votes(self) -> Votes:
        """Ties and numbers of votes."""
        return Votes(tie=self.tie, weight=self.weight)

    @property
    def judged(self) -> Judged:
        """Images, ties and numbers of votes."""
        return Judged(images=self.images, tie=self.tie, weight=self.weight)

    def take(self, which: np.ndarray) -> "LabelledRows":
        """Some rows, by mask or positions."""
        parts = (self.id, self.y, self.images, self.tie, self.weight)
        return LabelledRows(*(part if part is None else part[which] for part in parts))  # pyright: ignore[reportArgumentType]


def joined(parts: Sequence[LabelledRows]) -> LabelledRows:
    """The rows of several files as those of one.

    >>> one, other = LabelledRows(np.array(["a"]), np.array([1])), LabelledRows(np.array(["b"]), np.array([0]))
    >>> joined([one, other]).y.tolist()
    [1, 0]

    Args:
        parts: Rows of one file or more.
    """
    if len(parts) == 1:
        return parts[0]
    ids, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("id", "y"))
    images = tie = weight = None
    if any(part.images is not None for part in parts):
        alone = (-1 - np.arange(2 * len(part.id)).reshape(-1, 2) for part in parts)
        given = [one if part.images is None else part.images for one, part in zip(alone, parts, strict=True)]
        images = np.concatenate(apart(given))
    if any(part.tie is not None for part in parts):
        tie = np.concatenate([np.zeros(len(part.id), bool) if part.tie is None else part.tie for part in parts])
    if any(part.weight is not None for part in parts):
        ones = (np.ones(len(part.id), np.float32) for part in parts)
        weights = [one if part.weight is None else part.weight for one, part in zip(ones, parts, strict=True)]
        weight = np.concatenate(weights)
    return LabelledRows(ids, y, images, tie, weight)
