"""Tests of the two symmetries of a pair file: labels are even, and neither side looks different."""

from math import erfc, sqrt

import numpy as np

_P_VALUE = 1e-3
_EVEN = (0.45, 0.55)
_SMALLEST_EFFECT = 0.05
_FEWEST_ROWS = 30


def label_imbalance(y: np.ndarray) -> str | None:
    """How labels are uneven, for a finding; None if they are even.

    Uneven is a share of 1 outside 45 to 55 % that an exact binomial test against one half rejects at p < 0.001. Either
    alone would flag large files for trifles, or small ones for chance. Two rows or more of one label are uneven, too.

    Args:
        y: Labels 0 or 1, int (N,).
    """
    ones, rows = int(y.sum()), len(y)
    if rows > 1 and ones in (0, rows):
        return f"every label is {ones // rows}"
    share = ones / rows
    if _EVEN[0] <= share <= _EVEN[1]:
        return None
    from scipy.stats import binomtest  # Its import takes longer than a command should start.

    if binomtest(ones, rows).pvalue >= _P_VALUE:
        return None
    return f"{share:.1%} of the labels are 1, far from one half"


def side_difference(values: np.ndarray, y: np.ndarray | None) -> str | None:
    """How left images differ from right ones whatever the label, for a finding; None if they do not.

    Let a pair and its mirror (with the other label) be equally likely. Then the mean of left minus right among labels 1
    is minus that among labels 0. So the mean of the two means is 0. It does not matter how uneven the labels are, nor
    how the value goes with the rank. Without labels it is the plain mean. A z-test of it must reject at p < 0.001, and
    it must exceed 5 % of the standard deviation of the differences. Rows are taken as independent. Each label needs 30.

    Args:
        values: Values of the left and the right image, float (N, 2).
        y: Labels, int (N,), or None.
    """
    difference = values[:, 0] - values[:, 1]
    groups = [difference] if y is None else [difference[y == 1], difference[y == 0]]
    if min(map(len, groups)) < _FEWEST_ROWS:
        return None
    mean = float(np.mean([group.mean() for group in groups]))
    deviation = sqrt(np.mean([group.var(ddof=1) for group in groups]))
    if abs(mean) <= _SMALLEST_EFFECT * deviation:
        return None
    error = sqrt(sum(group.var(ddof=1) / len(group) for group in groups)) / len(groups)
    if error > 0 and erfc(abs(mean) / (error * sqrt(2))) >= _P_VALUE:
        return None
    left = values[:, 0].mean()
    means = f"is {left:.3f} left and {left - difference.mean():.3f} right"
    return means if y is None else f"{means}, whatever the label"
