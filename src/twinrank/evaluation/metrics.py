"""How good predictions of labelled pairs are: six metrics, each with its number of rows and a 95% interval.

Everywhere below, ``y`` is an array (N,) of labels: 1 when the left image ranks higher, 0 when the right one does.
``logit`` is a float array (N,), positive where left is predicted to rank higher. The decision is ``logit > 0``.
A logit of exactly 0 is decided as 0: right ranks higher.

People may have judged the pairs. Then ``y`` may be the share of the votes for left, ``tie`` says which pairs were
judged equal, and ``weight`` is the number of votes. The log-loss is about all rows, the other metrics are about the
decided ones (:func:`is_decided`). Votes count one by one: ten votes in one row count as in ten rows.

Every metric is a function of sums over rows (:func:`_row_statistics`). So the estimate and its bootstrap draws come
from one formula, and a draw costs one weighted sum. The intervals take rows as independent draws. Where an image
occurs in several rows, they take images as such (:mod:`twinrank.evaluation.resampling`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from twinrank.errors import InputError
from twinrank.evaluation import row_statistics as statistics
from twinrank.evaluation.estimates import DRAWS, Estimate, interval_of_share, rate, share, wilson
from twinrank.evaluation.resampling import images_to_resample, recurs, resampled_sums
from twinrank.evaluation.row_statistics import CALIBRATION_BINS, is_decided, outcomes, row_statistics


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


def is_right(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Which pairs are decided rightly, bool (..., N).

    Args:
        y: Labels (N,), 0 or 1.
        logit: Logits (..., N); left is predicted to rank higher where they are above 0.
    """
    return (logit > 0) == (y == 1)


