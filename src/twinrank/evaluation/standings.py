"""What a ranking leaves open: the closest calls, and where judges and the predictor disagree."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr, xlogy

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.scores import ScorePosterior

_WIDTH = 1.959963984540054


@dataclass(frozen=True)
class CloseCall:
    """Two neighbours of a ranking.

    Attributes:
        upper: Number of the image that stands higher.
        lower: Number of the image on the next place.
        within: Bound on the difference of their scores, either way: the gap and half of its 95% interval.
        sure: Probability that the upper one is the better one indeed, 0.5 to 1.
    """

    upper: int
    lower: int
    within: float
    sure: float


@dataclass(frozen=True)
class Disagreement:
    """A pair that judges decide one way and the predictor the other way.

    Attributes:
        chosen: Number of the image that has most votes.
        other: Number of the other image.
        votes: Votes for the chosen image; a tie is half a vote.
        of: Votes on the pair.
        predicted: Predicted probability that the other image wins, above 0.5.
    """

    chosen: int
    other: int
    votes: float
    of: float
    predicted: float


def closest_calls(scores: ScorePosterior, most: int = 8) -> list[CloseCall]:
    """Neighbours that are surely close: those with the least bound on their difference, from the highest place down.

    Neighbours of which little is known have close scores, too, but may lie far apart. Their bound is large.

    Args:
        scores: Scores of M images.
        most: Most pairs.
    """
    ranked = np.argsort(scores.rank, kind="stable")
    upper, lower = ranked[:-1], ranked[1:]
    gap, variance = scores.difference(upper, lower)
    sure, within = ndtr(gap / np.sqrt(variance)), gap + _WIDTH * np.sqrt(variance)
    chosen = np.sort(np.argsort(within, kind="stable")[:most])
    return [CloseCall(int(upper[at]), int(lower[at]), float(within[at]), float(sure[at])) for at in chosen]


def disagreements(judgements: Comparisons, score: np.ndarray, most: int = 12) -> list[Disagreement]:
    """Pairs that most votes decide against the predictor, the least expected first.

    All votes on two images count together, whichever of them was on the left. A pair of n votes is as unexpected as
    n KL(share || probability), its part of the deviance.

    Args:
        judgements: Judgements of M images.
        score: Scores of the predictor alone, float (M,): a difference of 1 is a log-odds of 1.
        most: Most pairs.
    """
    left, right, of_rows = judgements.left, judgements.right, judgements.votes
    first, second = np.minimum(left, right), np.maximum(left, right)
    share = np.where(left == first, judgements.y, 1 - judgements.y)
    pairs, where = np.unique(first * len(score) + second, return_inverse=True)
    of = np.bincount(where, of_rows, len(pairs))
    votes = np.bincount(where, of_rows * share, len(pairs))
    first, second = np.divmod(pairs, len(score))
    rate = votes / of
    probability = expit(score[first] - score[second])
    against = (rate - 0.5) * (probability - 0.5) < 0
    surprise = np.where(against, of * _divergence(rate, probability), -1.0)
    found = [place for place in np.argsort(-surprise, kind="stable")[:most] if surprise[place] > 0]
    return [
        Disagreement(int(first[at]), int(second[at]), float(votes[at]), float(of[at]), float(1 - probability[at]))
        if rate[at] > 0.5
        else Disagreement(
            int(second[at]), int(first[at]), float(of[at] - votes[at]), float(of[at]), float(probability[at])
        )
        for at in found
    ]


def _divergence(rate: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """KL divergence of two Bernoulli distributions, in nats."""
    bounded = np.clip(probability, 1e-12, 1 - 1e-12)
    return xlogy(rate, rate / bounded) + xlogy(1 - rate, (1 - rate) / (1 - bounded))
