"""How good predictions of labelled pairs are: six metrics, each with its number of rows and a 95% interval.

Everywhere below, ``y`` is an integer array (N,) of labels: 1 when the left image ranks higher, 0 when the right one
does. ``logit`` is a float array (N,), positive where left is predicted to rank higher. The decision is ``logit > 0``.
A logit of exactly 0 is a tie, decided as 0: right ranks higher.

Every metric is a function of sums over rows (:func:`_row_statistics`). So the estimate and its bootstrap draws come
from one formula, and a draw costs one weighted sum. The intervals take the rows as independent draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from twinrank.errors import InputError

CALIBRATION_BINS = 15
"""Equal-width bins of the confidence max(p, 1 - p), which lies in [0.5, 1]: each is 1/30 wide."""

_LOG_LOSS, _BRIER, _CONFUSION, _GAPS = 0, 1, slice(2, 6), slice(6, 6 + CALIBRATION_BINS)
_COUNTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A metric on some rows.

    Attributes:
        value: Metric on the rows themselves.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
        n: Number of rows.
        interval: Method of the interval, such as ``"Wilson 95%"``.
    """

    value: float
    low: float
    high: float
    n: int
    interval: str


@dataclass(frozen=True)
class ReliabilityCurve:
    """Confidence against accuracy, for the bins that hold rows, by ascending confidence.

    Attributes:
        confidence: Mean of max(p, 1 - p) in the bin, float64 (B,).
        accuracy: Share of the bin's rows decided rightly, float64 (B,).
        low: Lower end of the Wilson 95% interval of that share, float64 (B,).
        high: Upper end, float64 (B,).
        n: Number of rows in the bin, int64 (B,).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def wilson(successes: np.ndarray | float, n: np.ndarray | int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of a rate (Wilson 1927, Probable inference, JASA 22).

    Args:
        successes: Count or array of counts, 0 to ``n``.
        n: Number of trials, at least 1, of the same shape.
        level: Level of confidence.

    Returns:
        Lower and upper end, float64, of the shape of ``successes``.
    """
    n = np.asarray(n, np.float64)
    rate, z = np.asarray(successes, np.float64) / n, float(ndtri((1 + level) / 2))
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # Where every trial came out alike, the end meets the rate exactly; rounding must not put it a hair inside.
    return np.clip(np.minimum(centre - half, rate), 0, 1), np.clip(np.maximum(centre + half, rate), 0, 1)


def rate(successes: float, n: int) -> Estimate:
    """A share of rows with its Wilson 95% interval."""
    low, high = wilson(successes, n)
    return Estimate(float(successes / n), float(low), float(high), n, "Wilson 95%")


