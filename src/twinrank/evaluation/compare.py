"""Two ways compared on the same rows, or on rows with the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtr

from twinrank.core.randomness import numpy_generator
from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.metrics import is_right, share_agreed
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.resampling import images_to_resample, recurs, resampled_sums
from twinrank.evaluation.row_statistics import outcomes

_DRAWS, _SEED = 2000, 0
_ENDS = (2.5, 97.5)
_SURE, _POWER = 0.975, 0.8


@dataclass(frozen=True)
class Difference:
    """How much more often the second way is right than the first.

    Attributes:
        estimate: Mean over rows and seeds. Its interval covers other rows, not other seeds.
        by_seed: Mean over rows, for each seed.
    """

    estimate: Estimate
    by_seed: tuple[float, ...]


def accuracy_difference(first: Sequence[Predictions], second: Sequence[Predictions]) -> Difference:
    """Difference of the accuracies of two ways, each run with the same seeds, paired by row.

    The interval is a percentile bootstrap of the rows (Efron and Tibshirani 1993, chapter 13), or of the images where
    these recur. A row keeps the decisions of all runs, so what rows have in common cancels. Rows that nobody decided
    are left out, and votes count one by one, as in :mod:`twinrank.evaluation.metrics`.

    Args:
        first: Labelled predictions of the first way, a seed each.
        second: Predictions of the second way, of the same rows and in the same order of seeds.

    Raises:
        InputError: The rows or the number of seeds differ, or rows have no labels.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"{len(first)} runs are compared with {len(second)}; give as many of each, a seed each")
    one = first[0]
    if one.y is None:
        raise InputError("rows without labels cannot be compared; evaluate on a labelled file")
    for each in (*first, *second):
        if each.y is None or not np.array_equal(each.id, one.id) or not np.array_equal(each.y, one.y):
            raise InputError("the runs were evaluated on different rows; evaluate all of them on the same file")
    found = outcomes(one.y, one.tie, one.weight)
    kept = found.decided
    images = None if one.images is None else one.images[kept]
    agreed = [share_agreed(found.share, np.stack([each.logit for each in runs]))[:, kept] for runs in (first, second)]
    gained, votes = agreed[1] - agreed[0], found.votes[kept]
    by_seed = tuple(np.average(gained, axis=1, weights=votes).tolist())
    if recurs(images) or not found.hard:
        return Difference(_by_resampling(gained.mean(0), votes, images), by_seed)
    rows = gained.mean(0)
    generator = numpy_generator(_SEED, "compare")
    # A row gives one of a few values, so resampling their counts is resampling rows.
    values, counts = np.unique(rows, return_counts=True)
    means = generator.multinomial(len(rows), counts / len(rows), _DRAWS) @ values / len(rows)
    low, high = np.percentile(means, _ENDS)
    return Difference(Estimate(float(rows.mean()), float(low), float(high), len(rows), "paired bootstrap 95%"), by_seed)


def _by_resampling(gained: np.ndarray, votes: np.ndarray, images: np.ndarray | None) -> Estimate:
    means = _resampled_means(gained[:, None], votes, images)[:, 0]
    low, high = np.percentile(means, _ENDS)
    value, distinct = float(np.average(gained, weights=votes)), images_to_resample(images)
    method = "paired bootstrap 95%" if distinct is None else "paired image bootstrap 95%"
    return Estimate(value, float(min(low, value)), float(max(high, value)), len(gained), method, distinct)


def _resampled_means(gained: np.ndarray, votes: np.ndarray, images: np.ndarray | None) -> np.ndarray:
    """Means over votes in resamples, float64 (draws, K), of gains (N, K)."""
    sums = resampled_sums(np.column_stack([gained * votes[:, None], votes]), images, _SEED, _DRAWS)
    return sums[:, :-1] / sums[:, -1:]


@dataclass(frozen=True)
class PairedTest:
    """Test of whether two ways are equally often right on the same rows.

    Attributes:
        first_alone: Number of rows that the first decides rightly and the second does not. With votes, of those where
            more votes agree with the first.
        second_alone: The same of the second.
        p: Two-sided p-value.
        error: Standard error of the difference of the accuracies.
        test: Method.
        images: Number of distinct images that were resampled; None where rows were, or were counted.
    """

    first_alone: int
    second_alone: int
    p: float
    error: float
    test: Literal["exact McNemar", "bootstrap over rows", "bootstrap over images"] = "exact McNemar"
    images: int | None = None


