"""The gain of not deciding every pair: accuracy of the surest decisions, and label sets with a stated coverage."""

import math
from dataclasses import dataclass

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate, share
from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.metrics import share_agreed
from twinrank.evaluation.row_statistics import is_decided

_COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the pairs that are decided."""
STATED = (0.9, 0.95, 0.99)
"""Shares of the label sets that are to hold the true label."""


def accuracy_at_coverage(rows: LabelledRows, logit: np.ndarray) -> dict[float, Estimate]:
    """Accuracy on the surest share of the pairs, by that share, with 95% intervals. One pair or more is decided.

    Args:
        rows: N rows; those that have a right decision count.
        logit: Logits, float (N,); the larger the size, the surer.
    """
    kept = is_decided(rows.y, rows.tie, rows.weight)
    rows, logit = rows.take(kept), logit[kept]
    surest = np.argsort(-np.abs(logit), kind="stable")
    right = share_agreed(rows.y, logit)
    return {part: _share_of(rows, right, surest[: max(1, round(part * len(right)))]) for part in _COVERAGES}


def _with_majority(rows: LabelledRows, logit: np.ndarray) -> tuple[LabelledRows, np.ndarray]:
    """The rows where most votes are for one side, with their logits."""
    kept = _has_majority(rows)
    return rows.take(kept), logit[kept]


def _has_majority(rows: LabelledRows) -> np.ndarray:
    return is_decided(rows.y, rows.tie, rows.weight) & (rows.y != 0.5)


def _share_of(rows: LabelledRows, right: np.ndarray, which: np.ndarray) -> Estimate:
    parts = (None if values is None else values[which] for values in (rows.images, rows.weight))
    images, weight = parts
    return share(right[which], images=images, weight=weight)


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


def coverages_that_fit(calibration: LabelledRows) -> tuple[float, ...]:
    """Coverages of :data:`STATED` that so many rows of calibration can state."""
    rows = int(_has_majority(calibration).sum())
    return tuple(stated for stated in STATED if math.ceil((rows + 1) * stated) <= rows)


def conformal_set(
    calibration: LabelledRows, logit_calibration: np.ndarray, rows: LabelledRows, logit: np.ndarray, stated: float
) -> ConformalSet:
    """Find the threshold on rows of calibration, and check on other rows what it covers.

    The true label is that of most votes. Rows without one do not count.

    Args:
        calibration: M rows that the predictor was not fitted on.
        logit_calibration: Logits of these, float (M,).
        rows: N other rows.
        logit: Logits of these, float (N,).
        stated: Coverage, in (0, 1).

    Raises:
        InputError: There are too few rows of calibration to state that.
    """
    calibration, logit_calibration = _with_majority(calibration, logit_calibration)
    rows, logit = _with_majority(rows, logit)
    # How wrong the true label looks: the logit of the other one.
    wrongness = np.sort(np.where(calibration.y > 0.5, -logit_calibration, logit_calibration))
    place = math.ceil((len(wrongness) + 1) * stated)
    if place > len(wrongness):
        raise InputError(f"{len(wrongness)} rows are too few to state a coverage of {stated:.0%}; give more")
    threshold = float(wrongness[place - 1])
    left, right = -logit <= threshold, logit <= threshold
    covered = np.where(rows.y > 0.5, left, right)
    single = np.flatnonzero(left != right)
    alone = _share_of(rows, covered, single) if len(single) else None
    both, neither = float((left & right).mean()), float((~left & ~right).mean())
    return ConformalSet(stated, threshold, _share_of(rows, covered, np.arange(len(covered))), both, neither, alone)