def is_right(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Which pairs are decided rightly, bool (..., N).

    Args:
        y: Labels (N,), 0 or 1.
        logit: Logits (..., N); left is predicted to rank higher where they are above 0.
    """
    return (logit > 0) == (y == 1)


def share_right(y: np.ndarray, logit: np.ndarray) -> Estimate:
    """Accuracy with its Wilson 95% interval.

    Args:
        y: Labels (N,), 0 or 1.
        logit: Logits (N,).
    """
    return rate(int(is_right(y, logit).sum()), len(y))


def accuracy(y: np.ndarray, logit: np.ndarray) -> float:
    """Share of the rows that are decided rightly.

    Raises:
        InputError: There are no rows, lengths differ, a label is not 0 or 1, or a logit is not finite.
    """
    return _metric(_accuracy, y, logit)


def macro_f1(y: np.ndarray, logit: np.ndarray) -> float:
    """Mean of the F1 scores of the two classes; a class that is neither in the labels nor decided for is left out.

    Raises:
        InputError: As :func:`accuracy`.
    """
    return _metric(_macro_f1, y, logit)


def log_loss(y: np.ndarray, logit: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, in nats (chance has 0.693); exact for logits of any size.

    Raises:
        InputError: As :func:`accuracy`.
    """
    return _metric(_log_loss, y, logit)


def brier(y: np.ndarray, logit: np.ndarray) -> float:
    """Mean squared difference between probability and label (Brier 1950); chance has 0.25.

    Raises:
        InputError: As :func:`accuracy`.
    """
    return _metric(_brier, y, logit)


def expected_calibration_error(y: np.ndarray, logit: np.ndarray) -> float:
    """Mean absolute difference between confidence and accuracy over the bins, weighted by rows.

    Guo et al. 2017, On calibration of modern neural networks, equation 3, with :data:`CALIBRATION_BINS` equal-width
    bins of the confidence max(p, 1 - p) over [0.5, 1].

    Raises:
        InputError: As :func:`accuracy`.
    """
    return _metric(_expected_calibration_error, y, logit)


def confusion_matrix(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Counts int64 (2, 2): ``[[tn, fp], [fn, tp]]``, rows the label and columns the decision, 0 before 1.

    Raises:
        InputError: As :func:`accuracy`.
    """
    return _row_statistics(y, logit).sum(0)[_CONFUSION].astype(np.int64).reshape(2, 2)


def reliability_curve(y: np.ndarray, logit: np.ndarray) -> ReliabilityCurve:
    """Confidence against accuracy in the bins of :func:`expected_calibration_error`.

    Raises:
        InputError: As :func:`accuracy`.
    """
    y, logit = _checked(y, logit)
    confidence, right = expit(np.abs(logit)), is_right(y, logit)
    place = _confidence_bin(confidence)
    n, sums, successes = (
        np.bincount(place, weights, CALIBRATION_BINS) for weights in (None, confidence, right.astype(np.float64))
    )
    filled = n > 0
    n, sums, successes = n[filled], sums[filled], successes[filled]
    low, high = wilson(successes, n)
    return ReliabilityCurve(sums / n, successes / n, low, high, n.astype(np.int64))


def score(y: np.ndarray, logit: np.ndarray, *, seed: int = 0, draws: int = 1000) -> dict[str, Estimate]:
    """Every metric with its interval.

    Accuracy has the Wilson interval. The others have percentile bootstrap intervals, all from the same resamples of the
    rows. The calibration error has the basic bootstrap interval (2 x estimate - percentile). It is a sum of absolute
    values, which noise only raises, most of all in a resample: percentiles would lie too high. Its lower end is 0 where
    noise alone explains the gaps.

    Args:
        y: Labels (N,), 0 or 1.
        logit: Logits (N,), positive where left is predicted to rank higher.
        seed: Seed of the resamples.
        draws: Number of resamples.

    Returns:
        Estimates by name: accuracy, macro_f1, log_loss, brier, expected_calibration_error.

    Raises:
        InputError: As :func:`accuracy`.
    """
    return scores(y, {"": logit}, seed=seed, draws=draws)[""]


def scores(
    y: np.ndarray, logits: Mapping[str, np.ndarray], *, seed: int = 0, draws: int = 1000
) -> dict[str, dict[str, Estimate]]:
    """:func:`score` of several ways to decide the same rows, all from the same resamples, which are drawn once.

    Args:
        y: Labels (N,), 0 or 1.
        logits: Logits (N,) by name.
        seed: Seed of the resamples.
        draws: Number of resamples.

    Raises:
        InputError: As :func:`accuracy`.
    """
    rows = {name: _row_statistics(y, logit) for name, logit in logits.items()}
    resampled = _resampled_sums(rows, seed, draws)
    return {name: _estimates(each, resampled[name]) for name, each in rows.items()}


def _estimates(rows: np.ndarray, resampled: np.ndarray) -> dict[str, Estimate]:
    n, sums = len(rows), rows.sum(0)
    estimates = {"accuracy": rate(sums[_CONFUSION][[0, 3]].sum(), n)}
    for name, function in _BOOTSTRAPPED.items():
        value = float(function(sums))
        low, high = (float(end) for end in np.quantile(function(resampled), [0.025, 0.975]))
        estimates[name] = Estimate(value, min(low, value), max(high, value), n, "bootstrap 95%")
    estimates["expected_calibration_error"] = _calibration_estimate(sums, resampled, n)
    return estimates


def _calibration_estimate(sums: np.ndarray, resampled: np.ndarray, n: int) -> Estimate:
    value = float(_expected_calibration_error(sums))
    low, high = (2 * value - end for end in np.quantile(_expected_calibration_error(resampled), [0.975, 0.025]))
    noise = np.quantile(np.abs(resampled - sums)[:, _GAPS].sum(-1) / n, 0.95)
    low = 0.0 if value <= noise else min(max(0.0, float(low)), value)
    high = max(min(1.0, float(high)), value)
    return Estimate(value, low, high, n, "basic bootstrap 95%")


def _checked(y: np.ndarray, logit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, logit = np.asarray(y), np.asarray(logit, np.float64)
    if y.ndim != 1 or y.shape != logit.shape:
        raise InputError(f"labels {y.shape} and logits {logit.shape} must be two lists of the same length")
    if not len(y):
        raise InputError("no rows to evaluate; give at least one labelled pair")
    wrong = np.flatnonzero(~np.isin(y, (0, 1)))
    if len(wrong):
        raise InputError(f"label {y[wrong[0]]} in row {wrong[0]} (counting from 0); labels are 0 or 1")
    wrong = np.flatnonzero(~np.isfinite(logit))
    if len(wrong):
        raise InputError(f"logit {logit[wrong[0]]} in row {wrong[0]} (counting from 0); logits must be finite numbers")
    return y.astype(np.int64), logit


def _confidence_bin(confidence: np.ndarray) -> np.ndarray:
    return np.minimum(((confidence - 0.5) * 2 * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def _row_statistics(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """What each row adds to the sums that the metrics are made of: float64 (N, 6 + bins).

    Columns: log-loss; squared error; one-hot (tn, fp, fn, tp); confidence minus rightness, in the column of its bin.
    """
    y, logit = _checked(y, logit)
    margin = np.where(y == 1, logit, -logit)
    decided = (logit > 0).astype(np.int64)
    confidence = expit(np.abs(logit))
    rows, each = np.zeros((len(y), _GAPS.stop)), np.arange(len(y))
    rows[:, _LOG_LOSS] = np.logaddexp(0, -margin)
    rows[:, _BRIER] = expit(-margin) ** 2
    rows[each, _CONFUSION.start + 2 * y + decided] = 1
    rows[each, _GAPS.start + _confidence_bin(confidence)] = confidence - (decided == y)
    return rows


def _resampled_sums(rows: Mapping[str, np.ndarray], seed: int, draws: int) -> dict[str, np.ndarray]:
    """Column sums of ``draws`` resamples of the rows with replacement: float64 (draws, columns) by name."""
    if not rows:
        return {}
    generator, n = np.random.default_rng(seed), len(next(iter(rows.values())))
    together = np.concatenate(list(rows.values()), 1)
    drawn = []
    for start in range(0, draws, at_once := max(1, _COUNTS_AT_ONCE // n)):
        some = range(start, min(start + at_once, draws))
        counts = np.stack([np.bincount(generator.integers(n, size=n), minlength=n) for _ in some])
        drawn.append(counts.astype(np.float64) @ together)
    ends = np.cumsum([each.shape[1] for each in rows.values()])[:-1]
    return dict(zip(rows, np.split(np.concatenate(drawn), ends, 1), strict=True))


def _metric(function: Callable[[np.ndarray], np.ndarray], y: np.ndarray, logit: np.ndarray) -> float:
    return float(function(_row_statistics(y, logit).sum(0)))


def _count(sums: np.ndarray) -> np.ndarray:
    return sums[..., _CONFUSION].sum(-1)


def _accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., _CONFUSION][..., [0, 3]].sum(-1) / _count(sums)


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    tn, fp, fn, tp = np.moveaxis(sums[..., _CONFUSION], -1, 0)
    hits, misses = np.stack([tn, tp]), fp + fn
    present = 2 * hits + misses > 0
    scores = np.divide(2 * hits, 2 * hits + misses, out=np.zeros_like(hits), where=present)
    return scores.sum(0) / present.sum(0)


def _log_loss(sums: np.ndarray) -> np.ndarray:
    return sums[..., _LOG_LOSS] / _count(sums)


def _brier(sums: np.ndarray) -> np.ndarray:
    return sums[..., _BRIER] / _count(sums)


def _expected_calibration_error(sums: np.ndarray) -> np.ndarray:
    return np.abs(sums[..., _GAPS]).sum(-1) / _count(sums)


_BOOTSTRAPPED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "macro_f1": _macro_f1,
    "log_loss": _log_loss,
    "brier": _brier,
}
