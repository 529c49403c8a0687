"""Which pairs to judge next: those whose outcome tells most about the scores, and a share drawn at random."""

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, xlogy

from twinrank.core.randomness import numpy_generator
from twinrank.errors import InputError
from twinrank.evaluation.judging import outcome_probabilities, slopes
from twinrank.evaluation.scores import ScorePosterior

SETTLED = 0.0025
"""A ranking has settled where one more judgement for each image would order less than this share of pairs better."""
_FEW = 700
"""Most images of which all pairs are candidates."""
_NEAR = 8
"""Partners on either side of an image in the ranking that are candidates; beyond them the distances double."""
_ORDERS = 4
"""Draws of the scores whose neighbours are candidates, too."""
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(9)
_CHECKED = 20_000
"""Random pairs that measure the share of pairs in the right order."""
_AT_ONCE = 200_000


@dataclass(frozen=True, eq=False)
class NextPairs:
    """Pairs to judge next, in the order of the list.

    Attributes:
        left: Images to show on the left, int64 (P,); the sides are drawn at random.
        right: Images to show on the right, int64 (P,).
        random: Whether the pair was drawn uniformly from all pairs, bool (P,). Only these give honest accuracies.
        gain: Expected information of the judgement about the scores, float64 (P,), in bits; that of a chosen pair is
            given the judgements of the pairs that were chosen before it.
        right_now: Expected share of all pairs of images that the ranking orders rightly.
        right_after: The same after these judgements.
        settled: Whether one more judgement for each image would raise that share by less than :data:`SETTLED`, at the
            rate of these pairs.
    """

    left: np.ndarray
    right: np.ndarray
    random: np.ndarray
    gain: np.ndarray
    right_now: float
    right_after: float
    settled: bool

    def __len__(self) -> int:
        return len(self.left)


