"""The model of a judgement fitted to judgements: penalised maximum likelihood, with Laplace intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinrank.core.messages import quoted
from twinrank.errors import InputError
from twinrank.evaluation.judging import (
    BIAS_SD,
    COMMON_SD,
    SHARPNESS_SD,
    Judging,
    log_likelihood,
    outcome_probabilities,
)

_MOST_STEPS = 100
_GAIN = 1e-9
"""Fitting ends where a step would gain less log-likelihood than this share of it."""
_WIDTH = 1.959963984540054
_LARGEST_SCALE = 1e3
_LARGEST_STEP = 1.0
"""Largest change of a parameter in one step."""


def fit_judging(
    z: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
    names: Sequence[str] = (),
    bias: bool = False,
) -> Judging:
    """Fit nu, the sharpness and bias of raters, and the scale of z.

    Row n has u = a_r (scale z_n) + b_r. The fit maximises the log-likelihood less the penalties of the priors: log a_r
    and b_r are shrunk to their means over the raters (:data:`twinrank.evaluation.judging.SHARPNESS_SD`,
    :data:`~twinrank.evaluation.judging.BIAS_SD`). Newton steps use Fisher's information. It is a block for each rater
    with a border of what is common, so a step costs sums over rows.

    Intervals are Laplace's (log a_r, log nu and log scale are normal) and take z as known. So z must come from a
    predictor that was not fitted to these rows. Fitted rows look too easy: the scale comes out too small, and all
    intervals too narrow. Errors of z that differ from image to image flatten all raters alike, which the scale takes
    up. Sharpnesses are relative, and so suffer least.

    Args:
        z: Score of the left image less that of the right, float (N,), in logits.
        y: Share of votes for left, float (N,) in [0, 1].
        tie: Whether the row is a tie, bool (N,), or None.
        weight: Number of votes, float (N,), above 0, or None for one each.
        rater: Number of the rater in ``names``, int (N,); None where raters are not told apart.
        names: Names of the raters, (R,).
        bias: Whether to fit the bias b_r; otherwise it is 0.

    Returns:
        The fitted model. With one rater or none there is only the scale to fit, nu where a row is a tie, and the one
        bias if it is asked for.

    Raises:
        InputError: There are no rows, or values are out of range.

    Example:
        >>> random = np.random.default_rng(0)
        >>> z = random.normal(0, 2, 4000)
        >>> y = (random.random(4000) < 1 / (1 + np.exp(-z))).astype(float)
        >>> bool(abs(fit_judging(z, y).scale - 1) < 0.1)
        True
    """
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    _require(z, y, tie, weight, rater, names)
    weight = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64)
    codes = np.zeros(len(z), np.int64) if rater is None else np.asarray(rater, np.int64)
    ties = tie if tie is not None and np.any(tie) else None
    model = _Model(z, y, ties, weight, codes, max(1, len(names)), bias)
    parameters = _maximised(model)
    return _with_intervals(model, parameters, names if rater is not None else ())


@dataclass(frozen=True, eq=False)
class _Parameters:
    """log sharpness times scale and bias by rater, float (R, P) with P 1 or 2, and the common: their means, log nu."""

    own: np.ndarray
    common: np.ndarray

    def moved(self, step: "_Parameters", share: float) -> "_Parameters":
        own, common = self.own + share * step.own, self.common + share * step.common
        own[:, 0] = np.clip(own[:, 0], -np.log(_LARGEST_SCALE) * 2, np.log(_LARGEST_SCALE))
        return _Parameters(own, common)


@dataclass(frozen=True, eq=False)
class _Model:
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

    def start(self) -> _Parameters:
        own = np.zeros((self.raters, 1 + self.bias))
        own[:, 0] = self.centre[0]
        return _Parameters(own, self.centre)

    def seen(self, at: _Parameters) -> tuple[np.ndarray, np.ndarray]:
        """a z and u, by row."""
        scaled = np.exp(at.own[self.codes, 0]) * self.z
        return scaled, scaled + at.own[self.codes, 1] if self.bias else scaled

    def nu(self, at: _Parameters) -> float:
        return 0.0 if self.tie is None else float(np.exp(at.common[-1]))

    def objective(self, at: _Parameters) -> float:
        deviation = at.own - at.common[: 1 + self.bias]
        penalty = float((self.precision * deviation**2).sum()) / 2
        penalty += float(((at.common - self.centre) ** 2).sum()) / (2 * COMMON_SD**2)
        _, u = self.seen(at)
        return float(log_likelihood(u, self.y, self.tie, self.weight, self.nu(at)).sum()) - penalty

    def derivatives(self, at: _Parameters, observed: bool) -> tuple[_Parameters, "_Arrow"]:
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
        return _Parameters(gradient, common), _Arrow(blocks, border, corner)

    def _sum(self, value: np.ndarray) -> np.ndarray:
        """Sums by rater, float (R,)."""
        return np.bincount(self.codes, value, self.raters)


class _Arrow:
    """A symmetric matrix: a block for each rater, and a border of what is common. Inverted by Schur's complement.

    Args:
        blocks: float (R, P, P).
        border: float (R, P, G).
        corner: float (G, G).
    """

    def __init__(self, blocks: np.ndarray, border: np.ndarray, corner: np.ndarray) -> None:
        self.inverse = np.linalg.inv(blocks)
        self.ratio = self.inverse @ border
        self.corner_inverse = np.linalg.inv(corner - np.einsum("rpg,rph->gh", border, self.ratio))

    def solve(self, right: _Parameters) -> _Parameters:
        common = self.corner_inverse @ (right.common - np.einsum("rpg,rp->g", self.ratio, right.own))
        return _Parameters(np.einsum("rpq,rq->rp", self.inverse, right.own) - self.ratio @ common, common)

    def variance(self, part: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Of one parameter of the raters: variances (R,), covariances with the raters' mean (R,), variance of that."""
        inverse, ratio = self.inverse[:, part, part], self.ratio[:, part]
        through = ratio @ self.corner_inverse
        variances = inverse + (through * ratio).sum(1)
        covariances = (inverse + through @ ratio.sum(0)) / len(ratio)
        return variances, covariances, float(covariances.mean())


