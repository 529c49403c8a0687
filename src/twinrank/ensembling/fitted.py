"""Fitted meta-learners: how they score pairs, and how they are kept as JSON values.

Every logit is (s(x) - s(x'))/2, where s is the score and x' is the pair with its images swapped. So every logit is
antisymmetric to the bit, whatever s is.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from scipy.special import logsumexp

from twinrank.core.records import explained
from twinrank.ensembling.matrix import Rows
from twinrank.ensembling.trees import Trees, TreeState, trees_from_states, trees_from_text
from twinrank.errors import InputError

SURE = 1 - 1e-12
"""Largest mean of 2 p - 1; a logit beyond it is infinite."""


class Fitted(Protocol):
    """A meta-learner after fitting."""

    def score(self, rows: Rows) -> np.ndarray:
        """Scores, float64 (N,), greater where left is predicted to rank higher; not yet antisymmetric."""
        ...

    def state(self) -> dict[str, Any]:
        """The meta-learner as JSON values, which :func:`restore` takes."""
        ...

    def uses(self) -> np.ndarray | None:
        """Base models that it uses, bool (M,); None for all of them."""
        ...


def decide(fitted: Fitted, rows: Rows) -> np.ndarray:
    """Logits, float64 (N,). Swapping the images of a pair negates its logit to the bit."""
    return (fitted.score(rows) - fitted.score(rows.mirrored())) / 2


def restore(state: Any, where: str, models: int) -> Fitted:
    """A fitted meta-learner from its :meth:`Fitted.state`, or from that of an older version.

    Args:
        state: JSON values.
        where: Place of the state, for the message.
        models: Number of base models.

    Raises:
        InputError: The values are not those of a meta-learner of so many base models.
    """
    try:
        return _restored(msgspec.convert(state, State), models)
    except (InputError, msgspec.ValidationError) as error:
        reason = explained(error) if isinstance(error, msgspec.ValidationError) else error
        raise InputError(f"{where}: not a meta-learner ({reason}); restore it, or stack again") from error


def _restored(state: "State", models: int) -> Fitted:
    if isinstance(state, LinearState):
        if len(state.weights) != models or not np.isfinite(state.weights).all():
            raise InputError(f"{len(state.weights)} weights of {models} base models, or one is not finite")
        return Linear(state.space, np.array(state.weights))
    if isinstance(state, LayeredState):
        if not state.first:
            raise InputError("it has no first layer")
        first = tuple(_restored(each, models) for each in state.first)
        return Layered(first, _restored(state.second, len(first)))
    if (state.trees is None) == (state.model is None):
        raise InputError("it has no trees, or trees in two forms")
    trees = trees_from_states(state.trees or []) if state.model is None else trees_from_text(state.model)
    return Boosted(trees, state.chosen)


class LinearState(msgspec.Struct, tag_field="kind", tag="linear"):
    """State of a :class:`Linear`."""

    space: Literal["logit", "probability"]
    weights: list[float]


class BoostedState(msgspec.Struct, tag_field="kind", tag="boosted"):
    """State of a :class:`Boosted`; an older version wrote ``model``, LightGBM's text, in place of ``trees``."""

    chosen: dict[str, Any]
    trees: list[TreeState] | None = None
    model: str | None = None


class LayeredState(msgspec.Struct, tag_field="kind", tag="layered"):
    """State of a :class:`Layered`."""

    first: "list[LinearState | BoostedState | LayeredState]"
    second: "LinearState | BoostedState | LayeredState"


State = LinearState | BoostedState | LayeredState


@dataclass(frozen=True, eq=False)
class Linear:
    """A weighted sum.

    Attributes:
        space: "logit" for a sum of logits; "probability" for one of probabilities (weights sum to 1), as a logit.
        weights: Weights, float64 (M,).
    """

    space: Literal["logit", "probability"]
    weights: np.ndarray

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        if self.space == "logit":
            return rows.logit @ self.weights
        # 2 p - 1 = tanh(z / 2) is odd, so nothing is lost near 0 and 1.
        return 2 * np.arctanh(np.clip(np.tanh(rows.logit / 2) @ self.weights, -SURE, SURE))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "linear", "space": self.space, "weights": self.weights.tolist()}

    def uses(self) -> np.ndarray:
        """See :class:`Fitted`."""
        return self.weights != 0


@dataclass(frozen=True, eq=False)
class Boosted:
    """LightGBM trees (Ke et al. 2017, NeurIPS).

    Attributes:
        trees: Trees, evaluated by :class:`twinrank.ensembling.trees.Trees`.
        chosen: Size and regularisation.
    """

    trees: Trees
    chosen: dict[str, Any]

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        return self.trees.score(features_of(rows))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "boosted", "chosen": self.chosen, "trees": [tree.state() for tree in self.trees.trees]}

    def uses(self) -> None:
        """See :class:`Fitted`."""


@dataclass(frozen=True, eq=False)
class Layered:
    """A meta-learner on top of others.

    Attributes:
        first: Meta-learners of the base models.
        second: Meta-learner of their logits.
    """

    first: tuple[Fitted, ...]
    second: Fitted

    def score(self, rows: Rows) -> np.ndarray:
        """See :class:`Fitted`."""
        return self.second.score(layer_of(rows, [decide(each, rows) for each in self.first]))

    def state(self) -> dict[str, Any]:
        """See :class:`Fitted`."""
        return {"kind": "layered", "first": [each.state() for each in self.first], "second": self.second.state()}

    def uses(self) -> None:
        """See :class:`Fitted`."""


def layer_of(rows: Rows, logits: list[np.ndarray]) -> Rows:
    """The same rows, with the logits of meta-learners in place of those of base models."""
    return replace(rows, logit=np.stack(logits, 1), levels={})


def features_of(rows: Rows) -> np.ndarray:
    """Features of the trees: logits, their mean and deviation, and each side's mean level and entropy.

    The latter are there for each base model with latent levels.
    """
    columns = [*rows.logit.T, rows.logit.mean(1), rows.logit.std(1)]
    for both in rows.levels.values():
        log_posterior = both - logsumexp(both, -1, keepdims=True)
        posterior = np.exp(log_posterior)
        columns += [*(posterior @ np.arange(both.shape[-1])).T, *(-posterior * log_posterior).sum(-1).T]
    return np.stack(columns, 1)
