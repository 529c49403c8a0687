"""Meta-learners and baselines: from base models' predictions of a pair to one logit. All behind :func:`fit`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from twinrank.ensembling.fitted import (
    SURE,
    Boosted,
    Fitted,
    Layered,
    Linear,
    decide,
    features_of,
    layer_of,
)
from twinrank.ensembling.matrix import Rows
from twinrank.ensembling.trees import trees_from_text
from twinrank.errors import InputError, nearest
from twinrank.evaluation.metrics import accuracy

_GREEDY_STEPS = 50
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_MIDDLE = _PENALTIES[2]
_ROUNDS, _PATIENCE = 200, 15
_SIZES: tuple[dict[str, Any], ...] = (
    {"num_leaves": 4, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": True},
    {"num_leaves": 8, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": True},
    {"num_leaves": 8, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": False},
    {"num_leaves": 31, "min_data_in_leaf": 20, "lambda_l2": 0.0, "learning_rate": 0.1, "monotone": False},
)
_USUAL = _SIZES[-1] | {"learning_rate": 0.05, "rounds": 200}
_THREADS = 1
"""Threads of LightGBM: one, since its sums depend on them, and several wait for each other on a busy machine."""


@dataclass(frozen=True, eq=False)
class StackSample:
    """What meta-learners are fitted on.

    Attributes:
        rows: N labelled rows that no base model used in training.
        fold: Folds of these, int (N,), in which sizes are chosen.
        apart: Whether a row shares no image with the rows of a fold, bool (K, N), see
            :class:`twinrank.ensembling.matrix.Matrix`; or None.
    """

    rows: Rows
    fold: np.ndarray
    apart: np.ndarray | None = None

    def without(self, fold: int) -> "StackSample":
        """The rows that share no image with those of one fold.

        Folds of the rest only choose sizes, so they are taken as folds of rows.
        """
        kept = self.fold != fold if self.apart is None else self.apart[fold]
        return StackSample(self.rows.take(kept), self.fold[kept])

    @cached_property
    def size(self) -> dict[str, Any]:
        """Size of the trees, chosen by log-loss over the folds; several meta-learners need it."""
        return _chosen_size(self)


Fit = Callable[[StackSample], Fitted]


def fit(name: str, sample: StackSample) -> Fitted:
    """Fit a meta-learner.

    Args:
        name: Name in :data:`LEARNERS`.
        sample: Rows to fit it on.

    Raises:
        InputError: There is no such meta-learner, or it cannot be fitted.
    """
    if name not in LEARNERS:
        raise InputError(f"there is no meta-learner '{name}'{nearest(name, LEARNERS)}")
    return LEARNERS[name](sample)


def cross_fitted(learner: Fit, sample: StackSample, rests: Mapping[int, StackSample] | None = None) -> np.ndarray:
    """Out-of-fold logits, float64 (N,): each row by a fit on the other folds.

    Args:
        learner: Meta-learner.
        sample: N rows.
        rests: Samples without each fold, by fold, where they exist already. Sizes chosen in them are not chosen again.
    """
    logit = np.empty(len(sample.rows))
    for each, rest in (rests or without_each(sample)).items():
        left_out = sample.fold == each
        logit[left_out] = decide(learner(rest), sample.rows.take(left_out))
    return logit


def without_each(sample: StackSample) -> dict[int, StackSample]:
    """The sample without each fold, by that fold."""
    return {int(each): sample.without(each) for each in np.unique(sample.fold)}


def _can_choose(sample: StackSample) -> bool:
    """Whether there are two folds or more, so that one can be left out."""
    return len(np.unique(sample.fold)) > 1


def _accuracies(rows: Rows) -> np.ndarray:
    return np.array([accuracy(rows.y, logit, tie=rows.tie, weight=rows.weight) for logit in rows.logit.T])


def _losses(rows: Rows, logit: np.ndarray) -> np.ndarray:
    """Log-loss of each column: cross-entropy against shares, weighted by votes."""
    if _is_plain(rows):
        return np.logaddexp(0, np.where(rows.y[:, None] == 1, -logit, logit)).mean(0)
    y = rows.y[:, None].astype(np.float64)
    return np.average(y * np.logaddexp(0, -logit) + (1 - y) * np.logaddexp(0, logit), 0, rows.weight)


def _is_plain(rows: Rows) -> bool:
    """Whether each row is one vote, for left or for right."""
    return rows.y.dtype.kind in "iu" and rows.weight is None


def _best_single(sample: StackSample) -> Linear:
    rows = sample.rows
    return Linear("logit", np.eye(rows.logit.shape[1])[np.argmax(_accuracies(rows))])


def _mean_probability(sample: StackSample) -> Linear:
    return Linear("probability", _even(sample.rows))


def _mean_logit(sample: StackSample) -> Linear:
    return Linear("logit", _even(sample.rows))


def _even(rows: Rows) -> np.ndarray:
    models = rows.logit.shape[1]
    return np.full(models, 1 / models)


def _weighted(sample: StackSample) -> Linear:
    """Probabilities, weighted by how much better than chance each base model is on these rows."""
    gain = np.maximum(_accuracies(sample.rows) - 0.5, 0)
    return Linear("probability", gain / gain.sum() if gain.sum() else _even(sample.rows))


def _greedy(sample: StackSample) -> Linear:
    """Caruana et al. 2004, Ensemble selection from libraries of models.

    The base model that lowers the log-loss of the mean probability most is added, again and again, with replacement.
    The best mean on the way is taken.
    """
    rows = sample.rows
    side = np.tanh(rows.logit / 2)
    counts, total = np.zeros(rows.logit.shape[1], int), np.zeros(len(rows))
    best_loss, best = np.inf, counts
    for step in range(1, _GREEDY_STEPS + 1):
        means = np.clip((total[:, None] + side) / step, -SURE, SURE)
        losses = _losses(rows, 2 * np.arctanh(means))
        added = int(np.argmin(losses))
        counts[added] += 1
        total = total + side[:, added]
        if losses[added] < best_loss:
            best_loss, best = losses[added], counts.copy()
    return Linear("probability", best / best.sum())


def _logistic(sample: StackSample) -> Linear:
    """Logistic regression of logits, without intercept, so that it is odd; its penalty is chosen over the folds."""
    learners = [partial(_penalised, penalty=penalty) for penalty in _PENALTIES]
    if not _can_choose(sample):
        return _penalised(sample, _MIDDLE)
    rests = without_each(sample)
    losses = _losses(sample.rows, np.stack([cross_fitted(each, sample, rests) for each in learners], 1))
    return learners[int(np.argmin(losses))](sample)


def _penalised(sample: StackSample, penalty: float) -> Linear:
    from sklearn.linear_model import LogisticRegression

    rows = sample.rows
    x, y, weight = rows.logit, rows.y, None
    total: float = len(rows)
    if not _is_plain(rows) or len(np.unique(y)) < 2:
        # Every pair both ways, which has the same minimum, since the loss is even.
        total = 2 * float(len(rows) if rows.weight is None else rows.weight.sum())
        x, y, weight = _votes(np.concatenate([x, -x]), rows)
    scale = x.std() or 1.0
    model = LogisticRegression(C=1 / (penalty * total), fit_intercept=False, solver="newton-cholesky", tol=1e-8)
    return Linear("logit", model.fit(x / scale, y, weight).coef_[0] / scale)


def _votes(x: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and weights of votes, each for left or for right: of rows both ways, but those of weight 0.

    Args:
        x: Features of the rows, then those of the swapped ones, float64 (2 N, F).
        rows: N rows.
    """
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight.astype(np.float64)
    share = np.concatenate([rows.y, 1 - rows.y]).astype(np.float64)
    votes = np.concatenate([share, 1 - share]) * np.tile(weight, 4)
    labels, counted = np.repeat(np.array([1, 0], np.int8), len(x)), votes > 0
    return np.concatenate([x, x])[counted], labels[counted], votes[counted]