def _maximised(model: _Model) -> _Parameters:
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


def _with_intervals(model: _Model, at: _Parameters, names: Sequence[str]) -> Judging:
    _, information = model.derivatives(at, observed=True)
    variances, covariances, of_mean = information.variance(0)
    log_scale = at.own[:, 0].mean()
    log_sharpness = at.own[:, 0] - log_scale
    own = np.sqrt(np.maximum(variances - 2 * covariances + of_mean, 0.0))
    bias, bias_sd = np.zeros(model.raters), np.zeros(model.raters)
    if model.bias:
        bias, bias_sd = at.own[:, 1], np.sqrt(information.variance(1)[0])
    nu = model.nu(at)
    nu_sd = 0.0 if model.tie is None else float(np.sqrt(information.corner_inverse[-1, -1]))
    kept = slice(0, len(names))
    return Judging(
        nu=nu,
        nu_interval=_around(nu, nu_sd),
        scale=float(np.exp(log_scale)),
        scale_interval=_around(float(np.exp(log_scale)), float(np.sqrt(of_mean))),
        raters=tuple(names),
        sharpness=np.exp(log_sharpness[kept]),
        sharpness_interval=np.exp(log_sharpness[:, None] + own[:, None] * [-_WIDTH, _WIDTH])[kept],
        bias=bias[kept],
        bias_interval=(bias[:, None] + bias_sd[:, None] * [-_WIDTH, _WIDTH])[kept],
        judgements=np.bincount(model.codes, model.weight, model.raters)[kept],
    )


def _around(value: float, log_sd: float) -> tuple[float, float]:
    return value * float(np.exp(-_WIDTH * log_sd)), value * float(np.exp(_WIDTH * log_sd))


def _require(
    z: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None,
    weight: np.ndarray | None,
    rater: np.ndarray | None,
    names: Sequence[str],
) -> None:
    if not len(z):
        raise InputError("there is no judgement to fit to; give one or more")
    for name, value in (("y", y), ("tie", tie), ("weight", weight), ("rater", rater)):
        if value is not None and np.shape(value) != z.shape:
            raise InputError(f"`{name}` has shape {np.shape(value)}, but `z` has {z.shape}; give a value for each row")
    if not np.isfinite(z).all():
        raise InputError("`z` has values that are not finite")
    if not ((y >= 0) & (y <= 1)).all():
        raise InputError("`y` has values outside 0 to 1; it is the share of votes for left")
    if weight is not None and not (np.isfinite(weight) & (np.asarray(weight) > 0)).all():
        raise InputError("`weight` has values that are not above 0; it is the number of votes")
    if rater is not None:
        if not len(names):
            raise InputError("`rater` is given without `names`; give the names of the raters")
        if np.min(rater) < 0 or np.max(rater) >= len(names):
            raise InputError(f"`rater` has numbers outside 0 to {len(names) - 1}; they are places in `names`")
        silent = np.flatnonzero(np.bincount(rater, minlength=len(names)) == 0)
        if len(silent):
            raise InputError(f"`names` has {quoted(names[silent[0]])}, who judged nothing; leave such raters out")
