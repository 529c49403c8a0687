"""The gain of not deciding every pair: accuracy of the surest decisions, and label sets with a stated coverage."""

import math
from dataclasses import dataclass

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate, rate
from twinrank.evaluation.metrics import is_right

_COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the pairs that are decided."""
STATED = (0.9, 0.95, 0.99)
"""Shares of the label sets that are to hold the true label."""


def accuracy_at_coverage(y: np.ndarray, logit: np.ndarray) -> dict[float, Estimate]:
    """Accuracy on the surest share of the pairs, by that share, with Wilson 95% intervals. One pair or more is decided.

    Args:
        y: Labels, int (N,), 0 or 1.
        logit: Logits, float (N,); the larger the size, the surer.
    """
    right = is_right(y, logit)[np.argsort(-np.abs(logit), kind="stable")]
    decided = {share: right[: max(1, round(share * len(right)))] for share in _COVERAGES}
    return {share: rate(int(surest.sum()), len(surest)) for share, surest in decided.items()}


@dataclass(frozen=True)
class ConformalSet:
    """Sets of labels with a stated coverage (Vovk, Gammerman and Shafer 2005; split conformal prediction).

    A pair gets one label if the size of its logit is above that of the threshold. Otherwise it gets both labels, or
    none if the threshold is below 0.

    Attributes:
        stated: Least share of the sets that hold the true label, where rows are exchangeable with those of calibration.
        threshold: Threshold of the size of the logit, found on the rows of calibration.
        coverage: Share of the sets that hold the true label, on other rows.
        both: Share of these with both labels, which decides nothing.
        neither: Share without a label.
        alone: Accuracy where there is one label; None where there never is.
    """

    stated: float
    threshold: float
    coverage: Estimate
    both: float
    neither: float
    alone: Estimate | None


def conformal_set(
    y_calibration: np.ndarray, logit_calibration: np.ndarray, y: np.ndarray, logit: np.ndarray, stated: float
) -> ConformalSet:
    """Find the threshold on rows of calibration, and check on other rows what it covers.

    Args:
        y_calibration: Labels, int (M,), of rows that the predictor was not fitted on.
        logit_calibration: Logits of these, float (M,).
        y: Labels of other rows, int (N,).
        logit: Logits of these, float (N,).
        stated: Coverage, in (0, 1).

    Raises:
        InputError: There are too few rows of calibration to state that.
    """
    # How wrong the true label looks: the logit of the other one.
    wrongness = np.sort(np.where(y_calibration == 1, -logit_calibration, logit_calibration))
    place = math.ceil((len(wrongness) + 1) * stated)
    if place > len(wrongness):
        raise InputError(f"{len(wrongness)} rows are too few to state a coverage of {stated:.0%}; give more")
    threshold = float(wrongness[place - 1])
    left, right = -logit <= threshold, logit <= threshold
    covered = np.where(y == 1, left, right)
    single = left != right
    alone = rate(int(covered[single].sum()), int(single.sum())) if single.any() else None
    both, neither = float((left & right).mean()), float((~left & ~right).mean())
    return ConformalSet(stated, threshold, rate(int(covered.sum()), len(y)), both, neither, alone)