def _lightgbm(sample: StackSample) -> Boosted:
    """Trees whose size, regularisation and number are chosen over the folds."""
    return _boosted(sample, sample.size)


def _boosted(sample: StackSample, size: dict[str, Any]) -> Boosted:
    return Boosted(trees_from_text(_grow(sample.rows, size, size["rounds"])[0]), size)


def _chosen_size(sample: StackSample) -> dict[str, Any]:
    if not _can_choose(sample):
        return _SIZES[0] | {"rounds": _PATIENCE}
    best_loss, best = np.inf, _USUAL
    for size in _SIZES:
        curves: list[list[float]] = []
        for each, rest in without_each(sample).items():
            curves.append(_grow(rest.rows, size, _ROUNDS, sample.rows.take(sample.fold == each))[1])
        length = min(map(len, curves))
        curve = np.mean([curve[:length] for curve in curves], 0)
        if curve.min() < best_loss:
            best_loss, best = float(curve.min()), size | {"rounds": int(curve.argmin()) + 1}
    return best


def _grow(rows: Rows, size: dict[str, Any], rounds: int, left_out: Rows | None = None) -> tuple[str, list[float]]:
    """The trees as LightGBM's text, and their log-loss on the rows that are left out, by round.

    With such rows, only their log-loss is of use, and the text is empty. Each pair is there with its mirror, in the
    same fold.
    """
    import lightgbm

    x, y, weight = _both_ways(rows)
    models = rows.logit.shape[1]
    increasing = [1] * (models + 1) + [0] * (x.shape[1] - models - 1)
    parameters = {
        **{key: value for key, value in size.items() if key not in ("monotone", "rounds")},
        **({"monotone_constraints": increasing} if size["monotone"] else {}),
        **{"objective": "binary", "feature_pre_filter": False, "verbosity": -1},
        **{"deterministic": True, "force_row_wise": True, "seed": 0, "num_threads": _THREADS},
    }
    data = lightgbm.Dataset(x, y, weight=weight, params=parameters)
    if left_out is None:
        return lightgbm.train(parameters, data, rounds).model_to_string(), []
    history: dict[str, Any] = {}
    quiet = [lightgbm.early_stopping(_PATIENCE, verbose=False), lightgbm.record_evaluation(history)]
    x, y, weight = _both_ways(left_out)
    valid = data.create_valid(x, y, weight=weight)
    lightgbm.train(parameters, data, rounds, valid_sets=[valid], valid_names=["left out"], callbacks=quiet)
    return "", history["left out"]["binary_logloss"]


