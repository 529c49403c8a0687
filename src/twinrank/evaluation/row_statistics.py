"""What each row adds to the sums that metrics are made of, and the metrics as functions of these sums."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from twinrank.errors import InputError

CALIBRATION_BINS = 15
"""Equal-width bins of the confidence max(p, 1 - p), which lies in [0.5, 1]: each is 1/30 wide."""

_LOG_LOSS, _BRIER, _CONFUSION, _GAPS = 0, 1, slice(2, 6), slice(6, 6 + CALIBRATION_BINS)
_UNDECIDED = slice(_GAPS.stop, None)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What people said of N pairs, checked.

    Attributes:
        share: Share of the votes for left, float64 (N,).
        votes: Number of votes, float64 (N,).
        decided: Whether a row counts where only decisions do, bool (N,), see :func:`is_decided`.
        tie: Whether the two were judged equal, bool (N,).
    """

    share: np.ndarray
    votes: np.ndarray
    decided: np.ndarray
    tie: np.ndarray

    @property
    def hard(self) -> bool:
        """Whether each row is one vote, and each decided one is for left or right."""
        return bool((self.votes == 1).all() and np.isin(self.share[self.decided], (0, 1)).all())

    @property
    def alike(self) -> bool:
        """Whether each row is one vote for left or right."""
        return self.hard and bool(self.decided.all())


def is_decided(y: np.ndarray, tie: np.ndarray | None = None, weight: np.ndarray | None = None) -> np.ndarray:
    """Which rows have votes for left or right, bool (N,).

    The others are ties, and even shares of unknown votes. An even number of known votes is decided: each of them can
    be agreed with.

    Args:
        y: Labels or shares of the votes for left (N,).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,).
    """
    y = np.asarray(y)
    decided = y != 0.5 if weight is None else (y != 0.5) | (np.asarray(weight) > 1)
    return decided if tie is None else decided & ~np.asarray(tie, bool)


def outcomes(y: np.ndarray, tie: np.ndarray | None, weight: np.ndarray | None) -> Outcomes:
    """Labels, ties and numbers of votes, checked.

    Raises:
        InputError: There are no rows or lengths differ, a label is outside 0 to 1, or a weight is not above 0.
    """
    y = np.asarray(y)
    if y.ndim == 1 and not len(y):
        raise InputError("no rows to evaluate; give at least one labelled pair")
    for name, values in (("tie", tie), ("weight", weight)):
        if values is not None and np.shape(values) != y.shape:
            raise InputError(f"`{name}` {np.shape(values)} and labels {y.shape} must be two lists of the same length")
    shares = np.issubdtype(y.dtype, np.floating)
    wrong = np.flatnonzero(~((y >= 0) & (y <= 1)) if shares else ~np.isin(y, (0, 1)))
    if len(wrong):
        known = "labels are 0 or 1, or shares between" if shares else "labels are 0 or 1"
        raise InputError(f"label {y.flat[wrong[0]]} in row {wrong[0]} (counting from 0); {known}")
    if weight is not None and len(wrong := np.flatnonzero(~((weight > 0) & np.isfinite(weight)))):
        raise InputError(f"weight {weight[wrong[0]]} in row {wrong[0]} (counting from 0); numbers of votes are above 0")
    votes = np.ones(y.shape) if weight is None else np.asarray(weight, np.float64)
    equal = np.zeros(y.shape, bool) if tie is None else np.asarray(tie, bool)
    share = np.where(equal, 0.5, y)
    return Outcomes(share, votes, is_decided(share, equal, weight), equal)


