"""One number from the probabilities of latent levels."""

import numpy as np
from scipy.special import logit

_WIDTH = 0.5
"""Levels within which the influence of a level grows with its distance."""
_HALVINGS = 40


def level_scores(posterior: np.ndarray) -> np.ndarray:
    """Scores from the probabilities of latent levels, whatever pairs the network was trained on.

    The level m of an image is an M-estimate (Huber 1964, Robust estimation of a location parameter): the root of
    ``sum_k p_k tanh((k - m) / h)``, with h half a level. It lies between mean and median of the posterior. Two images
    in the order of their medians are nearly always in the order of ``P(level > other level)``. The score is
    ``logit((m + 1/2) / K)``. The logit of a pair would have learned, too, how training pairs were drawn.

    >>> level_scores(np.array([[0.9, 0.1, 0.0], [0.0, 0.1, 0.9]])).round(2).tolist()
    [-1.46, 1.46]

    Args:
        posterior: Probabilities of the levels, lowest first, float (M, K).

    Returns:
        float64 (M,).
    """
    p = np.asarray(posterior, np.float64)
    p, levels = p / p.sum(1, keepdims=True), np.arange(p.shape[1])
    low, high = np.zeros(len(p)), np.full(len(p), p.shape[1] - 1.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = (p * np.tanh((levels - middle[:, None]) / _WIDTH)).sum(1) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return logit((low + high + 1) / 2 / p.shape[1])
