"""What every predictor can do: a network, a stack, or the mean of several."""

from typing import Any, Protocol

import numpy as np

from twinrank.data.pairs import PairData
from twinrank.data.pool import Pool


class Judge(Protocol):
    """Whoever decides pairs: a network, or a stack of them."""

    def logits(self, data: PairData) -> np.ndarray:
        """Logits of pairs, float (N,), positive where the left image is held to rank higher."""
        ...

    def answer(self, data: PairData) -> tuple[np.ndarray, np.ndarray]:
        """Logits of pairs, float (N,), and log-posteriors of both images over K latent levels, float (N, 2, K).

        Levels stand lowest first; K is 0 for a judge without any.
        """
        ...

    def tournament(self, pool: Pool) -> np.ndarray:
        """Logits of all pairs of M images, float (M, M): that of the row ranking higher than that of the column."""
        ...

    @property
    def seen(self) -> dict[str, str]:
        """Files that training was given, by digest: what it had to do with their rows, in words."""
        ...

    def said(self, rows: str, digest: str) -> dict[str, Any]:
        """Who answered, and what training had to do with these rows (in words) of the file of that digest."""
        ...
