"""Raters and ties as a penalised likelihood whose second derivatives are a block for each rater and a border."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinrank.evaluation.judging import BIAS_SD, COMMON_SD, SHARPNESS_SD, Judging, log_likelihood, outcome_probabilities

_MOST_STEPS = 100
_GAIN = 1e-9
"""Fitting ends where a step would gain less log-likelihood than this share of it, for each rater."""
_WIDTH = 1.959963984540054
_LOG_SHARPNESS = -14.0, 7.0
"""Bounds of log sharpness times scale."""
_LARGEST_STEP = 1.0
"""Largest change of a parameter in one step."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters, or a step of them, or a gradient.

    Attributes:
        own: Of each rater: log of sharpness times scale, and the bias if there is one, float64 (R, P).
        common: The means of these over the raters, and log nu where there are ties, float64 (G,).
    """

    own: np.ndarray
    common: np.ndarray

    def moved(self, step: "Parameters", share: float) -> "Parameters":
        """Parameters after a share of a step; sharpness stays in bounds."""
        own, common = self.own + share * step.own, self.common + share * step.common
        own[:, 0] = np.clip(own[:, 0], *_LOG_SHARPNESS)
        return Parameters(own, common)


@dataclass(frozen=True, eq=False)
class RaterModel:
    """Log-likelihood of judgements with the priors of the raters, as a function of :class:`Parameters`.

    Attributes:
        z: Differences of scores, float64 (N,), in logits.
        y: Shares of votes for left, float64 (N,).
        tie: Whether a row is a tie, bool (N,); None without ties, where nu is 0.
        weight: Numbers of votes, float64 (N,).
        codes: Numbers of the raters, int64 (N,).
        raters: Number R of raters.
        bias: Whether raters have a bias.
    """

    z: np.ndarray
    y: np.ndarray
    tie: np.ndarray | None
    weight: np.ndarray
    codes: np.ndarray
    raters: int
    bias: bool

    @property
    def precision(self) -> np.ndarray:
        """Of the priors of a rater's parameters, float (P,)."""
        return np.array([SHARPNESS_SD, BIAS_SD][: 1 + self.bias]) ** -2.0

    @cached_property
    def centre(self) -> np.ndarray:
        """Means of the priors of what is common, float (G,)."""
        common = np.zeros(1 + self.bias + (self.tie is not None))
        common[0] = -np.log(np.sqrt(np.average(self.z**2, weights=self.weight)) or 1.0)
        return common

    def start(self) -> Parameters:
        """Equal raters without bias, who see scores of standard deviation 1."""
        own = np.zeros((self.raters, 1 + self.bias))
        own[:, 0] = self.centre[0]
        return Parameters(own, self.centre)

    def seen(self, at: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """a z and u, by row."""
        scaled = np.exp(at.own[self.codes, 0]) * self.z
        return scaled, scaled + at.own[self.codes, 1] if self.bias else scaled

    def nu(self, at: Parameters) -> float:
        """Davidson's nu."""
        return 0.0 if self.tie is None else float(np.exp(at.common[-1]))

    def objective(self, at: Parameters) -> float:
        """Penalised log-likelihood."""
        deviation = at.own - at.common[: 1 + self.bias]
        penalty = float((self.precision * deviation**2).sum()) / 2
        penalty += float(((at.common - self.centre) ** 2).sum()) / (2 * COMMON_SD**2)
        _, u = self.seen(at)
        return float(log_likelihood(u, self.y, self.tie, self.weight, self.nu(at)).sum()) - penalty

    def derivatives(self, at: Parameters, observed: bool) -> tuple[Parameters, "Arrow"]:
        """Gradient, and the information: the observed one, or Fisher's, which is positive definite everywhere."""
        scaled, u = self.seen(at)
        nu, parts = self.nu(at), 1 + self.bias
        left, tied, right = outcome_probabilities(u, nu)
        difference = left - right
        half = self.y - 0.5 if self.tie is None else np.where(self.tie, 0.0, self.y - 0.5)
        slope = self.weight * (half - difference / 2)
        curve = self.weight * (left + right - difference**2) / 4
        deviation = at.own - at.common[:parts]
        gradient = -self.precision * deviation
        common = (self.centre - at.common) / COMMON_SD**2
        common[:parts] -= gradient.sum(0)
        blocks = np.zeros((self.raters, parts, parts)) + np.diag(self.precision)
        border = np.zeros((self.raters, parts, len(at.common)))
        border[:, range(parts), range(parts)] = -self.precision
        corner = np.eye(len(common)) / COMMON_SD**2
        corner[range(parts), range(parts)] += self.raters * self.precision
        columns = [scaled, np.ones(len(u))][:parts]
        for row, one in enumerate(columns):
            gradient[:, row] += self._sum(slope * one)
            for column, other in enumerate(columns):
                blocks[:, row, column] += self._sum(curve * one * other)
        if observed:
            blocks[:, 0, 0] -= self._sum(slope * scaled)
        if self.tie is not None:
            common[-1] += float((self.weight * (self.tie - tied)).sum())
            corner[-1, -1] += float((self.weight * tied * (1 - tied)).sum())
            for row, one in enumerate(columns):
                border[:, row, -1] = -self._sum(self.weight * difference * tied * one / 2)
        return Parameters(gradient, common), Arrow(blocks, border, corner)

    def _sum(self, value: np.ndarray) -> np.ndarray:
        """Sums by rater, float (R,)."""
        return np.bincount(self.codes, value, self.raters)


class Arrow:
    """A symmetric matrix: a block for each rater, and a border of what is common. Inverted by Schur's complement.

    Args:
        blocks: float (R, P, P).
        border: float (R, P, G).
        corner: float (G, G).
    """

    def __init__(self, blocks: np.ndarray, border: np.ndarray, corner: np.ndarray) -> None:
        self._blocks, self._border, self._corner = blocks, border, corner
        self._inverse = np.linalg.inv(blocks)
        self._ratio = self._inverse @ border
        self.corner_inverse = np.linalg.inv(corner - np.einsum("rpg,rph->gh", border, self._ratio))

    def less(self, gradients: Sequence[Parameters]) -> "Arrow":
        """The matrix less the covariance of gradients, but for what that has between two raters."""
        own = np.stack([each.own for each in gradients])
        common = np.stack([each.common for each in gradients])
        own, common, count = own - own.mean(0), common - common.mean(0), len(gradients)
        # An estimate may take away too much; what the prior tells stays.
        values, vectors = np.linalg.eigh(self._blocks - np.einsum("krp,krq->rpq", own, own) / count)
        values = np.maximum(values, min(SHARPNESS_SD, BIAS_SD) ** -2.0 / 4)
        blocks = vectors * values[:, None] @ vectors.transpose(0, 2, 1)
        border = self._border - np.einsum("krp,kg->rpg", own, common) / count
        return Arrow(blocks, border, self._corner - common.T @ common / count)

    def solve(self, right: Parameters) -> Parameters:
        """x of matrix times x = right."""
        common = self.corner_inverse @ (right.common - np.einsum("rpg,rp->g", self._ratio, right.own))
        return Parameters(np.einsum("rpq,rq->rp", self._inverse, right.own) - self._ratio @ common, common)

    def variance(self, part: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Of one parameter of the raters: variances (R,), covariances with the raters' mean (R,), variance of that."""
        inverse, ratio = self._inverse[:, part, part], self._ratio[:, part]
        through = ratio @ self.corner_inverse
        variances = inverse + (through * ratio).sum(1)
        covariances = (inverse + through @ ratio.sum(0)) / len(ratio)
        return variances, covariances, float(covariances.mean())


def maximised(model: RaterModel) -> Parameters:
    """Parameters of greatest penalised likelihood, by Newton steps with Fisher's information."""
    at = model.start()
    value = model.objective(at)
    for _ in range(_MOST_STEPS):
        gradient, information = model.derivatives(at, observed=False)
        step = information.solve(gradient)
        expected = float((gradient.own * step.own).sum() + gradient.common @ step.common)
        if expected < _GAIN * (1 + abs(value)) / len(gradient.own):
            return at
        largest = max(np.abs(step.own).max(), np.abs(step.common).max())
        share = min(1.0, _LARGEST_STEP / largest)
        while (new := model.objective(moved := at.moved(step, share))) < value and share > 1e-6:
            share /= 2
        if new < value:
            return at
        at, value = moved, new
    return at


def with_intervals(
    model: RaterModel, at: Parameters, names: Sequence[str], gradients: Sequence[Parameters] = ()
) -> Judging:
    """The fitted model with Laplace's intervals.

    Args:
        model: Judgements.
        at: Parameters of greatest penalised likelihood.
        names: Names of the raters, (R,), or none where they are not told apart.
        gradients: Gradients at draws of the scores, where scores are not known. Their covariance is the information
            that is missing (Louis 1982, Finding the observed information matrix when using the EM algorithm).
    """
    _, information = model.derivatives(at, observed=True)
    if gradients:
        information = information.less(gradients)
    variances, covariances, of_mean = information.variance(0)
    log_scale = at.own[:, 0].mean()
    log_sharpness = at.own[:, 0] - log_scale
    own = np.sqrt(np.maximum(variances - 2 * covariances + of_mean, 0.0))
    bias, bias_sd = np.zeros(model.raters), np.zeros(model.raters)
    if model.bias:
        bias, bias_sd = at.own[:, 1], np.sqrt(np.maximum(information.variance(1)[0], 0.0))
    nu = model.nu(at)
    nu_sd = 0.0 if model.tie is None else float(np.sqrt(max(information.corner_inverse[-1, -1], 0.0)))
    kept = slice(0, len(names))
    return Judging(
        nu=nu,
        nu_interval=_around(nu, nu_sd),
        scale=float(np.exp(log_scale)),
        scale_interval=_around(float(np.exp(log_scale)), float(np.sqrt(max(of_mean, 0.0)))),
        raters=tuple(names),
        sharpness=np.exp(log_sharpness[kept]),
        sharpness_interval=np.exp(log_sharpness[:, None] + own[:, None] * [-_WIDTH, _WIDTH])[kept],
        bias=bias[kept],
        bias_interval=(bias[:, None] + bias_sd[:, None] * [-_WIDTH, _WIDTH])[kept],
        judgements=np.bincount(model.codes, model.weight, model.raters)[kept],
    )


def _around(value: float, log_sd: float) -> tuple[float, float]:
    return value * float(np.exp(-_WIDTH * log_sd)), value * float(np.exp(_WIDTH * log_sd))
