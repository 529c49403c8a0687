"""How far those who judge agree, and the accuracy that this allows, from pairs that were judged more than once."""

from dataclasses import dataclass
from typing import NamedTuple

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
        own: Whether votes of one rater are compared, who judged a pair again; else they are those of several people.
    """

    agreement: Estimate
    ceiling: Estimate
    rows: np.ndarray
    own: bool = False


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
    if (known := _comparable(y, images, tie, weight)) is None:
        return None
    count, lower = np.bincount(known.place, known.votes), np.bincount(known.place, known.lower)
    if rater is not None:
        codes = np.unique(rater[known.rows], return_inverse=True)[1]
        count, lower = _by_rater(known.place, codes, known.votes, known.lower, len(known.pairs))
    return _of_pairs(known, known.place, known.pairs, count, lower)


def self_agreement(
    y: np.ndarray,
    images: np.ndarray,
    rater: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Agreement | None:
    """The agreement of raters with themselves, about pairs that one of them judged again; None where nobody did.

    Its ceiling is about the votes of one rater. Other people may judge otherwise. A pair counts once for each rater who
    judged it again. What is left out, and the intervals, are those of :func:`agreement`.

    >>> y, images = np.array([1, 0, 1]), np.array([[0, 1], [1, 0], [1, 2]])
    >>> found = self_agreement(y, images, np.array(["Ada", "Ada", "Ada"]))
    >>> found.agreement.value, found.agreement.n, found.own
    (1.0, 1, True)

    Args:
        y: Labels, or shares of the votes for left, (N,).
        images: Numbers of the left and the right image, int (N, 2).
        rater: Names or numbers of those who judged, (N,).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,).

    Raises:
        InputError: As :func:`twinrank.evaluation.metrics.accuracy`.
    """
    if (known := _comparable(y, images, tie, weight)) is None:
        return None
    codes = np.unique(rater[known.rows], return_inverse=True)[1]
    raters = int(codes.max()) + 1
    keys, place = np.unique(known.place * raters + codes, return_inverse=True)
    count, lower = np.bincount(place, known.votes), np.bincount(place, known.lower)
    return _of_pairs(known, place, known.pairs[keys // raters], count, lower, own=True)


def best_known_agreement(
    y: np.ndarray,
    images: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
) -> Agreement | None:
    """The agreement of several people, else that of raters with themselves, else None. Arguments: :func:`agreement`."""
    found = agreement(y, images, tie=tie, weight=weight, rater=rater)
    if found is None and rater is not None:
        return self_agreement(y, images, rater, tie=tie, weight=weight)
    return found


class _Votes(NamedTuple):
    """Votes that can be compared.

    Attributes:
        rows: Whether a row has any, bool (N,).
        pairs: The distinct pairs, int (P, 2), the lower image first.
        place: Number of the pair of each such row, int (M,).
        votes: Votes of each such row, float64 (M,), whole numbers.
        lower: Those for the lower image, float64 (M,).
    """

    rows: np.ndarray
    pairs: np.ndarray
    place: np.ndarray
    votes: np.ndarray
    lower: np.ndarray


def _comparable(y: np.ndarray, images: np.ndarray, tie: np.ndarray | None, weight: np.ndarray | None) -> _Votes | None:
    found = outcomes(y, tie, weight)
    left = found.share * found.votes
    whole = (np.abs(left - np.rint(left)) < _WHOLE) & (np.abs(found.votes - np.rint(found.votes)) < _WHOLE)
    used = found.decided & whole & (images[:, 0] != images[:, 1])
    if not used.any():
        return None
    count, for_left = np.rint(found.votes[used]), np.rint(left[used])
    for_lower = np.where(images[used, 0] < images[used, 1], for_left, count - for_left)
    return _Votes(used, *_numbered(np.sort(images[used], 1)), count, for_lower)


def _of_pairs(
    known: _Votes, place: np.ndarray, pairs: np.ndarray, count: np.ndarray, lower: np.ndarray, own: bool = False
) -> Agreement | None:
    """The agreement about pairs with their numbers of votes, and of those for the lower image."""
    often = count > 1
    if not often.any():
        return None
    count, lower = count[often], lower[often]
    upper = count - lower
    alike = (lower * (lower - 1) + upper * (upper - 1)) / (count * (count - 1))
    estimate = share(alike, images=pairs[often], weight=None if (count == count[0]).all() else count)
    rows = known.rows.copy()
    rows[known.rows] = often[place]
    return Agreement(estimate, _ceiling(estimate), rows, own)


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
