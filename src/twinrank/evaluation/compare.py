"""Two ways compared on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from twinrank.core.randomness import numpy_generator
from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.metrics import is_right
from twinrank.evaluation.predictions import Predictions

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

    The interval is a percentile bootstrap of the rows (Efron and Tibshirani 1993, chapter 13). A row keeps the
    decisions of all runs, so what rows have in common cancels.

    Args:
        first: Labelled predictions of the first way, a seed each.
        second: Predictions of the second way, of the same rows and in the same order of seeds.

    Raises:
        InputError: The rows or the number of seeds differ, or rows have no labels.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"{len(first)} runs are compared with {len(second)}; give as many of each, a seed each")
    ids, labels = first[0].id, first[0].y
    if labels is None:
        raise InputError("rows without labels cannot be compared; evaluate on a labelled file")
    for each in (*first, *second):
        if each.y is None or not np.array_equal(each.id, ids) or not np.array_equal(each.y, labels):
            raise InputError("the runs were evaluated on different rows; evaluate all of them on the same file")
    right = [is_right(labels, np.stack([each.logit for each in runs])) for runs in (first, second)]
    gained = right[1].astype(np.float64) - right[0]
    rows = gained.mean(0)
    generator = numpy_generator(_SEED, "compare")
    # A row gives one of a few values, so resampling their counts is resampling rows.
    values, counts = np.unique(rows, return_counts=True)
    means = generator.multinomial(len(rows), counts / len(rows), _DRAWS) @ values / len(rows)
    low, high = np.percentile(means, _ENDS)
    estimate = Estimate(float(rows.mean()), float(low), float(high), len(rows), "paired bootstrap 95%")
    return Difference(estimate, tuple(gained.mean(1).tolist()))


@dataclass(frozen=True)
class McNemar:
    """Exact test of whether two ways are equally often right on the same rows.

    Attributes:
        first_alone: Number of rows that only the first decides rightly.
        second_alone: Number of rows that only the second decides rightly.
        p: Two-sided p-value.
    """

    first_alone: int
    second_alone: int
    p: float


def mcnemar(y: np.ndarray, first: np.ndarray, second: np.ndarray) -> McNemar:
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
    return McNemar(one, other, p)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm among them (Holm 1979), in the order given."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(steps, 1)
    return adjusted.tolist()


def detectable_difference(n: int, discordant: float) -> float:
    """Smallest difference of accuracies that a paired test at 5% finds with 80% power, as a rate.

    Lachin 1992, Power and sample size evaluation for the McNemar test, in its leading term.

    Args:
        n: Number of rows.
        discordant: Share of the rows that only one of the two ways decides rightly.
    """
    return float((ndtri(_SURE) + ndtri(_POWER)) * np.sqrt(discordant / n))
