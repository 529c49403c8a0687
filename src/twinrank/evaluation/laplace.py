"""The posterior of scores around its mode: Newton's method, and corrections for skewness."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinrank.evaluation.comparisons import Comparisons, Graph, Precision, Spread
from twinrank.evaluation.judging import Judging, log_likelihood, slopes, third_derivative

_MOST_STEPS = 60
_GAIN = 1e-8
"""Newton's method ends where a step gains less log-likelihood than this for each image."""
_LARGEST_SKEWNESS = 1.0


@dataclass(frozen=True, eq=False)
class ScorePrior:
    """Scores before the judgements: independent, N(mean_i, tau^2), and with it perhaps a common direction.

    Attributes:
        mean: Means, float64 (J,).
        tau: Standard deviation, above 0.
        direction: Vector of length 1 along which the scores are freer, float64 (J,), or None. Such is the network's
            score where its scale is unknown.
        freedom: How free, 0 (not at all) to 1 (a flat prior along it).
    """

    mean: np.ndarray
    tau: float
    direction: np.ndarray | None = None
    freedom: float = 0.0

    def pull(self, score: np.ndarray) -> np.ndarray:
        """Derivative of the log-density, float64 (J,)."""
        deviation = score - self.mean
        if self.direction is not None:
            deviation = deviation - self.freedom * (self.direction @ deviation) * self.direction
        return -deviation / self.tau**2

    def log_density(self, score: np.ndarray) -> float:
        """Log-density but for a constant."""
        return float((score - self.mean) @ self.pull(score)) / 2


class Curvature:
    """The posterior's precision, K less what a free direction takes away: H = K - freedom f f' / tau^2.

    Args:
        precision: K = A' W A + I / tau^2.
        prior: Prior of the scores.
    """

    def __init__(self, precision: Precision, prior: ScorePrior) -> None:
        self.precision, self.prior = precision, prior

    @cached_property
    def along(self) -> tuple[np.ndarray, float]:
        """k = K^-1 f, float64 (J,), and q, such that H^-1 = K^-1 + q k k'."""
        direction, graph = self.prior.direction, self.precision.graph
        if direction is None:
            return np.zeros(graph.images), 0.0
        through = self.precision.solve(direction)
        # 1 - freedom f'k / tau^2, without the cancellation.
        told = float(self.precision.weight @ (graph.differences(direction) * graph.differences(through)))
        return through, self.prior.freedom / (self.prior.tau**2 * (1 - self.prior.freedom * (1 - told)))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """x of H x = right, float64 (J,)."""
        through, factor = self.along
        solved = self.precision.solve(right)
        return solved + factor * (through @ right) * through if factor else solved


@dataclass(frozen=True, eq=False)
class Mode:
    """Highest point of a posterior of J scores, and its surroundings.

    Attributes:
        score: Mode, float64 (J,).
        curvature: Precision there.
        third: Third derivatives of the rows' log-likelihoods by the difference of scores, float64 (N,).
    """

    score: np.ndarray
    curvature: Curvature
    third: np.ndarray

    def shift(self, spread: Spread) -> np.ndarray:
        """Posterior mean less mode to the first order, float64 (J,): H^-1 A' (third * variance) / 2.

        The variances are those of the rows' differences (Tierney and Kadane 1986, Accurate approximations for posterior
        moments and marginal densities, JASA 81:82). It is exactly 0 for an image that was not judged.
        """
        graph = self.curvature.precision.graph
        through, factor = self.curvature.along
        variance = spread.of_rows[1] + factor * graph.differences(through) ** 2
        return self.curvature.solve(graph.sums(self.third * variance) / 2)

    def skewness(self, spread: Spread) -> np.ndarray:
        """Third cumulant over the cube of the standard deviation, float64 (J,), from an image's own rows.

        Row n adds its third derivative times cov(s_i, z_n)^3 (Rue, Martino and Chopin 2009, Approximate Bayesian
        inference for latent Gaussian models by using integrated nested Laplace approximations, section 3.2.3).
        """
        graph = self.curvature.precision.graph
        between = spread.of_rows[0]
        left = np.maximum(spread.variance[graph.left] - between, 0) ** 3
        right = np.maximum(spread.variance[graph.right] - between, 0) ** 3
        third = np.bincount(graph.left, self.third * left, graph.images)
        third -= np.bincount(graph.right, self.third * right, graph.images)
        return np.clip(third / spread.variance**1.5, -_LARGEST_SKEWNESS, _LARGEST_SKEWNESS)


class Rows:
    """Judgements ready for fitting, with what is known of each row's rater.

    Args:
        comparisons: Rows, with images numbered below J.
        judging: How people judge.
        images: Number J.
    """

    def __init__(self, comparisons: Comparisons, judging: Judging, images: int) -> None:
        self.graph = Graph(comparisons.left, comparisons.right, images)
        self._y, self._tie, self._weight = comparisons.y, comparisons.tie, comparisons.votes
        self._sharpness, self._bias = judging.of_raters(comparisons.rater, len(comparisons))
        self._nu = judging.nu

    def mode(self, prior: ScorePrior, start: np.ndarray) -> Mode:
        """Mode of the posterior by Newton's method; the log-density is concave.

        Args:
            prior: Prior of the scores.
            start: Scores to start from, float64 (J,).
        """
        score, value = start, self._objective(start, prior)
        gradient, curvature = self._derivatives(score, prior)
        for _ in range(_MOST_STEPS):
            step, share = curvature.solve(gradient), 1.0
            while (new := self._objective(score + share * step, prior)) < value and share > 1e-6:
                share /= 2
            gain = new - value
            if gain <= _GAIN * len(score):
                break
            score, value = score + share * step, new
            gradient, curvature = self._derivatives(score, prior)
        third = self._weight * self._sharpness**3 * third_derivative(self._seen(score), self._nu)
        return Mode(score, curvature, third)

    def _derivatives(self, score: np.ndarray, prior: ScorePrior) -> tuple[np.ndarray, Curvature]:
        slope, curve = slopes(self._seen(score), self._y, self._tie, self._nu)
        gradient = self.graph.sums(self._weight * self._sharpness * slope) + prior.pull(score)
        precision = self.graph.precision(self._weight * self._sharpness**2 * curve, prior.tau**-2)
        return gradient, Curvature(precision, prior)

    def _seen(self, score: np.ndarray) -> np.ndarray:
        return self._sharpness * self.graph.differences(score) + self._bias

    def _objective(self, score: np.ndarray, prior: ScorePrior) -> float:
        fit = log_likelihood(self._seen(score), self._y, self._tie, self._weight, self._nu).sum()
        return float(fit) + prior.log_density(score)
