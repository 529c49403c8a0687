"""Weights of greatest penalised likelihood of judgements, for all folds of a cross-validation at a time."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from twinrank.evaluation.judging import likelihood_and_slope

_GRADIENT, _REDUCTION = 0.003, 1e-9
"""L-BFGS ends at the largest slope, by weights in units of their standard errors, or at the relative reduction."""
_OPTIONS = {"maxiter": 300, "maxcor": 20, "maxls": 8, "ftol": _REDUCTION}
_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True, eq=False)
class Votes:
    """N judgements, as K fits see them.

    Attributes:
        y: Share of votes for left, float (N, 1).
        tie: Whether the row is a tie, bool (N, 1), or None.
        count: Number of votes, float32 (N, 1).
        fitted: Whether each fit has the row, bool (N, K).
        nu: Davidson's nu.
    """

    y: np.ndarray
    tie: np.ndarray | None
    count: np.ndarray
    fitted: np.ndarray
    nu: float

    def likelihood(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood of all fits together in nats, and its slopes by u, float32 (N, K), in the memory of u.

        Args:
            u: What the raters see, in logits, float32 (N, K).
        """
        total = 0.0
        for start in range(0, len(u), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            tie, votes = None if self.tie is None else self.tie[some], self.fitted[some] * self.count[some]
            likelihood, slope = likelihood_and_slope(u[some], self.y[some], tie, self.nu)
            total += float(np.sum(likelihood * votes, dtype=np.float64))
            np.multiply(slope, votes, out=u[some])
        return total, u


class Penalised:
    """A linear model of judgements, under several fits. Rater n sees ``(seen @ inputs @ weights)[n]``.

    Weights are optimised in units in which the information about each is about 1. Where the inputs are principal
    coordinates, this nearly decorrelates them, so L-BFGS takes some ten steps. All fits are one problem, so that a step
    is a product of matrices.

    Args:
        inputs: What is weighted, float32 (M, R): coordinates of M images, or scores of the blocks of a stack.
        seen: What raters see of it, float32 (N, M): the difference of two images times the rater's sharpness.
        votes: N judgements, for K fits.
    """

    def __init__(self, inputs: np.ndarray, seen: csr_array, votes: Votes) -> None:
        self._inputs, self._seen, self._votes = inputs, seen, votes
        # A row tells most, in the sense of Fisher's information, where left and right are as likely.
        of_row = votes.count * votes.fitted.mean() / (4 + 2 * votes.nu)
        of_input = (seen.power(2).T @ of_row)[:, 0]
        self._information = np.zeros(inputs.shape[1])
        for start in range(0, len(inputs), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            self._information += of_input[some] @ np.square(inputs[some])

    def weights(self, spread: float, start: np.ndarray, stacked: bool = False) -> np.ndarray:
        """Weights of greatest penalised likelihood, float64 (R, K).

        Args:
            spread: Standard deviation of the normal prior of the weights.
            start: Weights to begin with, float (R, K).
            stacked: Whether the inputs are blocks: their weights are at least 0, and their prior has its mean at
                ``start``.
        """
        centre, total = start if stacked else 0.0, float(self._votes.count.sum())
        unit = np.sqrt(total / (self._information + 1 / spread**2))[:, None]

        def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            weights = scaled.reshape(start.shape) * unit
            score = self._inputs @ weights.astype(np.float32)
            likelihood, slope = self._votes.likelihood(self._seen @ score)
            pull = (weights - centre) / spread**2
            value = float((pull * (weights - centre)).sum()) / 2 - likelihood
            slope = (pull - self._inputs.T @ (self._seen.T @ slope)) * unit
            return value / total, slope.ravel() / total

        bounds, options = [(0.0, None)] * start.size if stacked else None, {"gtol": _GRADIENT / np.sqrt(total)}
        # Threads would wait for each other in the many small products.
        with threadpool_limits(1, "blas"):
            first = (start / unit).ravel()
            found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=_OPTIONS | options)
        return found.x.reshape(start.shape) * unit
