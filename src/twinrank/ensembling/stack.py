"""Stacking (Wolpert 1992): meta-learners on base models' predictions, scored on out-of-fold rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from twinrank.config import OPEN, PAIRS_ONLY
from twinrank.ensembling.fitted import Fitted, decide
from twinrank.ensembling.fold_count import require_folds
from twinrank.ensembling.learners import LEARNERS, StackSample, cross_fitted, fit, without_each
from twinrank.ensembling.matrix import Matrix
from twinrank.evaluation.ranking import Entrant, Kind


@dataclass(frozen=True, eq=False)
class Stack:
    """Base models and ensembles of them.

    Attributes:
        entrants: Base models, then ensembles. Their logits of the stacked rows are out-of-fold. Those of the tests are
            by a fit on all stacked rows.
        fitted: Ensembles by name, fitted on all stacked rows.
    """

    entrants: tuple[Entrant, ...]
    fitted: dict[str, Fitted]


def stack(
    matrix: Matrix, learners: Sequence[str] = tuple(LEARNERS), say: Callable[[str], None] = lambda line: None
) -> Stack:
    """Score base models and ensembles of them. Sizes are chosen inside the rows that a meta-learner is fitted on.

    Args:
        matrix: Matrix of a ledger.
        learners: Names in :data:`twinrank.ensembling.learners.LEARNERS`.
        say: Function that gets each name before its turn.

    Raises:
        InputError: A meta-learner does not exist, or cannot be fitted, or there are too few folds.
    """
    require_folds(len(np.unique(matrix.fold)))
    sample = StackSample(matrix.rows, matrix.fold, matrix.apart)
    rests = without_each(sample)
    entrants = [_base(matrix, place) for place in range(len(matrix.names))]
    fitted: dict[str, Fitted] = {}
    for name in learners:
        say(name)
        fitted[name] = fit(name, sample)
        logits = {matrix.stem: cross_fitted(LEARNERS[name], sample, rests)}
        logits |= {stem: decide(fitted[name], rows) for stem, rows in matrix.tests.items()}
        some = fitted[name].uses()
        used = np.ones(len(matrix.names), bool) if some is None else some
        entrants.append(_entrant(name, "ensemble", matrix, used, logits))
    return Stack(tuple(entrants), fitted)


def without_models(matrix: Matrix, learner: str) -> dict[str, np.ndarray]:
    """Out-of-fold logits of a meta-learner without each base model, float64 (N,) by the name of that base model."""
    logits = {}
    for name in matrix.names if len(matrix.names) > 1 else ():
        fewer = matrix.select([each for each in matrix.names if each != name])
        logits[name] = cross_fitted(LEARNERS[learner], StackSample(fewer.rows, fewer.fold, fewer.apart))
    return logits


def nested(matrix: Matrix, learner: str) -> np.ndarray:
    """Doubly out-of-fold logits, float64 (K, N): line k has each row by a fit without fold k and without its own fold.

    Line k used no label of fold k, so a calibration that is fitted on it may be scored on that fold. Its rows of fold k
    itself are NaN, and so are all rows that share an image with those.
    """
    sample = StackSample(matrix.rows, matrix.fold, matrix.apart)
    folds = np.unique(matrix.fold)
    logit = np.full((len(folds), len(matrix.rows)), np.nan)
    for first, second in combinations(range(len(folds)), 2):
        rest = {each: sample.without(folds[each]) for each in (first, second)}
        fits = {
            left_out: rest[left_out].without(folds[other]) for left_out, other in ((first, second), (second, first))
        }
        # Without both folds, the same rows are left in either sequence, unless folds are made of images.
        once = None if matrix.apart is not None else LEARNERS[learner](fits[first])
        for left_out, other in ((first, second), (second, first)):
            fitted = LEARNERS[learner](fits[left_out]) if once is None else once
            decided = matrix.rest(folds[left_out]) & (matrix.fold == folds[other])
            logit[left_out, decided] = decide(fitted, matrix.rows.take(decided))
    return logit


def _base(matrix: Matrix, place: int) -> Entrant:
    used = np.arange(len(matrix.names)) == place
    logits = {stem: rows.logit[:, place] for stem, rows in matrix.by_stem.items()}
    return _entrant(matrix.names[place], "model", matrix, used, logits)


def _entrant(name: str, kind: Kind, matrix: Matrix, used: np.ndarray, logits: dict[str, np.ndarray]) -> Entrant:
    about = [matrix.about[name] for name, is_used in zip(matrix.names, used, strict=True) if is_used]
    # One network trained on more than pairs makes the whole so.
    track = PAIRS_ONLY if all(each["track"] == PAIRS_ONLY for each in about) else OPEN
    parameters = sum(each["parameters"] * each["networks"] for each in about)
    seconds, milliseconds = (sum(each[key] for each in about) for key in ("seconds", "milliseconds"))
    # As they are stored, so that everything that follows is the same after a restart.
    stored = {stem: logit.astype(np.float32) for stem, logit in logits.items()}
    return Entrant(name, kind, track, parameters, round(seconds, 1), round(milliseconds, 3), stored)
