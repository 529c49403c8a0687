"""Whether the predictions of all pairs of some images are an order, and where they are not.

A predictor gives each ordered pair of M images a logit, positive where it predicts that the first ranks higher. The
logit of an image and a later one is its decision about the two. As everywhere, a logit of exactly 0 is decided as "the
second ranks higher". The decisions are a tournament: each pair has a winner. Antisymmetry makes them independent of
which image is shown first. A predictor may still decide that a outranks b, b outranks c, and c outranks a.

All pairs differ from the pairs of a file. Some images are of equal rank and others of ranks far apart, which a
predictor may never have learned to compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from scipy.special import expit

from twinrank.core.messages import counted
from twinrank.core.run_records import DataFile, as_uses, uses_in_words
from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.metrics_record import EstimateRecord, read_with_uses

RANDOM_SHARE = 0.25
"""Share of cyclic triads when each decision is random: two of the eight outcomes of three decisions."""
_INTERVAL = "bootstrap over images 95%"


class ImageStrength(TypedDict):
    """An image of a ranking with its log-strength."""

    image: str
    strength: float


class CycleRecord(TypedDict):
    """A cycle: the names of its images and their logits."""

    images: list[str]
    logits: list[float]


class OrderRecord(TypedDict):
    """What ``order.json`` has, see :class:`OrderReport`.

    Attributes:
        data: File of the images.
        used: How the file was used in training, see :class:`twinrank.core.run_records.FileUse`.
    """

    data: DataFile
    used: list[dict[str, Any]]
    images: int
    pairs: int
    triads: int
    swap_violations: int
    ties: int
    cyclic: int
    cyclic_triads: EstimateRecord
    cyclic_triads_of_a_random_judge: float
    explained: EstimateRecord
    ranking: list[ImageStrength]
    cycles: list[CycleRecord]


def read_order(path: Path) -> dict[str, Any]:
    """Read ``order.json``, an :class:`OrderRecord`; the words of an older version become records of use.

    Raises:
        InputError: The file is missing or damaged, or holds something else.
    """
    return read_with_uses(path, OrderRecord, "the order of some images")


def images_in_words(record: Mapping[str, Any]) -> str:
    """The images of an order: how many, of which file, and how training used this file.

    Args:
        record: Mapping with ``data``, ``images`` and ``used``.
    """
    words = uses_in_words(as_uses(record["used"], "the order"))
    images = f"{counted(record['images'], 'image', 'images')} of {Path(record['data']['path']).name}"
    return f"{images}, {words}" if words else images


class Cycle(NamedTuple):
    """Three images, each predicted to rank higher than the next, and the third higher than the first.

    Attributes:
        images: Their positions; the decision that closes the cycle is the least certain one.
        logits: Logits of first over second, second over third, third over first; all positive.
    """

    images: tuple[int, int, int]
    logits: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class OrderReport:
    """How close the decisions about all pairs of M images are to one ranking.

    Both intervals cover other images. Images are resampled, not pairs: pairs share images, so they are far fewer than
    they look. The ranking stays fixed. Where all triads or pairs are alike an interval has no width.

    Attributes:
        images: Number of images, M.
        pairs: Number of unordered pairs, M (M - 1) / 2.
        triads: Number of sets of three images.
        swap_violations: Number of pairs whose logits in the two orders are not each other's negative, to the bit.
        ties: Number of pairs whose logit is exactly 0.
        cyclic: Number of triads that are cycles.
        cyclic_triads: Share of the triads that are; n is the number of triads.
        explained: Share of the decisions that the ranking agrees with; n is the number of pairs.
        strengths: Log-strengths with mean 0, float64 (M,): their differences are the logits that fit best.
        ranking: Images by strength, int64 (M,), the highest first.
        cycles: Clearest cycles, of which no two share an image.
    """

    images: int
    pairs: int
    triads: int
    swap_violations: int
    ties: int
    cyclic: int
    cyclic_triads: Estimate
    explained: Estimate
    strengths: np.ndarray
    ranking: np.ndarray
    cycles: tuple[Cycle, ...]

    def record(self, names: Sequence[str]) -> dict[str, Any]:
        """All of it as JSON values.

        Args:
            names: Names of the M images.
        """
        counts = ("images", "pairs", "triads", "swap_violations", "ties", "cyclic")
        return {
            **{key: getattr(self, key) for key in counts},
            "cyclic_triads": self.cyclic_triads.record(),
            "cyclic_triads_of_a_random_judge": RANDOM_SHARE,
            "explained": self.explained.record(),
            "ranking": [{"image": names[each], "strength": float(self.strengths[each])} for each in self.ranking],
            "cycles": [
                {"images": [names[each] for each in cycle.images], "logits": list(cycle.logits)}
                for cycle in self.cycles
            ],
        }


def order_report(logit: np.ndarray, *, cycles: int = 6, seed: int = 0, draws: int = 1000) -> OrderReport:
    """Compare all pairwise decisions of a predictor with one ranking.

    Cyclic triads are counted from how often each image wins (Kendall and Babington Smith 1940, On the method of paired
    comparisons, Biometrika 31). The ranking is that of Bradley and Terry 1952, Rank analysis of incomplete block
    designs, Biometrika 39, fitted to the predictor's probabilities.

    Args:
        logit: Logits (M, M) of image i (row) ranking higher than image j (column); the diagonal is ignored.
        cycles: Most cycles that are listed, those whose least certain decision is the most certain.
        seed: Seed of the bootstrap.
        draws: Number of resamples of the images.

    Raises:
        InputError: The logits are not those of all pairs of at least three images, or one is not a finite number.
    """
    logit = _checked(logit)
    count = len(logit)
    # The later image's view of a pair is the negative of the earlier one's, also where the predictor differs.
    oriented = np.triu(logit, 1) - np.triu(logit, 1).T
    over = np.triu(oriented > 0, 1)
    over |= np.tril(~over.T, -1)
    strengths = _bradley_terry(oriented)
    ranking = np.argsort(-strengths, kind="stable")
    place = np.argsort(ranking)
    agreed = over & (place[:, None] < place)
    agreed |= agreed.T
    pairs, triads = comb(count, 2), comb(count, 3)
    wins = over.sum(1)
    cyclic = triads - int((wins * (wins - 1) // 2).sum())
    explained = int(agreed.sum()) // 2
    resampled = _resampled_shares(over, agreed, seed, draws)
    later = np.triu_indices(count, 1)
    return OrderReport(
        images=count,
        pairs=pairs,
        triads=triads,
        swap_violations=int((logit != -logit.T)[later].sum()),
        ties=int((logit[later] == 0).sum()),
        cyclic=cyclic,
        cyclic_triads=_estimate(cyclic, triads, resampled[0]),
        explained=_estimate(explained, pairs, resampled[1]),
        strengths=strengths,
        ranking=ranking,
        cycles=_clearest_cycles(oriented, cycles),
    )


def _checked(logit: np.ndarray) -> np.ndarray:
    logit = np.array(logit, np.float64)
    if logit.ndim != 2 or logit.shape[0] != logit.shape[1] or len(logit) < 3:
        raise InputError(f"logits {logit.shape} must be a square: all pairs of three images or more")
    np.fill_diagonal(logit, 0)
    wrong = np.argwhere(~np.isfinite(logit))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"logit {logit[row, column]} of image {row} over image {column} (counting from 0);"
            " logits must be finite numbers"
        )
    return logit


def _bradley_terry(oriented: np.ndarray) -> np.ndarray:
    """Log-strengths float64 (M,), mean 0, that explain the probabilities best.

    They minimise the cross-entropy between sigma(logit) and sigma of the strengths' difference, which is convex. As
    every pair was predicted, images of greater summed probability get greater strength.

    Args:
        oriented: Antisymmetric logits, float64 (M, M).
    """
    # Imported here, since it takes long and every other evaluation does without it.
    from scipy.optimize import minimize

    chance = expit(oriented)

    def loss(strengths: np.ndarray) -> tuple[float, np.ndarray]:
        difference = strengths[:, None] - strengths
        return float((chance * np.logaddexp(0, -difference)).sum()), (expit(difference) - chance).sum(1)

    # Where the logits are differences of strengths, their means are these already.
    options = {"maxiter": 1000, "maxfun": 2000, "ftol": 1e-15, "gtol": 1e-9}
    strengths = minimize(loss, oriented.mean(1), method="L-BFGS-B", jac=True, options=options).x
    return strengths - strengths.mean()


def _resampled_shares(over: np.ndarray, agreed: np.ndarray, seed: int, draws: int) -> np.ndarray:
    """Shares of cyclic triads and of agreed pairs in resamples of the images: float64 (2, at most ``draws``).

    An image that was drawn w times counts w times. Copies of it are not compared with each other, and a resample of
    fewer than three different images is left out.

    Args:
        over: Whether row beats column, bool (M, M).
        agreed: Whether the ranking agrees with the decision, bool (M, M), symmetric.
        seed: Seed of the resamples.
        draws: Number of resamples.
    """
    count = len(over)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws).astype(np.float64)
    weights = weights[(weights > 0).sum(1) >= 3]
    squares, cubes = (weights**2).sum(1), (weights**3).sum(1)
    pairs = (count**2 - squares) / 2
    triads = (count**3 - 3 * count * squares + 2 * cubes) / 6
    # A triad that is no cycle has one image that beats both others.
    both = ((weights @ over.T) ** 2 - weights**2 @ over.T) / 2
    cyclic = 1 - (weights * both).sum(1) / triads
    return np.stack([cyclic, (weights @ agreed * weights).sum(1) / 2 / pairs])


def _estimate(successes: int, n: int, resampled: np.ndarray) -> Estimate:
    value = successes / n
    low, high = (float(end) for end in np.quantile(resampled, [0.025, 0.975]))
    return Estimate(value, max(0.0, min(low, value)), min(1.0, max(high, value)), n, _INTERVAL)


def _clearest_cycles(oriented: np.ndarray, most: int) -> tuple[Cycle, ...]:
    """Cycles without a tie, each the clearest among the images that those before it have left."""
    left, found = np.arange(len(oriented)), []
    while len(found) < most and (cycle := _clearest_cycle(oriented[np.ix_(left, left)])) is not None:
        first, second, third = left[list(cycle)].tolist()
        logits = oriented[first, second], oriented[second, third], oriented[third, first]
        found.append(Cycle((first, second, third), (float(logits[0]), float(logits[1]), float(logits[2]))))
        left = np.setdiff1d(left, (first, second, third))
    return tuple(found)


def _clearest_cycle(oriented: np.ndarray) -> tuple[int, int, int] | None:
    """The cyclic triad whose least logit is the greatest, and of several the one whose next logit is, or None.

    The least one is that of the third image over the first. Time O(M^3), memory O(M^2).
    """
    margin = np.maximum(oriented, 0)
    # Of the ways from i to k by way of one other image, the one whose lesser margin is the greatest.
    way = np.zeros_like(margin)
    for between in range(len(margin)):
        np.maximum(way, np.minimum(margin[:, between, None], margin[between]), out=way)
    closed = np.minimum(way, margin.T)
    if not closed.any():
        return None
    # All the clearest cycles have the least certain decision in common.
    first, third = np.argwhere((closed == closed.max()) & (closed == margin.T))[0].tolist()
    second = int(np.minimum(margin[first], margin[:, third]).argmax())
    return first, second, third
