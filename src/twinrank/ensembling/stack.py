"""Stacking (Wolpert 1992): meta-learners on what base models said, judged on rows that no level saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinrank.ensembling.learners import LEARNERS, Fitted, cross_fitted, decide, fit
from twinrank.ensembling.ledger import Matrix


@dataclass(frozen=True, eq=False)
class Contender:
    """A base model or an ensemble of them.

    Attributes:
        name: of it.
        kind: which of the two.
        track: what the networks were trained on.
        parameters: of all networks that it asks.
        seconds: of their training, on a core each.
        milliseconds: that they take to decide a pair.
        logit: float64 (N,), of each stacked row by what was not fitted on it.
        tests: float64 (n,) by stem.
        in_sample: float64 (N,), of each stacked row by what was fitted on all of them: never a result.
        fitted: on all stacked rows; None for a base model.
    """

    name: str
    kind: Literal["model", "ensemble"]
    track: str
    parameters: int
    seconds: float
    milliseconds: float
    logit: np.ndarray
    tests: dict[str, np.ndarray]
    in_sample: np.ndarray | None = None
    fitted: Fitted | None = None


def stack(
    matrix: Matrix, learners: Sequence[str] = tuple(LEARNERS), say: Callable[[str], None] = lambda line: None
) -> list[Contender]:
    """Judge base models and ensembles of them.

    A meta-learner's logit of a row comes from a fit on the other folds; what it says about the tests comes from a fit
    on all rows. Sizes are chosen inside either.

    Args:
        matrix: of a ledger.
        learners: of :data:`twinrank.ensembling.learners.LEARNERS`.
        say: told each name before its turn.

    Returns:
        Base models, then ensembles, in the order of their names there.

    Raises:
        InputError: a meta-learner does not exist, or cannot be fitted.
    """
    contenders = [_base(matrix, place) for place in range(len(matrix.names))]
    for name in learners:
        say(name)
        contenders.append(_ensemble(matrix, name))
    return contenders


def _base(matrix: Matrix, place: int) -> Contender:
    every = np.arange(len(matrix.names)) == place
    tests = {stem: rows.logit[:, place] for stem, rows in matrix.tests.items()}
    return Contender(matrix.names[place], "model", *_costs(matrix, every), matrix.rows.logit[:, place], tests)


def _ensemble(matrix: Matrix, name: str) -> Contender:
    fitted = fit(name, matrix.rows, matrix.fold)
    used = fitted.uses()
    return Contender(
        name,
        "ensemble",
        *_costs(matrix, np.ones(len(matrix.names), bool) if used is None else used),
        cross_fitted(LEARNERS[name], matrix.rows, matrix.fold),
        {stem: decide(fitted, rows) for stem, rows in matrix.tests.items()},
        decide(fitted, matrix.rows),
        fitted,
    )


def _costs(matrix: Matrix, used: np.ndarray) -> tuple[str, int, float, float]:
    about = [matrix.about[name] for name, asked in zip(matrix.names, used, strict=True) if asked]
    # One network trained on more than pairs makes the whole so.
    track = "pairs-only" if all(each["track"] == "pairs-only" for each in about) else "open"
    parameters = sum(each["parameters"] * each["networks"] for each in about)
    seconds, milliseconds = (sum(each[key] for each in about) for key in ("seconds", "milliseconds"))
    return track, parameters, round(seconds, 1), round(milliseconds, 3)
