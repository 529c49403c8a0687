"""Meta-learners and baselines: from what base models say about a pair to one logit. All behind :func:`fit`.

Every decision is (s(x) - s(x'))/2, where x' is the pair with its images swapped, so each one is antisymmetric to the
bit, whatever s is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from scipy.special import logsumexp

from twinrank.ensembling.ledger import Rows
from twinrank.errors import InputError, nearest
from twinrank.evaluation.metrics import accuracy

_GREEDY_STEPS = 50
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_ROUNDS, _PATIENCE = 200, 15
_SIZES: tuple[dict[str, Any], ...] = (
    {"num_leaves": 4, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": True},
    {"num_leaves": 8, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": True},
    {"num_leaves": 8, "min_data_in_leaf": 100, "lambda_l2": 10.0, "learning_rate": 0.1, "monotone": False},
    {"num_leaves": 31, "min_data_in_leaf": 20, "lambda_l2": 0.0, "learning_rate": 0.1, "monotone": False},
)
_USUAL = _SIZES[-1] | {"learning_rate": 0.05, "rounds": 200}
_SURE = 1 - 1e-12
_THREADS = 1
"""Of LightGBM, fixed: its sums depend on them. Two wait for each other where the machine has other work."""


class Fitted(Protocol):
    """A meta-learner after fitting."""

    def score(self, rows: Rows) -> np.ndarray:
        """float64 (N,), greater where the left image is held to rank higher; not yet antisymmetric."""
        ...

    def state(self) -> dict[str, Any]:
        """All of it as JSON values, which :func:`restore` takes."""
        ...

    def uses(self) -> np.ndarray | None:
        """bool (M,), base models that it asks; None, all of them."""
        ...


@dataclass(frozen=True, eq=False)
class StackSample:
    """What meta-learners are fitted on.

    Attributes:
        rows: N labelled rows that no base model saw.
        fold: int (N,), folds of these, in which sizes are chosen.
    """

    rows: Rows
    fold: np.ndarray

    def without(self, fold: int) -> "StackSample":
        """The other folds."""
        kept = self.fold != fold
        return StackSample(take(self.rows, kept), self.fold[kept])

    @cached_property
    def size(self) -> dict[str, Any]:
        """Of the trees, by log-loss over the folds; several meta-learners ask for it."""
        return _chosen_size(self)


Fit = Callable[[StackSample], Fitted]


def mirrored(rows: Rows) -> Rows:
    """The same pairs with their images swapped."""
    levels = {name: both[:, ::-1] for name, both in rows.levels.items()}
    return replace(rows, logit=-rows.logit, y=1 - rows.y, levels=levels)


def decide(fitted: Fitted, rows: Rows) -> np.ndarray:
    """Logits float64 (N,); swapping the images of a pair negates its logit to the bit."""
    return (fitted.score(rows) - fitted.score(mirrored(rows))) / 2


def fit(name: str, sample: StackSample) -> Fitted:
    """Fit a meta-learner.

    Args:
        name: of :data:`LEARNERS`.
        sample: to fit.

    Raises:
        InputError: there is no such meta-learner, or it cannot be fitted.
    """
    if name not in LEARNERS:
        raise InputError(f"there is no meta-learner '{name}'{nearest(name, LEARNERS)}")
    return LEARNERS[name](sample)


def restore(state: Mapping[str, Any]) -> Fitted:
    """A fitted meta-learner from its :meth:`Fitted.state`."""
    match state:
        case {"kind": "linear", "space": space, "weights": weights}:
            return Linear(space, np.array(weights))
        case {"kind": "boosted", "model": model}:
            return Boosted(model, state["chosen"])
        case {"kind": "layered", "first": first, "second": second}:
            return Layered(tuple(map(restore, first)), restore(second))
    raise InputError("not the state of a meta-learner; stack again")


@dataclass(frozen=True, eq=False)
class Linear:
    """A weighted sum.

    Attributes:
        space: "logit", of logits; "probability", of probabilities (weights sum to 1), as a logit.
        weights: float64 (M,).
    """

    space: str
    weights: np.ndarray

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        if self.space == "logit":
            return rows.logit @ self.weights
        # 2 p - 1 = tanh(z / 2) is odd, so nothing is lost near 0 and 1.
        return 2 * np.arctanh(np.clip(np.tanh(rows.logit / 2) @ self.weights, -_SURE, _SURE))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "linear", "space": self.space, "weights": self.weights.tolist()}

    def uses(self) -> np.ndarray:
        """See :class:`Fitted`."""
        return self.weights != 0


class Boosted:
    """LightGBM trees (Ke et al. 2017, NeurIPS).

    Args:
        model: as LightGBM writes it.
        chosen: its size and regularisation.
    """

    def __init__(self, model: str, chosen: dict[str, Any]) -> None:
        import lightgbm

        self._model = model
        self._chosen = chosen
        self._booster = lightgbm.Booster(model_str=model)

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        return np.asarray(self._booster.predict(_features(rows), raw_score=True, num_threads=_THREADS))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "boosted", "model": self._model, "chosen": self._chosen}

    def uses(self) -> None:
        """See :class:`Fitted`."""


@dataclass(frozen=True, eq=False)
class Layered:
    """A meta-learner on top of others.

    Attributes:
        first: whose decisions are taken as logits,
        second: by this one.
    """

    first: tuple[Fitted, ...]
    second: Fitted

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        return self.second.score(_decided(rows, [decide(each, rows) for each in self.first]))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "layered", "first": [each.state() for each in self.first], "second": self.second.state()}

    def uses(self) -> None:
        """See :class:`Fitted`."""


def cross_fitted(learner: Fit, sample: StackSample, rests: Mapping[int, StackSample] | None = None) -> np.ndarray:
    """Logits float64 (N,) of each row by a meta-learner that was fitted on the other folds.

    Args:
        learner: to fit.
        sample: N rows.
        rests: :meth:`StackSample.without` each fold, where it exists already. Sizes chosen in it are not chosen again.
    """
    logit = np.empty(len(sample.rows))
    for each, rest in (rests or without_each(sample)).items():
        held = sample.fold == each
        logit[held] = decide(learner(rest), take(sample.rows, held))
    return logit


def without_each(sample: StackSample) -> dict[int, StackSample]:
    """The sample without one fold, by that fold."""
    return {int(each): sample.without(each) for each in np.unique(sample.fold)}


def take(rows: Rows, which: np.ndarray) -> Rows:
    """Some rows, by mask or positions."""
    levels = {name: both[which] for name, both in rows.levels.items()}
    return Rows(rows.id[which], rows.y[which], rows.logit[which], levels)


def _decided(rows: Rows, logits: list[np.ndarray]) -> Rows:
    return Rows(rows.id, rows.y, np.stack(logits, 1), {})


def _accuracies(rows: Rows) -> np.ndarray:
    return np.array([accuracy(rows.y, logit) for logit in rows.logit.T])


def _losses(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Log-loss of each column."""
    return np.logaddexp(0, np.where(y[:, None] == 1, -logit, logit)).mean(0)


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
    """Probabilities, weighted by how much better than a coin each base model is on these rows."""
    gain = np.maximum(_accuracies(sample.rows) - 0.5, 0)
    return Linear("probability", gain / gain.sum() if gain.sum() else _even(sample.rows))


