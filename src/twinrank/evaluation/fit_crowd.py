"""Scores and raters fitted together, where how people judge is not known before."""

from dataclasses import replace

import numpy as np

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.rater_model import Parameters, RaterModel, maximised, with_intervals
from twinrank.evaluation.score_prior import Prior, fit_prior
from twinrank.evaluation.scores import posterior

_MOST_ROUNDS = 12
_CLOSE = 0.01
"""Change of a log sharpness, a bias or log nu, below which the rounds end."""
_NODES = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)])
_SHARES = np.array([1.0, 4.0, 1.0]) / 6
"""Gauss-Hermite quadrature with three points: exact for polynomials of up to degree 5."""
_KNOWN = np.ones(1)
"""The one node of a score that is known."""
_DRAWS = 64
"""Draws of the scores behind the intervals."""


def fit_crowd(f: np.ndarray, comparisons: Comparisons, bias: bool = False, seed: int = 0) -> tuple[Prior, Judging]:
    """Fit the prior of the scores, nu and the raters, from one set of judgements.

    Rounds of expectation and maximisation (Dempster, Laird and Rubin 1977): the posterior of the scores given the
    raters, then the raters given each row's difference of scores, as a normal with mean and variance. A rater whose
    judgements others do not share comes out careless.

    Args:
        f: Network scores, float (M,), of a network that was not fitted to these judgements; 0 for all without one.
        comparisons: Judgements.
        bias: Whether to fit the raters' liking of a side.
        seed: Root seed.

    Returns:
        Prior of the scores, and how people judge. The scale of the scores is in the prior; that of the second is 1.
    """
    crowd = _Crowd(comparisons, bias)
    model, at = crowd.fitted(np.zeros(len(comparisons)), _KNOWN)
    rounds, change = 0, np.inf
    while True:
        judging = with_intervals(model, at, crowd.names)
        prior = fit_prior(f, comparisons, judging, seed)
        scores = posterior(f, prior, comparisons, judging, seed)
        if change < _CLOSE or rounds == _MOST_ROUNDS:
            break
        mean, variance = scores.difference(comparisons.left, comparisons.right)
        before, rounds = at, rounds + 1
        model, at = crowd.fitted(mean[:, None] + np.sqrt(variance)[:, None] * _NODES, _SHARES)
        change = _distance(before, at)
    drawn = scores.draws[:, :: scores.draws.shape[1] // _DRAWS].astype(np.float64)
    gradients = [
        crowd.model(score[comparisons.left] - score[comparisons.right], _KNOWN).derivatives(at, observed=False)[0]
        for score in drawn.T
    ]
    return prior, replace(with_intervals(model, at, crowd.names, gradients), scale=1.0, scale_interval=(1.0, 1.0))


class _Crowd:
    """Raters of some judgements."""

    def __init__(self, comparisons: Comparisons, bias: bool) -> None:
        self._comparisons, self._bias = comparisons, bias
        self.names: tuple[str, ...] = ()
        self._codes = np.zeros(len(comparisons), np.int64)
        if comparisons.rater is not None:
            names, self._codes = np.unique(comparisons.rater, return_inverse=True)
            self.names = tuple(str(name) for name in names)
        self._tie = comparisons.tie if comparisons.tie is not None and comparisons.tie.any() else None

    def model(self, z: np.ndarray, shares: np.ndarray) -> RaterModel:
        """Model of the judgements, given the differences of scores at the nodes of a quadrature.

        Args:
            z: float (N,) or (N, Q).
            shares: Weights of the nodes, float (Q,).
        """
        rows, count = self._comparisons, len(shares)
        tie = None if self._tie is None else np.repeat(self._tie, count)
        weight = (rows.votes[:, None] * shares).ravel()
        codes, raters = np.repeat(self._codes, count), max(1, len(self.names))
        return RaterModel(z.ravel(), np.repeat(rows.y, count), tie, weight, codes, raters, self._bias)

    def fitted(self, nodes: np.ndarray, shares: np.ndarray) -> tuple[RaterModel, Parameters]:
        """The model, and its parameters of greatest likelihood with a mean log sharpness of 0."""
        model = self.model(nodes, shares)
        at = maximised(model)
        own, common = at.own.copy(), at.common.copy()
        own[:, 0] -= own[:, 0].mean()
        common[0] = 0.0
        return model, Parameters(own, common)


def _distance(one: Parameters, other: Parameters) -> float:
    return max(float(np.abs(one.own - other.own).max()), float(np.abs(one.common - other.common).max()))
