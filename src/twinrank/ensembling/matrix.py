"""Rows with the predictions of base models, from which stacks are made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinrank.config import Mode
from twinrank.evaluation.labelled_rows import LabelledRows


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with the predictions of M base models.

    Attributes:
        id: Row ids, str (N,).
        y: Labels, int8 (N,), 1 where left ranks higher, else 0. Or shares of votes for left, float32 (N,).
        logit: Logits, float64 (N, M).
        levels: Log-posteriors, float64 (N, 2, K) by name of the base model, for those with latent levels.
        images: Keys of the left and the right image, int64 (N, 2); None where no image is in two rows.
        tie: Whether the images were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float32 (N,); None where each row is one vote.
    """

    id: np.ndarray
    y: np.ndarray
    logit: np.ndarray
    levels: dict[str, np.ndarray]
    images: np.ndarray | None = None
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.id)

    @property
    def labelled(self) -> LabelledRows:
        """The rows without predictions."""
        return LabelledRows(self.id, self.y, self.images, self.tie, self.weight)

    def take(self, which: np.ndarray) -> "Rows":
        """Some rows, by mask or positions."""
        levels = {name: both[which] for name, both in self.levels.items()}
        columns = {name: getattr(self, name) for name in ("id", "y", "logit", "images", "tie", "weight")}
        taken = {name: None if values is None else values[which] for name, values in columns.items()}
        return replace(self, **taken, levels=levels)

    def mirrored(self) -> "Rows":
        """The same pairs with their images swapped."""
        levels = {name: both[:, ::-1] for name, both in self.levels.items()}
        images = None if self.images is None else self.images[:, ::-1]
        return replace(self, logit=-self.logit, y=1 - self.y, levels=levels, images=images)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Predictions of base models for the rows that are stacked, and for the tests.

    Attributes:
        names: Names of the M base models.
        about: Description of each, see :class:`twinrank.ensembling.base_models.BaseModel`. It also has ``networks``
            (number), ``seconds`` of training and ``milliseconds`` of a pair, summed over the networks.
        mode: Way in which the rows are out-of-fold.
        rows: Rows that meta-learners are fitted and scored on.
        fold: Folds of these, int8 (N,), 0 to K - 1.
        stem: Key of the file of the rows.
        tests: Test rows by key.
        apart: Whether a row shares no image with the rows of a fold, bool (K, N), where folds are made of images; None
            where that is so for all rows of other folds.
    """

    names: tuple[str, ...]
    about: dict[str, dict[str, Any]]
    mode: Mode
    rows: Rows
    fold: np.ndarray
    stem: str
    tests: dict[str, Rows]
    apart: np.ndarray | None = None

    @property
    def by_stem(self) -> dict[str, Rows]:
        """Rows by key: those that are stacked, then the tests."""
        return {self.stem: self.rows, **self.tests}

    def rest(self, fold: int) -> np.ndarray:
        """Rows that share no image with the rows of a fold, bool (N,)."""
        return self.fold != fold if self.apart is None else self.apart[fold]

    def select(self, names: Sequence[str]) -> "Matrix":
        """The matrix of some base models."""
        places = [self.names.index(name) for name in names]

        def chosen(rows: Rows) -> Rows:
            levels = {name: both for name, both in rows.levels.items() if name in names}
            return replace(rows, logit=rows.logit[:, places], levels=levels)

        about = {name: self.about[name] for name in names}
        tests = {stem: chosen(rows) for stem, rows in self.tests.items()}
        return replace(self, names=tuple(names), about=about, rows=chosen(self.rows), tests=tests)
