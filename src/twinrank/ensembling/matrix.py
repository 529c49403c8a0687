"""Rows with the predictions of base models, from which stacks are made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinrank.config import Mode


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with the predictions of M base models.

    Attributes:
        id: Row ids, str (N,).
        y: Labels, int8 (N,), 1 where left ranks higher, else 0.
        logit: Logits, float64 (N, M).
        levels: Log-posteriors, float64 (N, 2, K) by name of the base model, for those with latent levels.
    """

    id: np.ndarray
    y: np.ndarray
    logit: np.ndarray
    levels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.id)


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
    """

    names: tuple[str, ...]
    about: dict[str, dict[str, Any]]
    mode: Mode
    rows: Rows
    fold: np.ndarray
    stem: str
    tests: dict[str, Rows]

    @property
    def by_stem(self) -> dict[str, Rows]:
        """Rows by key: those that are stacked, then the tests."""
        return {self.stem: self.rows, **self.tests}

    def select(self, names: Sequence[str]) -> "Matrix":
        """The matrix of some base models."""
        places = [self.names.index(name) for name in names]

        def chosen(rows: Rows) -> Rows:
            levels = {name: both for name, both in rows.levels.items() if name in names}
            return replace(rows, logit=rows.logit[:, places], levels=levels)

        about = {name: self.about[name] for name in names}
        tests = {stem: chosen(rows) for stem, rows in self.tests.items()}
        return replace(self, names=tuple(names), about=about, rows=chosen(self.rows), tests=tests)