def share_agreed(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Share of each row's votes that a decision agrees with, float64 (..., N): 0 or 1 where ``y`` is.

    Args:
        y: Labels, or shares of the votes for left, (N,).
        logit: Logits (..., N).
    """
    return np.where(logit > 0, y, 1 - np.asarray(y, np.float64)).astype(np.float64)


def share_right(
    y: np.ndarray,
    logit: np.ndarray,
    *,
    images: np.ndarray | None = None,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Estimate:
    """Accuracy on the decided rows with its 95% interval, see :func:`share`.

    Args:
        y: Labels, or shares of the votes for left, (N,).
        logit: Logits (N,).
        images: As of :func:`score`.
        tie: As of :func:`score`.
        weight: As of :func:`score`.
    """
    kept = is_decided(y, tie, weight)
    parts = (None if each is None else each[kept] for each in (images, weight))
    of_rows, votes = parts
    return share(share_agreed(y[kept], logit[kept]), images=of_rows, weight=votes)


def accuracy(
    y: np.ndarray, logit: np.ndarray, *, tie: np.ndarray | None = None, weight: np.ndarray | None = None
) -> float:
    """Share of the decided rows that are decided rightly; with votes, share of the votes agreed with.

    Args:
        y: Labels 0 or 1, or shares of the votes for left, (N,).
        logit: Logits (N,).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,); None where each row is one.

    Raises:
        InputError: There are no rows or none is decided, lengths differ, a label is not 0, 1 or between, a weight is
            not above 0, or a logit is not finite.
    """
    return _metric(statistics.accuracy, y, logit, tie, weight)


def macro_f1(
    y: np.ndarray, logit: np.ndarray, *, tie: np.ndarray | None = None, weight: np.ndarray | None = None
) -> float:
    """Mean of the F1 scores of the two classes; a class that is neither in the labels nor decided for is left out.

    Arguments and errors as :func:`accuracy`.
    """
    return _metric(statistics.macro_f1, y, logit, tie, weight)


def log_loss(
    y: np.ndarray,
    logit: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    nu: float = 0.0,
) -> float:
    """Mean negative log-likelihood of the votes, in nats (chance has 0.693); exact for logits of any size.

    Arguments and errors as :func:`accuracy`; it needs no decided row.

    Args:
        y: Labels 0 or 1, or shares of the votes for left, (N,).
        logit: Logits (N,).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,); None where each row is one.
        nu: Parameter of ties, as of :func:`score`.
    """
    return float(statistics.log_loss(row_statistics(outcomes(y, tie, weight), logit, nu).sum(0)))


def brier(
    y: np.ndarray, logit: np.ndarray, *, tie: np.ndarray | None = None, weight: np.ndarray | None = None
) -> float:
    """Mean squared difference between probability and vote (Brier 1950); chance has 0.25.

    Arguments and errors as :func:`accuracy`.
    """
    return _metric(statistics.brier, y, logit, tie, weight)


def expected_calibration_error(
    y: np.ndarray, logit: np.ndarray, *, tie: np.ndarray | None = None, weight: np.ndarray | None = None
) -> float:
    """Mean absolute difference between confidence and accuracy over the bins, weighted by votes.

    Guo et al. 2017, On calibration of modern neural networks, equation 3, with :data:`CALIBRATION_BINS` equal-width
    bins of the confidence max(p, 1 - p) over [0.5, 1].

    Arguments and errors as :func:`accuracy`.
    """
    return _metric(statistics.expected_calibration_error, y, logit, tie, weight)


def confusion_matrix(
    y: np.ndarray, logit: np.ndarray, *, tie: np.ndarray | None = None, weight: np.ndarray | None = None
) -> np.ndarray:
    """Votes of decided rows, rounded, int64 (2, 2): ``[[tn, fp], [fn, tp]]``, rows the vote and columns the decision.

    Arguments and errors as :func:`accuracy`.
    """
    sums = row_statistics(_decided(y, tie, weight), logit).sum(0)
    return np.rint(statistics.confusion(sums)).astype(np.int64).reshape(2, 2)


def reliability_curve(
    y: np.ndarray,
    logit: np.ndarray,
    *,
    images: np.ndarray | None = None,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> ReliabilityCurve:
    """Confidence against accuracy in the bins of :func:`expected_calibration_error`, for decided rows.

    Arguments and errors as :func:`score`.
    """
    found, logit = _decided(y, tie, weight), np.asarray(logit, np.float64)
    row_statistics(found, logit)
    kept = found.decided
    right, confidence, votes = share_agreed(found.share, logit)[kept], expit(np.abs(logit))[kept], found.votes[kept]
    place = statistics.confidence_bin(confidence)
    n, sums, weights, successes = (
        np.bincount(place, values, CALIBRATION_BINS) for values in (None, votes * confidence, votes, votes * right)
    )
    filled = np.flatnonzero(n)
    n, sums, weights, successes = n[filled], sums[filled], weights[filled], successes[filled]
    if found.hard and not recurs(images):
        low, high = wilson(successes, n)
    else:
        sides, each_weight = None if images is None else images[kept], None if found.hard else votes
        apart = [place == number for number in filled]
        estimates = [
            share(
                right[here],
                images=None if sides is None else sides[here],
                weight=None if each_weight is None else each_weight[here],
            )
            for here in apart
        ]
        low, high = (np.array([getattr(each, end) for each in estimates]) for end in ("low", "high"))
    return ReliabilityCurve(sums / weights, successes / weights, low, high, n.astype(np.int64))


def score(
    y: np.ndarray,
    logit: np.ndarray,
    *,
    images: np.ndarray | None = None,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    nu: float = 0.0,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Estimate]:
    """Every metric with its interval.

    Accuracy has the Wilson interval. The others have percentile bootstrap intervals, all from the same resamples of the
    rows. The calibration error has the basic bootstrap interval (2 x estimate - percentile). It is a sum of absolute
    values, which noise only raises, most of all in a resample: percentiles would lie too high. Its lower end is 0 where
    noise alone explains the gaps. Where all rows are right, or all are wrong, macro-F1 has the interval of the
    accuracy: a resample cannot tell how far it may be off.

    Where an image occurs in several rows, images are resampled instead of rows, for every metric. Accuracy has the
    interval of :func:`share` then, and where rows are shares or numbers of votes.

    >>> y, logit = np.array([1, 1, 0, 0]), np.array([2.0, 1.0, -1.0, 0.5])
    >>> score(y, logit)["accuracy"].interval
    'Wilson 95%'
    >>> score(y, logit, images=np.array([[0, 1], [1, 2], [2, 0], [0, 3]]))["accuracy"].interval
    'image bootstrap 95%'

    Args:
        y: Labels 0 or 1, or shares of the votes for left, (N,).
        logit: Logits (N,), positive where left is predicted to rank higher.
        images: Numbers of the left and the right image of each row, int (N, 2); None where no image recurs.
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float (N,); None where each row is one.
        nu: Parameter of ties: P(left) : P(tie) : P(right) = exp(z/2) : nu : exp(-z/2) (Davidson 1970, JASA 65:317).
            With 0, which knows no ties, the log-loss takes a tie as half a vote for each side.
        seed: Seed of the resamples.
        draws: Number of resamples.

    Returns:
        Estimates by name: accuracy, macro_f1, log_loss, brier, expected_calibration_error. The ``n`` of the log-loss is
        the number of rows, that of the others the number of decided rows.

    Raises:
        InputError: As :func:`accuracy`, or ``images`` has another length.
    """
    return scores(y, {"": logit}, images=images, tie=tie, weight=weight, nu=nu, seed=seed, draws=draws)[""]


def scores(
    y: np.ndarray,
    logits: Mapping[str, np.ndarray],
    *,
    images: np.ndarray | None = None,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    nu: float = 0.0,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, dict[str, Estimate]]:
    """:func:`score` of several ways to decide the same rows, all from the same resamples, which are drawn once.

    Arguments and errors as :func:`score`, but for ``logits``: logits (N,) by name.
    """
    if not logits:
        return {}
    found = _decided(y, tie, weight)
    if images is not None and images.shape != (len(found.share), 2):
        raise InputError(f"`images` has shape {images.shape}, not ({len(found.share)}, 2): two numbers for each row")
    rows = {name: row_statistics(found, logit, nu) for name, logit in logits.items()}
    together = resampled_sums(np.concatenate(list(rows.values()), 1), images, seed, draws)
    resampled = np.split(together, len(rows), 1)
    return {
        name: _estimates(found, each, drawn, images)
        for (name, each), drawn in zip(rows.items(), resampled, strict=True)
    }


def _estimates(
    found: statistics.Outcomes, rows: np.ndarray, resampled: np.ndarray, images: np.ndarray | None
) -> dict[str, Estimate]:
    resampled = resampled[statistics.decided_votes(resampled) > 0]
    n, sums = int(found.decided.sum()), rows.sum(0)
    distinct = images_to_resample(images)
    method = "bootstrap 95%" if distinct is None else "image bootstrap 95%"
    if found.hard and distinct is None:
        estimates = {"accuracy": rate(statistics.confusion(sums)[[0, 3]].sum(), n)}
    else:
        rates = statistics.accuracy(resampled)
        estimates = {"accuracy": interval_of_share(float(statistics.accuracy(sums)), rates, n, images)}
    for name, function in _BOOTSTRAPPED.items():
        value = float(function(sums))
        low, high = (float(end) for end in np.quantile(function(resampled), [0.025, 0.975]))
        about, how = len(rows) if name == "log_loss" else n, method
        if name == "macro_f1" and low == high:
            # Where all rows are right, so is each resample.
            low, high, how = estimates["accuracy"].low, estimates["accuracy"].high, estimates["accuracy"].interval
        estimates[name] = Estimate(value, min(low, value), max(high, value), about, how, distinct)
    low, value, high = _calibration_interval(sums, resampled)
    estimates["expected_calibration_error"] = Estimate(value, low, high, n, f"basic {method}", distinct)
    return estimates


def _calibration_interval(sums: np.ndarray, resampled: np.ndarray) -> tuple[float, float, float]:
    """Lower end, value and upper end."""
    error, votes = statistics.expected_calibration_error, float(statistics.decided_votes(sums))
    value = float(error(sums))
    low, high = (2 * value - end for end in np.quantile(error(resampled), [0.975, 0.025]))
    # Resamples of images differ in their number of votes.
    alike = resampled * (votes / statistics.decided_votes(resampled))[:, None]
    noise = np.quantile(np.abs(statistics.gaps(alike - sums)).sum(-1) / votes, 0.95)
    low = 0.0 if value <= noise else min(max(0.0, float(low)), value)
    return low, value, max(min(1.0, float(high)), value)


def _decided(y: np.ndarray, tie: np.ndarray | None, weight: np.ndarray | None) -> statistics.Outcomes:
    found = outcomes(y, tie, weight)
    if not found.decided.any():
        raise InputError("every row is a tie or an even share; give at least one pair that was decided")
    return found


def _metric(
    function: Callable[[np.ndarray], np.ndarray],
    y: np.ndarray,
    logit: np.ndarray,
    tie: np.ndarray | None,
    weight: np.ndarray | None,
) -> float:
    return float(function(row_statistics(_decided(y, tie, weight), logit).sum(0)))


_BOOTSTRAPPED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "macro_f1": statistics.macro_f1,
    "log_loss": statistics.log_loss,
    "brier": statistics.brier,
}