def _greedy(sample: StackSample) -> Linear:
    """Caruana et al. 2004, Ensemble selection from libraries of models: the base model that lowers the log-loss of the
    mean probability most is added, again and again, with replacement; the best mean on the way is taken."""
    rows = sample.rows
    side = np.tanh(rows.logit / 2)
    counts, total = np.zeros(rows.logit.shape[1], int), np.zeros(len(rows))
    best_loss, best = np.inf, counts
    for step in range(1, _GREEDY_STEPS + 1):
        means = np.clip((total[:, None] + side) / step, -_SURE, _SURE)
        losses = _losses(rows.y, 2 * np.arctanh(means))
        added = int(np.argmin(losses))
        counts[added] += 1
        total = total + side[:, added]
        if losses[added] < best_loss:
            best_loss, best = losses[added], counts.copy()
    return Linear("probability", best / best.sum())


def _logistic(sample: StackSample) -> Linear:
    """Logistic regression of logits, without intercept, so that it is odd; its penalty is chosen over the folds."""
    learners = [partial(_penalised, penalty=penalty) for penalty in _PENALTIES]
    rests = without_each(sample)
    losses = _losses(sample.rows.y, np.stack([cross_fitted(each, sample, rests) for each in learners], 1))
    return learners[int(np.argmin(losses))](sample)