def next_pairs(
    posterior: ScorePosterior, count: int, share_random: float = 0.1, per_image: int | None = None, seed: int = 0
) -> NextPairs:
    """Choose pairs to judge.

    The gain of a pair is the mutual information of its outcome and the scores (Lindley 1956, On a measure of the
    information provided by an experiment; Houlsby et al. 2011, Bayesian active learning). With z the difference of the
    scores, normal under the posterior, it is the entropy of the expected outcome less the expected entropy of the
    outcome. Ties are an outcome. It is large where the two scores are close for what is known of them.

    All pairs are candidates for up to 700 images. For more, an image's candidates are its neighbours in the ranking
    and in four draws of it. The pair of largest gain is taken, as long as no image occurs too often. It will tell
    something about its two images, so that their other pairs gain less from then on. Then comes the next pair. The
    gain of a pair is the one it had when it was taken.

    Args:
        posterior: Scores given all judgements so far.
        count: Number P of pairs.
        share_random: Share of the pairs that is drawn uniformly from all pairs, 0 to 1.
        per_image: Most chosen pairs with one image; None for twice the average, at least 2. Random pairs do not count.
        seed: Root seed.

    Returns:
        The pairs, and what they would gain. There are fewer than ``count`` where there are not so many pairs.

    Raises:
        InputError: There are fewer than two images, or a value is out of range.

    Example:
        >>> from twinrank.evaluation.comparisons import Comparisons
        >>> from twinrank.evaluation.score_prior import Prior
        >>> from twinrank.evaluation.scores import posterior
        >>> none = Comparisons(np.zeros(0), np.zeros(0), np.zeros(0))
        >>> found = next_pairs(posterior(np.array([0.0, 0.1, 9.0]), Prior(), none), 1, share_random=0)
        >>> sorted([int(found.left[0]), int(found.right[0])])
        [0, 1]
    """
    images = len(posterior)
    _require(images, count, share_random, per_image)
    generator = numpy_generator(seed, "next pairs")
    count = min(count, images * (images - 1) // 2)
    uniform = _uniform(images, round(share_random * count), generator)
    most = per_image or max(2, -(-4 * count // images))
    candidates = np.setdiff1d(_candidates(posterior, generator), uniform)
    chosen, taken = _best(posterior, candidates, count - len(uniform), most)
    codes = np.concatenate([candidates[chosen], uniform])
    first, second = codes // images, codes % images
    gain = np.concatenate([taken, information(posterior, uniform // images, uniform % images)])
    now, after = _shares_right(posterior, first, second, generator)
    order, swap = generator.permutation(len(codes)), generator.random(len(codes)) < 0.5
    return NextPairs(
        left=np.where(swap, second, first)[order],
        right=np.where(swap, first, second)[order],
        random=(np.arange(len(codes)) >= len(chosen))[order],
        gain=gain[order],
        right_now=now,
        right_after=after,
        settled=(after - now) * images / (2 * len(codes)) < SETTLED,
    )


def information(posterior: ScorePosterior, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Mutual information of the outcomes of pairs and the scores, float64 (P,), in bits.

    Args:
        posterior: Scores given all judgements so far.
        left: Images, int (P,).
        right: Images, int (P,), others than the left ones.
    """
    return _information(*_moments(posterior, left, right), posterior.judging.nu)


def _moments(posterior: ScorePosterior, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of differences of scores, float64 (P,) each, in steps that need little memory."""
    rows = [slice(start, start + _AT_ONCE) for start in range(0, max(len(left), 1), _AT_ONCE)]
    mean, variance = zip(*(posterior.difference(left[each], right[each]) for each in rows), strict=True)
    return np.concatenate(mean), np.concatenate(variance)


def _information(mean: np.ndarray, variance: np.ndarray, nu: float) -> np.ndarray:
    """Mutual information of outcomes and differences of scores with these moments, (P,), in bits."""
    sd, expected, noise = np.sqrt(variance), [0.0, 0.0, 0.0], 0.0
    for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True):
        outcomes = outcome_probabilities(mean + node * sd, nu)
        expected = [total + share * each for total, each in zip(expected, outcomes, strict=True)]
        noise = noise - share * sum(xlogy(each, each) for each in outcomes)
    return np.maximum(-sum(xlogy(each, each) for each in expected) - noise, 0) / np.log(2)


def _curvatures(mean: np.ndarray, variance: np.ndarray, nu: float) -> np.ndarray:
    """Expected curvatures of the log-likelihood at differences of scores with these moments, float64 (P,)."""
    told = np.zeros(len(mean))
    for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True):
        z = mean + node * np.sqrt(variance)
        told += share * slopes(z, np.zeros(len(z)), None, nu)[1]
    return np.maximum(told, 1e-9)


def _uniform(images: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Codes of different pairs drawn uniformly, int64 (count,)."""
    codes = np.zeros(0, np.int64)
    while len(codes) < count:
        first = random.integers(images, size=2 * count)
        second = (first + random.integers(1, images, size=2 * count)) % images
        codes = np.concatenate([codes, np.minimum(first, second) * images + np.maximum(first, second)])
        _, at = np.unique(codes, return_index=True)
        codes = codes[np.sort(at)]
    return codes[:count]


def _candidates(posterior: ScorePosterior, random: np.random.Generator) -> np.ndarray:
    """Codes of candidate pairs, int64, first image times M plus second, first below second."""
    images = len(posterior)
    if images <= _FEW:
        first, second = np.triu_indices(images, 1)
        return first * images + second
    far = [_NEAR * 2**power for power in range(1, int(np.log2(images / _NEAR)))]
    orders = [(posterior.mean, [*range(1, _NEAR + 1), *far])]
    for column in random.choice(posterior.draws.shape[1], _ORDERS, replace=False):
        orders.append((posterior.draws[:, column], list(range(1, _NEAR // 2 + 1))))
    found = []
    for score, distances in orders:
        order = np.argsort(-score, kind="stable")
        for distance in distances:
            one, other = order[:-distance], order[distance:]
            found.append(np.minimum(one, other) * images + np.maximum(one, other))
    return np.unique(np.concatenate(found))


def _best(posterior: ScorePosterior, codes: np.ndarray, count: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the chosen pairs, int64, and their gains, float64; no image is in more than ``most``.

    A chosen pair takes from its two scores the variance that its judgement is expected to take; covariances that it
    makes are neglected. A gain can only fall by that, so one that is still the largest when computed anew is the
    largest of all (Minoux 1978, Accelerated greedy algorithms).
    """
    images, nu = len(posterior), posterior.judging.nu
    left, right = codes // images, codes % images
    mean, variance = _moments(posterior, left, right)
    heap = [(-gain, place, 0) for place, gain in enumerate(_information(mean, variance, nu).tolist())]
    heapq.heapify(heap)
    used, lost = np.zeros(images, np.int64), np.zeros(images)
    chosen, taken = list[int](), list[float]()
    while heap and len(chosen) < count:
        gain, place, known = heapq.heappop(heap)
        pair = [int(left[place]), int(right[place])]
        if max(used[pair]) >= most:
            continue
        now = mean[[place]], np.maximum(variance[[place]] - lost[pair].sum(), 1e-9)
        if known < used[pair].sum():
            gain = -float(_information(*now, nu)[0])
            heapq.heappush(heap, (gain, place, int(used[pair].sum())))
            continue
        told = float(_curvatures(*now, nu)[0])
        own = np.maximum(posterior.sd[pair] ** 2 - lost[pair], 0)
        lost[pair] += own**2 * told / (1 + told * float(now[1][0]))
        used[pair] += 1
        chosen.append(place)
        taken.append(-gain)
    return np.array(chosen, np.int64), np.array(taken)


def _shares_right(
    posterior: ScorePosterior, first: np.ndarray, second: np.ndarray, random: np.random.Generator
) -> tuple[float, float]:
    """Expected shares of all pairs that the ranking orders rightly, now and after pairs are judged.

    A judgement adds its expected curvature to the precision (Woodbury's formula). The mean of a difference will then
    move by a normal with the variance that is lost.
    """
    images = len(posterior)
    one = random.integers(images, size=_CHECKED)
    other = (one + random.integers(1, images, size=_CHECKED)) % images
    mean, variance = posterior.difference(one, other)
    responses, told = _responses(posterior, first, second)
    moves = responses[one] - responses[other]
    inner = responses[first] - responses[second] + np.diag(1 / told)
    lost = np.clip((moves * np.linalg.solve(inner, moves.T).T).sum(1), 0, 0.999 * variance)
    after = np.zeros(_CHECKED)
    for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True):
        after += share * ndtr(np.abs(mean + node * np.sqrt(lost)) / np.sqrt(variance - lost))
    now = float(ndtr(np.abs(mean) / np.sqrt(variance)).mean())
    return now, max(now, float(after.mean()))


def _responses(posterior: ScorePosterior, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of scores with the differences of pairs, float (M, P), and the pairs' expected curvatures (P,)."""
    pairs = np.zeros((len(posterior), len(first)))
    pairs[first, np.arange(len(first))] = 1
    pairs[second, np.arange(len(first))] = -1
    responses = pairs * posterior.prior.tau**2
    if posterior.spread is not None:
        responses[posterior.judged] = posterior.spread.precision.solve(pairs[posterior.judged], 1e-3)
    mean, variance = posterior.difference(first, second)
    return responses, _curvatures(mean, variance, posterior.judging.nu)


def _require(images: int, count: int, share_random: float, per_image: int | None) -> None:
    if images < 2:
        raise InputError(f"there are {images} images; a pair needs two")
    if count < 1:
        raise InputError(f"`count` is {count}; ask for 1 pair or more")
    if not 0 <= share_random <= 1:
        raise InputError(f"`share_random` is {share_random}; it must be from 0 to 1")
    if per_image is not None and per_image < 1:
        raise InputError(f"`per_image` is {per_image}; it must be at least 1")
