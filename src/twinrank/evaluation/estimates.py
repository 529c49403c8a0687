"""Values with their intervals: of rates, and of shares of rows that may have images in common."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from twinrank.evaluation.resampling import images_to_resample, recurs, resampled_sums

DRAWS = 1000
"""Number of resamples."""
WILSON = "Wilson 95%"
"""Method of the interval of independent rows."""


@dataclass(frozen=True)
class Estimate:
    """A metric on some rows.

    Attributes:
        value: Metric on the rows themselves.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
        n: Number of rows that it is about.
        interval: Method of the interval, such as ``"Wilson 95%"``.
        images: Number of distinct images that were resampled; None where rows were.
    """

    value: float
    low: float
    high: float
    n: int
    interval: str
    images: int | None = None

    def record(self) -> dict[str, Any]:
        """JSON values; ``images`` only where images were resampled."""
        values = asdict(self)
        if self.images is None:
            del values["images"]
        return values


def wilson(successes: np.ndarray | float, n: np.ndarray | float, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
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
    return Estimate(float(successes / n), float(low), float(high), n, WILSON)


def mean_over_runs(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of an accuracy over runs on the same rows, with the interval of one run of that accuracy.

    Args:
        estimates: Accuracy of each run, one or more.
    """
    value = float(np.mean([each.value for each in estimates]))
    one = next((each for each in estimates if each.interval != WILSON), estimates[0])
    if one.interval == WILSON:
        return rate(value * one.n, one.n)
    low, high = (float(np.mean([getattr(each, end) for each in estimates])) for end in ("low", "high"))
    return replace(one, value=value, low=low, high=high)


def share(
    right: np.ndarray, *, images: np.ndarray | None = None, weight: np.ndarray | None = None, seed: int = 0
) -> Estimate:
    """A share of rows, with the interval that suits them.

    It is Wilson's for rows that count alike. Where an image recurs, images are resampled. That interval is never
    narrower than Wilson's with as many degrees of freedom as there are images (Korn and Graubard 1998, Confidence
    intervals for proportions with small expected number of positive counts, Survey Methodology 24). Else, for rows
    that do not count alike, it is the percentile bootstrap of the rows, with the same bound.

    Args:
        right: Whether a row counts, bool (N,), or how much of it does, float (N,) in [0, 1].
        images: Numbers of the images of each row, int (N, 2); None where none recurs.
        weight: Numbers of votes, float (N,); None where each row is one.
        seed: Seed of the resamples.
    """
    right = np.asarray(right, np.float64)
    whole = bool(np.isin(right, (0, 1)).all())
    if weight is None and whole and not recurs(images):
        return rate(int(right.sum()), len(right))
    votes = np.ones(len(right)) if weight is None else np.asarray(weight, np.float64)
    rows = np.stack([votes * right, votes], 1)
    resampled = resampled_sums(rows, images, seed, DRAWS)
    return interval_of_share(
        float(rows[:, 0].sum() / rows[:, 1].sum()), resampled[:, 0] / resampled[:, 1], len(rows), images
    )


def interval_of_share(value: float, resampled: np.ndarray, n: int, images: np.ndarray | None) -> Estimate:
    """The interval of :func:`share` from resamples.

    Args:
        value: Share of the rows themselves.
        resampled: Shares of resamples, float64 (draws,).
        n: Number of rows.
        images: As of :func:`share`.
    """
    low, high = np.quantile(resampled, [0.025, 0.975])
    distinct, alike = images_to_resample(images), float(n)
    if distinct is not None and n > 1:
        alike *= min(1.0, float(stdtrit(n - 1, 0.975) / stdtrit(max(1, distinct - 1), 0.975))) ** 2
    least, most = wilson(value * alike, alike)
    method = "bootstrap 95%" if distinct is None else "image bootstrap 95%"
    return Estimate(value, float(min(low, least)), float(max(high, most)), n, method, distinct)
