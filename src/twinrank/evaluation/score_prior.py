"""How far scores lie from those of a network, fitted by marginal likelihood."""

from dataclasses import dataclass, fields
from typing import Any, TypedDict

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.core.records import as_record
from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons, Spread
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.laplace import Rows, ScorePrior

TAU_SD = 1.5
"""Standard deviation of log tau around 0 in its prior. Only sets with few judgements feel it."""
SCALE_SD = 3.0
"""Prior standard deviation of the scale around 1. It is wider where the network's scores differ by less than 1."""
_LOG_TAU = np.log(0.01), np.log(30.0)
_CLOSE = 2e-3
_MOST_STEPS = 25
_SOLVES = 16


class PriorRecord(TypedDict):
    """A :class:`Prior` in JSON."""

    scale: float
    tau: float
    scale_sd: float
    log_tau_sd: float
    judgements: int


@dataclass(frozen=True)
class Prior:
    """What a network says of scores: that of image i is N(scale f_i, tau^2).

    Attributes:
        scale: Factor of the network's scores f.
        tau: Standard deviation of a score around the network's, in logits.
        scale_sd: Standard error of the scale; 0 where it is known.
        log_tau_sd: Standard error of log tau; 0 where it is known.
        judgements: Number of rows that it was fitted to.

    Raises:
        InputError: A value is out of range.
    """

    scale: float = 1.0
    tau: float = 1.0
    scale_sd: float = 0.0
    log_tau_sd: float = 0.0
    judgements: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and np.isfinite(self.tau) and self.tau > 0):
            raise InputError(f"`scale` is {self.scale} and `tau` {self.tau}; they must be numbers, `tau` above 0")
        if not (0 <= self.scale_sd < np.inf and 0 <= self.log_tau_sd < np.inf):
            raise InputError("`scale_sd` and `log_tau_sd` must be numbers of at least 0")

    def as_json(self) -> PriorRecord:
        """JSON values of all of it."""
        return {
            "scale": self.scale,
            "tau": self.tau,
            "scale_sd": self.scale_sd,
            "log_tau_sd": self.log_tau_sd,
            "judgements": self.judgements,
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Prior":
        """Make it of JSON values.

        Args:
            value: What :meth:`as_json` gave, after JSON.
            where: Place of the values, for messages.

        Raises:
            InputError: A key is missing, or a value has the wrong type or is out of range.
        """
        record = as_record(value, PriorRecord, where, "a prior of scores")
        try:
            return cls(**{each.name: record[each.name] for each in fields(cls)})
        except InputError as error:
            raise InputError(f"{where}: {error}; restore it, or fit it again") from error


def fit_prior(f: np.ndarray, comparisons: Comparisons, judging: Judging | None = None, seed: int = 0) -> Prior:
    """Fit scale and tau by the marginal likelihood of judgements (Laplace).

    With u_i = s_i - scale f_i, the derivative of that likelihood by log tau is E[sum of u_i^2] / tau^2 - J, where J is
    the number of images that were judged. The expectation takes the mean that is corrected for skewness. Secants find
    its zero. The scale is an unknown of the posterior, with a wide prior.

    The rows must be judgements that the network was not fitted to, such as those of a validation file. A network's
    scores look better than they are on rows that it was fitted to. So tau comes out too small there, and all intervals
    too narrow.

    Args:
        f: Network scores, float (M,). Where all are equal there is no network, and the scale is 1.
        comparisons: Judgements.
        judging: How people judge; None for one kind of rater and no ties.
        seed: Root seed of the draws behind variances, where there are many images.

    Returns:
        The prior. Its time grows with the number of judgements: a million of 100,000 images take some 20 s.

    Raises:
        InputError: There are no judgements, a score is not finite, or an image number is M or more.
    """
    f = require_scores(f, comparisons)
    if not len(comparisons):
        raise InputError("there is no judgement to fit the prior to; give one or more")
    images, own = comparisons.renumbered()
    search = _Search(f[images], Rows(own, judging or Judging(), len(images)), seed)
    tau = float(np.exp(search.log_tau()))
    return Prior(search.scale, tau, search.scale_sd, search.log_tau_sd, len(comparisons))


def require_scores(f: np.ndarray, comparisons: Comparisons) -> np.ndarray:
    """Network scores as float64 (M,), checked against judgements.

    Raises:
        InputError: A score is not finite, or an image number is M or more.
    """
    f = np.asarray(f, np.float64)
    if f.ndim != 1 or not np.isfinite(f).all():
        raise InputError(f"`f` must have one finite score for each image; its shape is {f.shape}")
    if len(comparisons) and max(comparisons.left.max(), comparisons.right.max()) >= len(f):
        raise InputError(f"`left` or `right` has a number above {len(f) - 1}, but there are {len(f)} images")
    return f


class _Search:
    """Search for tau, with the scale as an unknown of the posterior."""

    def __init__(self, f: np.ndarray, rows: Rows, seed: int) -> None:
        self._f, self._rows, self._seed = f, rows, seed
        self._score = f
        self._length = float(np.linalg.norm(f)) if np.ptp(f) > 0 else 0.0
        self.scale, self.scale_sd, self.log_tau_sd = 1.0, 0.0, TAU_SD

    def log_tau(self) -> float:
        """log tau where the derivative is 0."""
        before = at = 0.0
        slope = self._derivative(at)
        change = float(np.clip(2 * slope / len(self._f), -1, 1))
        for _ in range(_MOST_STEPS):
            before, at = at, float(np.clip(at + change, *_LOG_TAU))
            if abs(at - before) < _CLOSE:
                break
            slope_before, slope = slope, self._derivative(at)
            falls = (slope - slope_before) / (at - before)
            if falls < 0:
                self.log_tau_sd = min(TAU_SD, float((-falls) ** -0.5))
            # Where the slope does not fall, a secant would lead away from the maximum.
            change = float(np.clip(-slope / falls, -1, 1)) if falls < 0 else float(np.sign(slope))
        return at

    def _derivative(self, log_tau: float) -> float:
        """Derivative by log tau of the log of the marginal likelihood and of tau's prior; notes the scale."""
        tau = float(np.exp(log_tau))
        prior = self._prior(tau)
        mode = self._rows.mode(prior, self._score)
        self._score = mode.score
        precision = mode.curvature.precision
        exact = precision.covariance is not None
        draws = None if exact else precision.draws(_SOLVES, numpy_generator(self._seed, "tau"))
        spread = Spread(precision, draws)
        shift = mode.shift(spread)
        deviation, trace, free = mode.score - self._f, float(spread.variance.sum()), 0
        if prior.direction is not None:
            direction, (through, factor) = prior.direction, mode.curvature.along
            across = float(direction @ through)
            trace += factor * float(through @ through) - across - factor * across**2
            self.scale_sd = float(np.sqrt(across + factor * across**2)) / self._length
            self.scale = 1 + float(direction @ (deviation + shift)) / self._length
            deviation, free = deviation - (direction @ deviation) * direction, 1
        squares = float(deviation @ deviation + 2 * deviation @ shift) + trace
        # tau itself has a flat prior (hence the 1), and a log-normal one that bounds it.
        return squares / tau**2 - (len(self._f) - free) + 1 - log_tau / TAU_SD**2

    def _prior(self, tau: float) -> ScorePrior:
        if not self._length:
            return ScorePrior(self._f, tau)
        width = SCALE_SD * max(1.0, 1 / float(self._f.std())) * self._length
        return ScorePrior(self._f, tau, self._f / self._length, width**2 / (width**2 + tau**2))