def paired_tests(
    y: np.ndarray,
    first: np.ndarray,
    others: Sequence[np.ndarray],
    *,
    images: np.ndarray | None = None,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> list[PairedTest]:
    """Compare one way with others on the same rows: by :func:`mcnemar` where rows are independent votes.

    Where an image recurs, images are resampled, as :func:`twinrank.evaluation.resampling.resampled_sums` does it. Rows
    that are shares or several votes are resampled. Then p is that of the difference over its standard error, in
    Student's t distribution with one degree of freedom less than there are images, or rows.

    >>> y, first, second = np.array([1, 1, 0]), np.array([1.0, 2.0, -1.0]), np.array([1.0, -2.0, -1.0])
    >>> [test.test for test in paired_tests(y, first, [second])]
    ['exact McNemar']
    >>> [test.test for test in paired_tests(y, first, [second], images=np.array([[0, 1], [1, 2], [2, 0]]))]
    ['bootstrap over images']

    Args:
        y: Labels 0 or 1, or shares of the votes for left, (N,).
        first: Logits of the first way, float (N,).
        others: Logits of the other ways, float (N,) each.
        images: Numbers of the images of each row, int (N, 2); None where none recurs.
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,).

    Returns:
        A test for each of the others.

    Raises:
        InputError: As :func:`twinrank.evaluation.metrics.accuracy`.
    """
    found = outcomes(y, tie, weight)
    kept = found.decided
    if not kept.any():
        raise InputError("every row is a tie or an even share; give at least one pair that was decided")
    images = None if images is None else images[kept]
    if found.hard and not recurs(images):
        return [mcnemar(found.share[kept], first[kept], each[kept]) for each in others]
    if not others:
        return []
    agreed = share_agreed(found.share, np.stack([first, *others]))[:, kept]
    votes, gained = found.votes[kept], (agreed[1:] - agreed[0]).T
    means, distinct = _resampled_means(gained, votes, images), images_to_resample(images)
    errors, freedom = means.std(0), max(1, (len(gained) if distinct is None else distinct) - 1)
    differences = np.average(gained, axis=0, weights=votes)
    return [
        PairedTest(
            int((gain < 0).sum()),
            int((gain > 0).sum()),
            _p_value(float(difference), float(error), freedom),
            float(error),
            "bootstrap over rows" if distinct is None else "bootstrap over images",
            distinct,
        )
        for gain, difference, error in zip(gained.T, differences, errors, strict=True)
    ]


def _p_value(difference: float, error: float, freedom: int) -> float:
    """Two-sided p of a difference; 1 where resamples do not differ, which says nothing about other images."""
    return float(2 * stdtr(freedom, -abs(difference) / error)) if error > 0 else 1.0


def mcnemar(y: np.ndarray, first: np.ndarray, second: np.ndarray) -> PairedTest:
    """McNemar 1947, in its exact form: the number of rows that one alone gets right is binomial with rate one half.

    Args:
        y: Labels, int (N,), 0 or 1.
        first: Logits of the first way, float (N,).
        second: Logits of the second way, float (N,).
    """
    # Imported here, since it takes a second and a half.
    from scipy.stats import binomtest

    right, also = is_right(y, first), is_right(y, second)
    one, other = int((right & ~also).sum()), int((also & ~right).sum())
    p = float(binomtest(one, one + other).pvalue) if one + other else 1.0
    return PairedTest(one, other, p, float(np.sqrt(one + other) / len(y)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm among them (Holm 1979), in the order given."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(steps, 1)
    return adjusted.tolist()


def detectable_difference(error: float) -> float:
    """Smallest difference of accuracies that a paired test at 5% finds with 80% power, as a rate.

    For McNemar's test it is that of Lachin 1992, Power and sample size evaluation for the McNemar test, in its leading
    term.

    Args:
        error: Standard error of the difference, such as :attr:`PairedTest.error`.
    """
    return float((ndtri(_SURE) + ndtri(_POWER)) * error)
