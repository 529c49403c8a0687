"""Scores of images from a network's scores and from judgements, with intervals and ranks.

The network gives f_i. Before the judgements, the score of image i is N(scale f_i, tau^2), independent of the others
(:mod:`twinrank.evaluation.score_prior`). Judgements follow :mod:`twinrank.evaluation.judging`. The posterior is
Gaussian around its mode (Laplace), corrected for its skewness. That matters where an image won all its comparisons.

One unit of a score is a log-odds of 1. Without a network, f is 0 for every image. This is the model of Bradley and
Terry with a prior, which also places images that no chain of comparisons connects.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.evaluation.comparisons import Comparisons, Spread
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.laplace import Rows, ScorePrior
from twinrank.evaluation.score_prior import Prior, require_scores

_SOLVES, _SOLVES_OF_FEW = 64, 500
"""Draws of a posterior are these and their mirror images; the second number is for up to :data:`_FEW` images."""
_FEW = 2000
_WIDTH = 1.959963984540054


@dataclass(frozen=True, eq=False)
class ScorePosterior:
    """Scores of M images given judgements.

    Attributes:
        mean: Scores, float64 (M,), in logits.
        sd: Standard deviations, float64 (M,).
        low: Lower ends of the 95% intervals, float64 (M,).
        high: Upper ends, float64 (M,).
        rank: Ranks by ``mean``, int64 (M,), 1 for the highest score; equal scores in the order of the images.
        rank_low: Lower (better) ends of the 95% intervals of ranks, int64 (M,).
        rank_high: Upper ends, int64 (M,).
        comparisons: Votes on pairs with the image, float64 (M,).
        prior: Prior of the scores.
        judging: How people judge.
        draws: Draws of all scores, float32 (M, 128), or (M, 1000) for few images. Half of them mirror the others.
        judged: Images that were judged, int64 (J,), ascending.
        loadings: Changes of scores by a standard error of the prior's scale, and of its log tau, float64 (M, 2).
        spread: Covariances for a known prior among the judged images, by place in ``judged``; None without judgements.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rank: np.ndarray
    rank_low: np.ndarray
    rank_high: np.ndarray
    comparisons: np.ndarray
    prior: Prior
    judging: Judging
    draws: np.ndarray
    judged: np.ndarray
    loadings: np.ndarray
    spread: Spread | None

    def __len__(self) -> int:
        return len(self.mean)

    def difference(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the difference of two scores, float64 (P,) each; covariances count.

        Args:
            left: Left images, int (P,).
            right: Right images, int (P,), others than the left ones.
        """
        own = self.sd**2 - (self.loadings**2).sum(1)
        variance = own[left] + own[right]
        if self.spread is not None:
            place = np.full(len(self), -1)
            place[self.judged] = np.arange(len(self.judged))
            first, second = place[left], place[right]
            both = (first >= 0) & (second >= 0)
            variance[both] = self.spread.of_differences(first[both], second[both])
        variance += ((self.loadings[left] - self.loadings[right]) ** 2).sum(1)
        return self.mean[left] - self.mean[right], variance


def posterior(
    f: np.ndarray, prior: Prior, comparisons: Comparisons, judging: Judging | None = None, seed: int = 0
) -> ScorePosterior:
    """Scores of all images given a network's scores and judgements.

    Newton's method finds the mode by conjugate gradients. Variances come from an inverse for up to 1,500 judged images.
    For more they are estimated from draws (:class:`twinrank.evaluation.comparisons.Spread`). The draws give the
    intervals of ranks, too. The ends of a score's interval are quantiles of Cornish and Fisher's expansion with its
    skewness. What is not known of the prior widens the intervals (Kass and Steffey 1989, Approximate Bayesian inference
    in conditionally independent hierarchical models, JASA 84:717). An image that was not judged has N(scale f, tau^2).

    The network should not have been fitted to these judgements. Otherwise they count twice.

    Args:
        f: Network scores, float (M,); 0 for all without a network.
        prior: Scale of ``f``, and how far scores lie from it (:func:`twinrank.evaluation.score_prior.fit_prior`).
        comparisons: Judgements, none or more.
        judging: How people judge; None for one kind of rater and no ties. Raters whom it does not know are usual ones.
        seed: Root seed of the draws.

    Returns:
        The posterior. A million judgements of 100,000 images take some 15 s.

    Raises:
        InputError: A score is not finite, or an image number is M or more.

    Example:
        >>> won = Comparisons(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([1.0, 1.0, 1.0]))
        >>> posterior(np.zeros(4), Prior(), won).rank.tolist()
        [1, 2, 4, 3]
    """
    f = require_scores(f, comparisons)
    judging = judging or Judging()
    gaussian = _Gaussian(f, prior, numpy_generator(seed, "posterior"))
    judged, own = comparisons.renumbered()
    spread = gaussian.condition(judged, own, judging) if len(comparisons) else None
    ends = gaussian.bent(gaussian.sd[:, None] * [-_WIDTH, _WIDTH])
    draws = (gaussian.mean[:, None] + gaussian.bent(gaussian.draws())).astype(np.float32)
    rank = _ranks(gaussian.mean)
    rank_low, rank_high = _rank_intervals(draws, rank)
    return ScorePosterior(
        mean=gaussian.mean,
        sd=gaussian.sd,
        low=gaussian.mean + ends[:, 0],
        high=gaussian.mean + ends[:, 1],
        rank=rank,
        rank_low=rank_low,
        rank_high=rank_high,
        comparisons=comparisons.counts(len(f)),
        prior=prior,
        judging=judging,
        draws=draws,
        judged=judged,
        loadings=gaussian.loadings,
        spread=spread,
    )


def score_modes(f: np.ndarray, prior: Prior, comparisons: Comparisons, judging: Judging | None = None) -> np.ndarray:
    """Most probable scores alone, float64 (M,), which is quick. Arguments as :func:`posterior`.

    Raises:
        InputError: As :func:`posterior`.
    """
    mean = prior.scale * require_scores(f, comparisons)
    if len(comparisons):
        judged, own = comparisons.renumbered()
        rows = Rows(own, judging or Judging(), len(judged))
        mean[judged] = rows.mode(ScorePrior(mean[judged], prior.tau), mean[judged]).score
    return mean


class _Gaussian:
    """Scores of M images as normal deviations from a mean, with a skewness; at first those of the prior.

    Args:
        f: Network scores, float64 (M,).
        prior: Prior of the scores.
        random: Generator of the draws.
    """

    def __init__(self, f: np.ndarray, prior: Prior, random: np.random.Generator) -> None:
        solves = _SOLVES_OF_FEW if len(f) <= _FEW else _SOLVES
        self._f, self._prior, self._random = f, prior, random
        self.mean, self._own = prior.scale * f, np.full(len(f), prior.tau**2, np.float64)
        self.loadings = np.stack([prior.scale_sd * f, np.zeros(len(f))], 1)
        self._skewness = np.zeros(len(f))
        self._noise = (prior.tau * random.standard_normal((len(f), solves))).astype(np.float32)

    def condition(self, judged: np.ndarray, rows: Comparisons, judging: Judging) -> Spread:
        """Take judgements into account.

        Args:
            judged: Images that were judged, int64 (J,).
            rows: Judgements, with numbers of these.
            judging: How people judge.
        """
        prior, f = self._prior, self._f[judged]
        mode = Rows(rows, judging, len(judged)).mode(ScorePrior(self.mean[judged], prior.tau), self.mean[judged])
        precision = mode.curvature.precision
        draws = precision.draws(self._noise.shape[1], self._random)
        spread = Spread(precision, draws)
        self._noise[judged] = draws
        pulls = np.stack([prior.scale_sd * f, 2 * prior.log_tau_sd * (mode.score - prior.scale * f)], 1)
        self.loadings[judged] = precision.solve(pulls / prior.tau**2)
        self.mean[judged] = mode.score + mode.shift(spread)
        self._own[judged] = spread.variance
        self._skewness[judged] = mode.skewness(spread)
        return spread

    @cached_property
    def sd(self) -> np.ndarray:
        """Standard deviations, float64 (M,), with what is not known of the prior."""
        return np.sqrt(self._own + (self.loadings**2).sum(1))

    def draws(self) -> np.ndarray:
        """Draws of the deviations, float (M, K), the second half mirroring the first."""
        noise = self._noise + self.loadings @ self._random.standard_normal((2, self._noise.shape[1]))
        return np.concatenate([noise, -noise], 1)

    def bent(self, deviation: np.ndarray) -> np.ndarray:
        """Deviations with the skewness (Cornish and Fisher 1938), float (M, K)."""
        bend = (self._skewness / (6 * self.sd))[:, None]
        return deviation + bend * (deviation**2 - (self.sd**2)[:, None])


def _ranks(score: np.ndarray) -> np.ndarray:
    """Ranks of scores, int64 (M,), 1 for the highest."""
    rank = np.empty(len(score), np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, len(score) + 1)
    return rank


def _rank_intervals(draws: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% intervals of ranks, int64 (M,), with the rank itself inside."""
    ranks = np.stack([_ranks(draw).astype(np.int32) for draw in np.ascontiguousarray(draws.T)], 1)
    # Between the k-th and the k-th last of K draws lies a share of 1 - 2k / (K + 1).
    cut = int(0.025 * (ranks.shape[1] + 1)) - 1
    ranks.partition((cut, ranks.shape[1] - 1 - cut), axis=1)
    return np.minimum(ranks[:, cut], rank), np.maximum(ranks[:, ranks.shape[1] - 1 - cut], rank)
