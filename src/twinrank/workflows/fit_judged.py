"""How candidates of ``twinrank fit`` are compared: by judgements of images that none of them was fitted to."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.data.formats.votes.table import VoteTable
from twinrank.evaluation.metrics import log_loss


class HeldOut(NamedTuple):
    """Predictions for judgements of images that a network was not fitted to.

    Attributes:
        rows: Positions of the judgements, ascending, int64 (N,).
        logit: Calibrated logits, float (N,).
        nu: Parameter of ties, see :func:`twinrank.evaluation.metrics.score`; 0 without ties.
    """

    rows: np.ndarray
    logit: np.ndarray
    nu: float = 0.0


def compared(held_out: Mapping[Path, HeldOut], votes: VoteTable) -> tuple[dict[Path, float], int]:
    """Log-loss of several runs on the same judgements.

    Args:
        held_out: Predictions by run.
        votes: All judgements.

    Returns:
        The log-losses by run, in nats a vote, and the number of judgements that all runs have predicted.
    """
    common = np.arange(len(votes))
    for each in held_out.values():
        common = np.intersect1d(common, each.rows)
    some, losses = votes.select(common), dict[Path, float]()
    assert some.y is not None
    for run, each in held_out.items():
        logit = each.logit[np.searchsorted(each.rows, common)]
        losses[run] = log_loss(some.y, logit, tie=some.tie, weight=some.weight, nu=each.nu)
    return losses, len(common)
