"""The model of a judgement: ties, shares of votes, weights, and raters who differ.

A judgement compares a left and a right image whose scores differ by z, a log-odds. Rater r sees u = a_r z + b_r. The
sharpness a_r > 0 is that of a careful or a careless rater (Chen et al. 2013, Pairwise ranking aggregation in a
crowdsourced setting). The bias b_r is the liking for the left place. The outcomes have the probabilities of Davidson
(1970, On extending the Bradley-Terry model to accommodate ties, JASA 65:317)::

    P(left) : P(tie) : P(right) = exp(u/2) : nu : exp(-u/2)

Without ties nu is 0. P(left | no tie) is sigma(u) for every nu. A row with a share of votes is a binomial: it is the
cross-entropy against the share, times its weight.

The scale of z and that of all sharpnesses cannot be told apart. So the mean of log a_r is 0 here. A prediction for
nobody in particular uses a = 1 and b = 0.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from twinrank.core.records import as_record, read_record
from twinrank.errors import InputError

SHARPNESS_SD = 1.0
"""Prior standard deviation of log a_r around its mean over the raters."""
BIAS_SD = 0.5
"""Prior standard deviation of b_r around its mean over the raters, in logits."""
COMMON_SD = 4.0
"""Prior standard deviation of what all raters share: log nu around 0, their mean bias around 0, and the log of the
scale around that of scores with standard deviation 1. Only sets that hardly tell them feel it."""

Interval = tuple[float, float]


class RaterRecord(TypedDict):
    """A rater in JSON; see :class:`Judging`. Intervals are [low, high]."""

    name: str
    judgements: int
    sharpness: float
    sharpness_interval: tuple[float, float]
    bias: float
    bias_interval: tuple[float, float]


class JudgingRecord(TypedDict):
    """A :class:`Judging` in JSON."""

    nu: float
    nu_interval: tuple[float, float]
    scale: float
    scale_interval: tuple[float, float]
    raters: list[RaterRecord]


def _none() -> np.ndarray:
    return np.zeros(0)


def _no_intervals() -> np.ndarray:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Judging:
    """How people judge. The default is one kind of rater and no ties.

    Attributes:
        nu: Davidson's nu, at least 0; a pair of equal images is a tie with probability nu / (2 + nu).
        nu_interval: Ends of its 95% interval; (0, 0) without ties.
        scale: Factor that the scores behind z needed on the rows of the fit; 1 where nothing was fitted.
        scale_interval: Ends of its 95% interval.
        raters: Names of the raters, (R,); none where raters were not told apart.
        sharpness: a_r, float64 (R,), above 0; the mean of their logarithms is 0.
        sharpness_interval: Ends of the 95% intervals, float64 (R, 2).
        bias: b_r in logits, float64 (R,); positive for raters who like the left place.
        bias_interval: Ends of the 95% intervals, float64 (R, 2).
        judgements: Number of judgements of each rater (sum of weights), float64 (R,).

    Raises:
        InputError: A value is out of range, a name occurs twice, or lengths differ.
    """

    nu: float = 0.0
    nu_interval: Interval = (0.0, 0.0)
    scale: float = 1.0
    scale_interval: Interval = (1.0, 1.0)
    raters: tuple[str, ...] = ()
    sharpness: np.ndarray = field(default_factory=_none)
    sharpness_interval: np.ndarray = field(default_factory=_no_intervals)
    bias: np.ndarray = field(default_factory=_none)
    bias_interval: np.ndarray = field(default_factory=_no_intervals)
    judgements: np.ndarray = field(default_factory=_none)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.nu) and self.nu >= 0):
            raise InputError(f"`nu` is {self.nu}; it must be a number of at least 0")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"`scale` is {self.scale}; it must be a number above 0")
        if len(set(self.raters)) < len(self.raters):
            raise InputError("`raters` has a name twice; every rater has a name of their own")
        count = len(self.raters)
        shapes = {"sharpness": (count,), "bias": (count,), "judgements": (count,)}
        for name, shape in (shapes | {f"{each}_interval": (count, 2) for each in ("sharpness", "bias")}).items():
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(f"`{name}` must have shape {shape} and finite numbers, as there are {count} raters")
            object.__setattr__(self, name, value)
        if (self.sharpness <= 0).any():
            raise InputError("`sharpness` has a value of 0 or less; sharpness is above 0")

    def of_raters(self, raters: np.ndarray | None, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Sharpness and bias for each row; 1 and 0 for a rater whom this model does not know.

        Args:
            raters: Names of the raters, str (N,), or None.
            n: Number of rows.

        Returns:
            Sharpness and bias, float64 (N,) each.
        """
        if raters is None or not self.raters:
            return np.ones(n), np.zeros(n)
        names, codes = np.unique(np.asarray(raters), return_inverse=True)
        place = {name: row for row, name in enumerate(self.raters)}
        rows = np.array([place.get(str(name), len(self.raters)) for name in names])
        return np.append(self.sharpness, 1.0)[rows][codes], np.append(self.bias, 0.0)[rows][codes]

    def as_json(self) -> JudgingRecord:
        """JSON values of all of it."""
        raters: list[RaterRecord] = [
            {
                "name": name,
                "judgements": round(float(self.judgements[row])),
                "sharpness": float(self.sharpness[row]),
                "sharpness_interval": _ends(self.sharpness_interval[row]),
                "bias": float(self.bias[row]),
                "bias_interval": _ends(self.bias_interval[row]),
            }
            for row, name in enumerate(self.raters)
        ]
        return {
            "nu": float(self.nu),
            "nu_interval": _ends(self.nu_interval),
            "scale": float(self.scale),
            "scale_interval": _ends(self.scale_interval),
            "raters": raters,
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Judging":
        """Make it of JSON values.

        Args:
            value: What :meth:`as_json` gave, after JSON.
            where: Place of the values, for messages.

        Raises:
            InputError: A key is missing, or a value has the wrong type or is out of range.
        """
        record = as_record(value, JudgingRecord, where, "a model of judgements")
        raters = record["raters"]
        try:
            return cls(
                nu=record["nu"],
                nu_interval=_ends(record["nu_interval"]),
                scale=record["scale"],
                scale_interval=_ends(record["scale_interval"]),
                raters=tuple(each["name"] for each in raters),
                sharpness=np.array([each["sharpness"] for each in raters], np.float64),
                sharpness_interval=np.reshape([each["sharpness_interval"] for each in raters], (-1, 2)),
                bias=np.array([each["bias"] for each in raters], np.float64),
                bias_interval=np.reshape([each["bias_interval"] for each in raters], (-1, 2)),
                judgements=np.array([each["judgements"] for each in raters], np.float64),
            )
        except InputError as error:
            raise InputError(f"{where}: {error}; restore it, or fit it again") from error

    @classmethod
    def load(cls, path: Path) -> "Judging":
        """Read a JSON file that holds what :meth:`as_json` gave.

        Raises:
            InputError: The file is missing, or is not such a record.
        """
        return cls.from_json(read_record(path, JudgingRecord, "a model of judgements"), str(path))


def outcome_probabilities(u: np.ndarray, nu: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of the three outcomes (Davidson 1970).

    Args:
        u: What the rater sees, a_r z + b_r, float (N,), in logits; z itself for nobody in particular.
        nu: Davidson's nu; 0 where there are no ties.

    Returns:
        P(left), P(tie) and P(right), float64 (N,) each. Swapping the images (negating u) swaps the first and the last
        to the bit.

    Example:
        >>> left, tie, right = outcome_probabilities(np.array([0.0]), nu=2.0)
        >>> float(left[0]), float(tie[0]), float(right[0])
        (0.25, 0.5, 0.25)
    """
    u = np.asarray(u, np.float64)
    # Divided by the larger of the two exponentials, nothing overflows.
    size = np.abs(u)
    lesser, tie = np.exp(-size), nu * np.exp(-size / 2)
    total = 1 + lesser + tie
    winner, loser = 1 / total, lesser / total
    return np.where(u >= 0, winner, loser), tie / total, np.where(u >= 0, loser, winner)


def log_likelihood(
    u: np.ndarray, y: np.ndarray, tie: np.ndarray | None = None, weight: np.ndarray | None = None, nu: float = 0.0
) -> np.ndarray:
    """Log-probability of each judgement, in nats, times its weight.

    A row with a share y counts as weight * y votes for left and the rest for right. Where nu is 0, a tie counts as half
    a vote for each side.

    Args:
        u: What the rater sees, a_r z + b_r, float (N,), in logits.
        y: Share of votes for left, float (N,) in [0, 1]; ignored where the row is a tie.
        tie: Whether the row is a tie, bool (N,), or None without ties.
        weight: Number of votes, float (N,), or None for one each.
        nu: Davidson's nu.

    Returns:
        Log-likelihood, float64 (N,).
    """
    half = _half_difference(y, tie)
    size = np.abs(u)
    log_total = size / 2 + np.log1p(np.exp(-size) + nu * np.exp(-size / 2))
    result = half * u - log_total
    if tie is not None and nu > 0:
        result = result + np.where(tie, np.log(nu), 0.0)
    return result if weight is None else weight * result


def slopes(u: np.ndarray, y: np.ndarray, tie: np.ndarray | None, nu: float) -> tuple[np.ndarray, np.ndarray]:
    """First derivative of a judgement's log-likelihood by u, and the negative of the second; weights not applied.

    Args:
        u: What the rater sees, float (N,).
        y: Share of votes for left, float (N,).
        tie: Whether the row is a tie, bool (N,), or None.
        nu: Davidson's nu.

    Returns:
        Slope and curvature, float64 (N,) each. The curvature is the Fisher information about u; it is at most 1/4.
    """
    left, _, right = outcome_probabilities(u, nu)
    difference = left - right
    return _half_difference(y, tie) - difference / 2, (left + right - difference**2) / 4


def likelihood_and_slope(
    u: np.ndarray, y: np.ndarray, tie: np.ndarray | None, nu: float
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`log_likelihood` and its slope of :func:`slopes` at once, without weights, in the precision of u.

    Args:
        u: What the rater sees, float (..., K): K columns for each judgement.
        y: Share of votes for left, of a shape that fits u.
        tie: Whether the row is a tie, of the shape of ``y``, or None.
        nu: Davidson's nu.

    Returns:
        Log-likelihood in nats, and its first derivative by u, of the shape and type of u.
    """
    half, size = _half_difference(y, tie).astype(u.dtype), np.abs(u) / 2
    lesser = np.exp(-size)
    total = 1 + lesser * (lesser + u.dtype.type(nu))
    likelihood = half * u - size - np.log(total)
    if tie is not None and nu > 0:
        likelihood += np.where(tie, np.log(nu), 0.0).astype(u.dtype)
    return likelihood, half - np.copysign((1 - lesser * lesser) / (2 * total), u)


def third_derivative(u: np.ndarray, nu: float) -> np.ndarray:
    """Third derivative of a judgement's log-likelihood by u, float64 (N,); it is the same for every outcome.

    Args:
        u: What the rater sees, float (N,).
        nu: Davidson's nu.
    """
    left, _, right = outcome_probabilities(u, nu)
    difference = left - right
    return difference * (3 * (left + right) - 1 - 2 * difference**2) / 8


def _half_difference(y: np.ndarray, tie: np.ndarray | None) -> np.ndarray:
    half = np.asarray(y, np.float64) - 0.5
    return half if tie is None else np.where(tie, 0.0, half)


def _ends(interval: Any) -> Interval:
    return float(interval[0]), float(interval[1])