def row_statistics(found: Outcomes, logit: np.ndarray, nu: float = 0.0) -> np.ndarray:
    """What each row adds to the sums that the metrics are made of: float64 (N, 6 + bins, or one more).

    Columns: log-loss; squared error; votes (tn, fp, fn, tp); confidence minus share of the votes agreed with, in the
    column of its bin; votes of rows that are not decided, where there are any. Only the log-loss is about these.

    Args:
        found: Outcomes of N rows.
        logit: Logits (N,).
        nu: Parameter of ties (Davidson 1970), see :func:`twinrank.evaluation.metrics.score`.

    Raises:
        InputError: Lengths differ, or a logit is not finite.
    """
    logit = _checked(found, logit)
    confidence = expit(np.abs(logit))
    place = _GAPS.start + confidence_bin(confidence)
    each, decision = np.arange(len(logit)), (logit > 0).astype(np.int64)
    if found.alike and not nu:
        rows, y = np.zeros((len(logit), _GAPS.stop)), found.share.astype(np.int64)
        margin = np.where(y == 1, logit, -logit)
        rows[:, _LOG_LOSS] = np.logaddexp(0, -margin)
        rows[:, _BRIER] = expit(-margin) ** 2
        rows[each, _CONFUSION.start + 2 * y + decision] = 1
        rows[each, place] = confidence - (decision == y)
        return rows
    rows = np.zeros((len(logit), _GAPS.stop + 1))
    share, votes = found.share, found.votes
    rows[:, _BRIER] = share * expit(-logit) ** 2 + (1 - share) * expit(logit) ** 2
    rows[each, _CONFUSION.start + 2 + decision] = share
    rows[each, _CONFUSION.start + decision] = 1 - share
    rows[each, place] = confidence - np.where(decision, share, 1 - share)
    rows[~found.decided] = 0
    rows[~found.decided, _UNDECIDED.start] = 1
    rows[:, _LOG_LOSS] = _row_log_loss(found, logit, nu)
    return rows * votes[:, None]


def _row_log_loss(found: Outcomes, logit: np.ndarray, nu: float) -> np.ndarray:
    """Cross-entropy of each row, float64 (N,). Without ``nu`` a tie is half a vote for each side."""
    share = found.share
    if not nu:
        return share * np.logaddexp(0, -logit) + (1 - share) * np.logaddexp(0, logit)
    whole = np.logaddexp(np.logaddexp(logit / 2, -logit / 2), np.log(nu))
    return np.where(found.tie, whole - np.log(nu), whole - (share - 0.5) * logit)


def _checked(found: Outcomes, logit: np.ndarray) -> np.ndarray:
    logit = np.asarray(logit, np.float64)
    if logit.ndim != 1 or logit.shape != found.share.shape:
        raise InputError(f"labels {found.share.shape} and logits {logit.shape} must be two lists of the same length")
    wrong = np.flatnonzero(~np.isfinite(logit))
    if len(wrong):
        raise InputError(f"logit {logit[wrong[0]]} in row {wrong[0]} (counting from 0); logits must be finite numbers")
    return logit


def confidence_bin(confidence: np.ndarray) -> np.ndarray:
    """Numbers of the bins of some confidences, int64 (N,)."""
    return np.minimum(((confidence - 0.5) * 2 * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def decided_votes(sums: np.ndarray) -> np.ndarray:
    """Number of votes of decided rows, as every function here from column sums (..., C) to values (...)."""
    return sums[..., _CONFUSION].sum(-1)


def confusion(sums: np.ndarray) -> np.ndarray:
    """Votes (..., 4): tn, fp, fn, tp."""
    return sums[..., _CONFUSION]


def gaps(sums: np.ndarray) -> np.ndarray:
    """Confidence minus rightness by bin, (..., bins)."""
    return sums[..., _GAPS]


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Share of the votes agreed with."""
    return sums[..., _CONFUSION][..., [0, 3]].sum(-1) / decided_votes(sums)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Mean F1 score of the two classes."""
    tn, fp, fn, tp = np.moveaxis(sums[..., _CONFUSION], -1, 0)
    hits, misses = np.stack([tn, tp]), fp + fn
    present = 2 * hits + misses > 0
    scores = np.divide(2 * hits, 2 * hits + misses, out=np.zeros_like(hits), where=present)
    return scores.sum(0) / present.sum(0)


def log_loss(sums: np.ndarray) -> np.ndarray:
    """Mean cross-entropy of the votes, ties included."""
    return sums[..., _LOG_LOSS] / (decided_votes(sums) + sums[..., _UNDECIDED].sum(-1))


def brier(sums: np.ndarray) -> np.ndarray:
    """Mean squared error of the probability."""
    return sums[..., _BRIER] / decided_votes(sums)


def expected_calibration_error(sums: np.ndarray) -> np.ndarray:
    """Sum of the sizes of the gaps."""
    return np.abs(sums[..., _GAPS]).sum(-1) / decided_votes(sums)