def _both_ways(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Features, labels and weights of all rows and of their mirrors; no weights where each row is one vote."""
    mirror = rows.mirrored()
    x = np.concatenate([features_of(rows), features_of(mirror)])
    return (x, np.concatenate([rows.y, mirror.y]), None) if _is_plain(rows) else _votes(x, rows)


def _two_level(sample: StackSample) -> Layered:
    """Logistic regression of other meta-learners' logits of rows that they were not fitted on."""
    # The size is chosen once: each fold again would take five times as long, and no score is taken on these rows.
    firsts: list[Fit] = [_mean_probability, _greedy, _logistic, partial(_boosted, size=sample.size)]
    if not _can_choose(sample):
        return Layered(tuple(first(sample) for first in firsts[:1]), Linear("logit", np.ones(1)))
    rests = without_each(sample)
    decided = layer_of(sample.rows, [cross_fitted(first, sample, rests) for first in firsts])
    second = _logistic(replace(sample, rows=decided))
    return Layered(tuple(first(sample) for first in firsts), second)


LEARNERS: dict[str, Fit] = {
    "best_single": _best_single,
    "mean_probability": _mean_probability,
    "mean_logit": _mean_logit,
    "weighted_by_accuracy": _weighted,
    "greedy_selection": _greedy,
    "logistic_regression": _logistic,
    "lightgbm": _lightgbm,
    "lightgbm_usual": partial(_boosted, size=_USUAL),
    "two_level": _two_level,
}
"""Meta-learners by name. ``lightgbm_usual`` shows what one that is scored on its own rows seems to reach."""
