"""How far those who judge agree, and the accuracy that this allows, from pairs that were judged more than once."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaln

from twinrank.core.raters import named
from twinrank.evaluation.estimates import Estimate, share
from twinrank.evaluation.row_statistics import outcomes

_TIE = 2
"""Column of ties among the votes of a pair."""
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
        with_ties: The agreement where a tie is an outcome of its own, see :func:`agreement_with_ties`; None where no
            pair that was judged more than once has a tie.
    """

    agreement: Estimate
    ceiling: Estimate
    rows: np.ndarray
    own: bool = False
    with_ties: Estimate | None = None


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
    majority, or none if it is even. Rows of an unknown rater are left out then: he may be one of the others. Shares of
    unknown numbers of votes, and pairs of an image with itself are left out, too. So are ties, since the ceiling is
    about votes for an image; ``with_ties`` counts them. Pairs count by their votes. Intervals are those of
    :func:`twinrank.evaluation.estimates.share`.

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
    return _agreement(_votes(y, images, tie, weight, rater), own=False)


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
    return _agreement(_votes(y, images, tie, weight, rater), own=True)


def agreement_with_ties(
    y: np.ndarray,
    images: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
    own: bool = False,
) -> Estimate | None:
    """Chance that two votes about a pair are alike, a tie being an outcome of its own; None without such pairs.

    All else is as of :func:`agreement` and :func:`self_agreement`.

    >>> y, images = np.array([1, 0.5]), np.array([[0, 1], [0, 1]])
    >>> found = agreement_with_ties(y, images, tie=np.array([False, True]))
    >>> found.value, found.n, agreement(y, images, tie=np.array([False, True]))
    (0.0, 1, None)

    Args:
        y: Labels, or shares of the votes for left, (N,).
        images: Numbers of the left and the right image, int (N, 2).
        tie: Whether the two were judged equal, bool (N,).
        weight: Numbers of votes, float (N,).
        rater: Names or numbers of those who judged, (N,); ``own`` needs them.
        own: Whether votes of one rater are compared, who judged a pair again.

    Raises:
        InputError: As :func:`twinrank.evaluation.metrics.accuracy`.
    """
    known = _compared(_votes(y, images, tie, weight, rater), own, ties=True)
    return None if known is None else _estimate(known)


def best_known_agreement(
    y: np.ndarray,
    images: np.ndarray,
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
) -> Agreement | None:
    """The agreement of several people, else that of raters with themselves, else None. Arguments: :func:`agreement`."""
    votes = _votes(y, images, tie, weight, rater)
    found = _agreement(votes, own=False)
    return _agreement(votes, own=True) if found is None and rater is not None else found


class _Votes(NamedTuple):
    """Votes that can be compared: those of K pairs, or those of K pairs of a rater with a pair of images.

    Attributes:
        rows: Whether a row has such votes, bool (N,).
        tie: Whether each of these M rows is a tie, bool (M,).
        place: Where the votes of each of these rows count, int (M,), below K.
        counts: Votes for the lower image, for the upper one, and ties, float64 (K, 3), whole numbers.
        pair: Number of each one's pair, int (K,), below P.
        pairs: Images, int (P, 2), the lower one first.
        by_rater: Whether raters are known.
    """

    rows: np.ndarray
    tie: np.ndarray
    place: np.ndarray
    counts: np.ndarray
    pair: np.ndarray
    pairs: np.ndarray
    by_rater: bool


class _Compared(NamedTuple):
    """P pairs with more than one vote; a pair counts once for each rater where votes of one rater are compared.

    Attributes:
        rows: Whether a row is about one of them, bool (N,).
        pairs: Their images, int (P, 2), the lower one first.
        counts: Votes for the lower image, for the upper one, and ties, float64 (P, 3), whole numbers.
    """

    rows: np.ndarray
    pairs: np.ndarray
    counts: np.ndarray


def _agreement(votes: _Votes, own: bool) -> Agreement | None:
    if (known := _compared(votes, own, ties=False)) is None:
        return None
    estimate, every = _estimate(known), _compared(votes, own, ties=True)
    with_ties = None if every is None or not every.counts[:, _TIE].any() else _estimate(every)
    return Agreement(estimate, _ceiling(estimate), known.rows, own, with_ties)


def _votes(
    y: np.ndarray,
    images: np.ndarray,
    tie: np.ndarray | None,
    weight: np.ndarray | None,
    rater: np.ndarray | None,
) -> _Votes:
    found = outcomes(y, tie, weight)
    left = found.share * found.votes
    whole = (np.abs(left - np.rint(left)) < _WHOLE) | found.tie
    whole &= np.abs(found.votes - np.rint(found.votes)) < _WHOLE
    rows = (found.decided | found.tie) & whole & (images[:, 0] != images[:, 1])
    if rater is not None:
        rows &= named(rater)
    count, for_left, equal = np.rint(found.votes[rows]), np.rint(left[rows]), found.tie[rows]
    lower = np.where(images[rows, 0] < images[rows, 1], for_left, count - for_left)
    votes = np.stack([*np.where(equal, 0, [lower, count - lower]), np.where(equal, count, 0)], 1)
    pairs, place = _numbered(np.sort(images[rows], 1))
    pair = np.arange(len(pairs))
    if rater is not None:
        names, codes = np.unique(rater[rows], return_inverse=True)
        keys, place = np.unique(place * len(names) + codes, return_inverse=True)
        pair = keys // max(1, len(names))
    return _Votes(rows, equal, place, _summed(place, votes, len(pair)), pair, pairs, rater is not None)


def _compared(votes: _Votes, own: bool, ties: bool) -> _Compared | None:
    """The pairs with more than one vote; None without any. ``ties`` counts ties as votes."""
    counts, pair = votes.counts.copy(), votes.pair
    counts[:, _TIE] *= ties
    place = votes.place
    if votes.by_rater and not own:
        counts, place = _summed(pair, _majority(counts), len(votes.pairs)), pair[place]
        pair = np.arange(len(votes.pairs))
    often = counts.sum(1) > 1
    if not often.any():
        return None
    rows = votes.rows.copy()
    rows[votes.rows] = often[place] & (ties | ~votes.tie)
    return _Compared(rows, votes.pairs[pair[often]], counts[often])


def _estimate(known: _Compared) -> Estimate:
    count = known.counts.sum(1)
    alike = (known.counts * (known.counts - 1)).sum(1) / (count * (count - 1))
    return share(alike, images=known.pairs, weight=None if (count == count[0]).all() else count)


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


def _summed(place: np.ndarray, votes: np.ndarray, places: int) -> np.ndarray:
    """Sums of the votes at each place, float64 (places, 3)."""
    return np.stack([np.bincount(place, votes[:, outcome], places) for outcome in range(votes.shape[1])], 1)


def _majority(votes: np.ndarray) -> np.ndarray:
    """One vote for the outcome that has most, or none where several have, float64 (K, 3)."""
    most = votes == votes.max(1, keepdims=True)
    return np.where(most.sum(1, keepdims=True) == 1, most, 0).astype(np.float64)