def _penalised(sample: StackSample, penalty: float) -> Linear:
    from sklearn.linear_model import LogisticRegression

    rows = sample.rows
    if len(np.unique(rows.y)) < 2:
        raise InputError("labels of one kind alone cannot be stacked; give rows of both")
    scale = rows.logit.std() or 1.0
    model = LogisticRegression(C=1 / (penalty * len(rows)), fit_intercept=False, solver="newton-cholesky", tol=1e-8)
    return Linear("logit", model.fit(rows.logit / scale, rows.y).coef_[0] / scale)


def _features(rows: Rows) -> np.ndarray:
    """Logits, their mean and deviation; for each base model with latent levels, each side's mean level and entropy."""
    columns = [*rows.logit.T, rows.logit.mean(1), rows.logit.std(1)]
    for both in rows.levels.values():
        log_posterior = both - logsumexp(both, -1, keepdims=True)
        posterior = np.exp(log_posterior)
        columns += [*(posterior @ np.arange(both.shape[-1])).T, *(-posterior * log_posterior).sum(-1).T]
    return np.stack(columns, 1)


def _lightgbm(sample: StackSample) -> Boosted:
    """Trees whose size, regularisation and number are chosen over the folds."""
    return _boosted(sample, sample.size)


def _boosted(sample: StackSample, size: dict[str, Any]) -> Boosted:
    return Boosted(_grow(sample.rows, size, size["rounds"])[0], size)


def _chosen_size(sample: StackSample) -> dict[str, Any]:
    best_loss, best = np.inf, _USUAL
    for size in _SIZES:
        curves: list[list[float]] = []
        for each, rest in without_each(sample).items():
            curves.append(_grow(rest.rows, size, _ROUNDS, take(sample.rows, sample.fold == each))[1])
        length = min(map(len, curves))
        curve = np.mean([curve[:length] for curve in curves], 0)
        if curve.min() < best_loss:
            best_loss, best = float(curve.min()), size | {"rounds": int(curve.argmin()) + 1}
    return best


def _grow(rows: Rows, size: dict[str, Any], rounds: int, held: Rows | None = None) -> tuple[str, list[float]]:
    """The trees, and their log-loss on ``held`` by round. Each pair is there with its mirror, in the same fold."""
    import lightgbm

    x, y = _both_ways(rows)
    models = rows.logit.shape[1]
    increasing = [1] * (models + 1) + [0] * (x.shape[1] - models - 1)
    parameters = {
        **{key: value for key, value in size.items() if key not in ("monotone", "rounds")},
        **({"monotone_constraints": increasing} if size["monotone"] else {}),
        **{"objective": "binary", "feature_pre_filter": False, "verbosity": -1},
        **{"deterministic": True, "force_row_wise": True, "seed": 0, "num_threads": _THREADS},
    }
    data = lightgbm.Dataset(x, y, params=parameters)
    if held is None:
        return lightgbm.train(parameters, data, rounds).model_to_string(), []
    history: dict[str, Any] = {}
    quiet = [lightgbm.early_stopping(_PATIENCE, verbose=False), lightgbm.record_evaluation(history)]
    unseen = data.create_valid(*_both_ways(held))
    lightgbm.train(parameters, data, rounds, valid_sets=[unseen], valid_names=["held"], callbacks=quiet)
    return "", history["held"]["binary_logloss"]


def _both_ways(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    mirror = mirrored(rows)
    return np.concatenate([_features(rows), _features(mirror)]), np.concatenate([rows.y, mirror.y])


def _two_level(sample: StackSample) -> Layered:
    """Logistic regression on what other meta-learners say of rows that they were not fitted on."""
    # Chosen once: choosing again for each fold takes five times as long, and none of these rows is one to be judged on.
    firsts: list[Fit] = [_mean_probability, _greedy, _logistic, partial(_boosted, size=sample.size)]
    rests = without_each(sample)
    decided = _decided(sample.rows, [cross_fitted(first, sample, rests) for first in firsts])
    second = _logistic(StackSample(decided, sample.fold))
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
"""By name. ``lightgbm_usual`` is there to show what a stacker that is scored on its own rows seems to reach."""
