"""How candidates of ``twinrank fit`` are compared: by judgements of images that none of them was fitted to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twinrank.data.formats.votes.table import VoteTable
from twinrank.evaluation.metrics import accuracy, log_loss


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

    def judged(self, votes: VoteTable) -> dict[str, Any]:
        """Accuracy, log-loss in nats a vote, and number of judgements.

        Args:
            votes: All judgements.
        """
        some = votes.select(self.rows)
        assert some.y is not None
        right = accuracy(some.y, self.logit, tie=some.tie, weight=some.weight)
        loss = log_loss(some.y, self.logit, tie=some.tie, weight=some.weight, nu=self.nu)
        return {"accuracy": right, "log_loss": loss, "n": len(self.rows)}


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
    some = {
        run: HeldOut(common, each.logit[np.searchsorted(each.rows, common)], each.nu) for run, each in held_out.items()
    }
    return {run: each.judged(votes)["log_loss"] for run, each in some.items()}, len(common)
