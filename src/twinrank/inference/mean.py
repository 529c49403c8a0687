"""The mean of several predictors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax

from twinrank.data.pairs import PairData
from twinrank.data.pool import Pool
from twinrank.inference.predictor import Judge


class MeanJudge:
    """The mean of some judges' logits, and of their log-posteriors where all have as many levels: a
    :class:`twinrank.inference.predictor.Judge`.

    Args:
        judges: two or more.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = judges

    def logits(self, data: PairData) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Judge`."""
        return _mean([judge.logits(data) for judge in self._judges])

    def answer(self, data: PairData) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`twinrank.inference.predictor.Judge`; the n-th levels of all judges count as the same."""
        logits, levels = zip(*(judge.answer(data) for judge in self._judges), strict=True)
        if len({each.shape for each in levels}) > 1 or not levels[0].shape[2]:
            return _mean(logits), np.empty((len(data), 2, 0))
        return _mean(logits), log_softmax(_mean(levels), axis=2)

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Judge`."""
        return _mean([judge.tournament(pool) for judge in self._judges])

    @property
    def seen(self) -> dict[str, str]:
        """See :class:`twinrank.inference.predictor.Judge`."""
        seen: dict[str, list[str]] = {}
        for judge in self._judges:
            for digest, words in judge.seen.items():
                seen.setdefault(digest, []).extend(words.split("; "))
        return {digest: "; ".join(dict.fromkeys(each)) for digest, each in seen.items()}

    def said(self, rows: str, digest: str) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Judge`."""
        seen, members = self.seen, [judge.said(rows, digest) for judge in self._judges]
        tracks = [member.pop("track") for member in members]
        for member in members:
            del member["rows"]
        return {
            "rows": f"{rows}, {seen[digest]}" if digest in seen else rows,
            "model": f"mean of {', '.join(member['model'] for member in members)}",
            "members": members,
            "track": next((track for track in tracks if track != "pairs-only"), "pairs-only"),
        }


def _mean(each: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(each).mean(0, dtype=np.float64)
