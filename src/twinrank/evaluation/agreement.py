"""How far those who judge agree, and the accuracy that this allows, from pairs that were judged more than once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from twinrank.evaluation.estimates import Estimate, share
from twinrank.evaluation.row_statistics import outcomes

_WHOLE = 0.01
"""Largest distance of a number of votes from a whole number; shares are rounded."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement about the pairs that were judged more than once.

    Attributes:
        agreement: Chance that two votes about a pair are alike. Its ``n`` is the number of pairs.
        ceiling: Chance that the better decision about a pair agrees with a vote: no predictor is right more often on
            single votes. It follows from the agreement, see :func:`ceiling_of`.
        rows: Whether a row is about one of these pairs, bool (N,).
    """

    agreement: Estimate
    ceiling: Estimate
    rows: np.ndarray


def agreement(
    y: np.ndarray,
    images: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
) -> Agreement | None:
    """The agreement of two votes about a pair, whichever image stands left; None where no pair was judged twice.

    Where raters are known, the votes are those of different raters: what one said repeatedly of a pair is one vote, by
    majority, or none if it is even. Ties, shares of unknown numbers of votes, and pairs of an image with itself are
    left out. Pairs count by their votes. Intervals are those of :func:`twinrank.evaluation.estimates.share`.

    >>> y, images = np.array([1, 0, 1, 1]), np.array([[0, 1], [1, 0], [1, 2], [1, 2]])
    >>> found = agreement(y, images)
    >>> found.agreement.value, found.agreement.n, found.ceiling.value
    (1.0, 2, 1.0)

    Args:
        y: Labels, or shares of the votes for left, (N,).
        images: Numbers of the left and the right image, int (N, 2).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,).
        rater: Names or numbers of those who judged, (N,).

    Raises:
        InputError: As :func:`twinrank.evaluation.metrics.accuracy`.
    """
    found = outcomes(y, tie, weight)
    left = found.share * found.votes
    whole = (np.abs(left - np.rint(left)) < _WHOLE) & (np.abs(found.votes - np.rint(found.votes)) < _WHOLE)
    used = np.flatnonzero(found.decided & whole & (images[:, 0] != images[:, 1]))
    if not len(used):
        return None
    votes, for_left = np.rint(found.votes[used]), np.rint(left[used])
    for_lower = np.where(images[used, 0] < images[used, 1], for_left, votes - for_left)
    pairs, place = _numbered(np.sort(images[used], 1))
    count, lower = np.bincount(place, votes), np.bincount(place, for_lower)
    if rater is not None:
        count, lower = _by_rater(place, np.unique(rater[used], return_inverse=True)[1], votes, for_lower, len(pairs))
    often = count > 1
    if not often.any():
        return None
    count, lower = count[often], lower[often]
    upper = count - lower
    alike = (lower * (lower - 1) + upper * (upper - 1)) / (count * (count - 1))
    estimate = share(alike, images=pairs[often], weight=None if (count == count[0]).all() else count)
    rows = np.zeros(len(images), bool)
    rows[used] = often[place]
    return Agreement(estimate, _ceiling(estimate), rows)


def ceiling_of(agreement: float) -> float:
    """The best accuracy on single votes where two votes about a pair are alike with some probability.

    Let p be the chance of a vote for one of the two images. Two votes are alike with probability p^2 + (1 - p)^2, and
    the better decision agrees with max(p, 1 - p) of the votes. Their means over pairs are tied together by taking p to
    follow a symmetric beta distribution. Whatever the distribution, the ceiling lies between the agreement A and
    (1 + sqrt(2 A - 1)) / 2.

    >>> [round(ceiling_of(alike), 3) for alike in (0.5, 2 / 3, 0.9, 1.0)]
    [0.5, 0.75, 0.93, 1.0]

    Args:
        agreement: That probability; 0.5 and less is the agreement of chance.
    """
    correlation = 2 * agreement - 1
    if correlation <= 0 or correlation >= 1:
        return 0.5 if correlation <= 0 else 1.0
    alpha = (1 / correlation - 1) / 2
    return float(0.5 + np.exp(-np.log(alpha) - 2 * alpha * np.log(2) - betaln(alpha, alpha)))


def _ceiling(estimate: Estimate) -> Estimate:
    value, low, high = (ceiling_of(each) for each in (estimate.value, estimate.low, estimate.high))
    return Estimate(value, low, high, estimate.n, estimate.interval, estimate.images)


def _numbered(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs, int (P, 2), and the number of each row's, int (N,)."""
    images, codes = np.unique(pairs, return_inverse=True)
    first, second = codes.reshape(-1, 2).T
    keys, place = np.unique(first * len(images) + second, return_inverse=True)
    return images[np.stack(np.divmod(keys, len(images)), 1)], place


def _by_rater(
    place: np.ndarray, rater: np.ndarray, votes: np.ndarray, lower: np.ndarray, pairs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of votes, one a rater at most, and of those for the lower image, float64 (pairs,) each."""
    raters = int(rater.max()) + 1
    keys, own = np.unique(place * raters + rater, return_inverse=True)
    ahead = np.sign(2 * np.bincount(own, lower) - np.bincount(own, votes))
    of_pair, clear = keys // raters, ahead != 0
    count, won = (np.bincount(of_pair[clear], part[clear], pairs) for part in (np.ones(len(keys)), ahead > 0))
    return count, won
