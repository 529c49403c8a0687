"""Judgements as arrays, and the linear algebra of the scores that they are about."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from twinrank.errors import InputError

_DENSE = 1500
"""Most images whose precision matrix is inverted."""
_TOLERANCE, _ROUGHLY = 1e-6, 1e-3
"""Size of the residual at which conjugate gradients end, relative to the right side; and that for random draws."""
_MOST_ITERATIONS = 1000
_AT_ONCE = 20_000
"""Pairs whose covariances are computed together, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Judgements of M images as arrays.

    Attributes:
        left: Left images, int64 (N,), 0 to M - 1.
        right: Right images, int64 (N,).
        y: Share of votes for left, float64 (N,) in [0, 1].
        tie: Whether the row is a tie, bool (N,), or None without ties.
        weight: Number of votes, float64 (N,), or None for one each.
        rater: Names of the raters, str (N,), or None.

    Raises:
        InputError: Lengths differ, an image is compared with itself, or a value is out of range.
    """

    left: np.ndarray
    right: np.ndarray
    y: np.ndarray
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None
    rater: np.ndarray | None = None

    def __post_init__(self) -> None:
        types = {"left": np.int64, "right": np.int64, "y": np.float64, "tie": np.bool_, "weight": np.float64}
        for name, dtype in types.items():
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, dtype))
        for name in (*types, "rater"):
            value = getattr(self, name)
            if value is not None and np.shape(value) != self.left.shape:
                raise InputError(f"`{name}` has shape {np.shape(value)}, but `left` has {self.left.shape}")
        if (same := np.flatnonzero(self.left == self.right)).size:
            raise InputError(f"row {same[0]} compares image {self.left[same[0]]} with itself; leave it out")
        if len(self) and min(self.left.min(), self.right.min()) < 0:
            raise InputError("`left` or `right` has a number below 0")
        if not ((self.y >= 0) & (self.y <= 1)).all():
            raise InputError("`y` has values outside 0 to 1; it is the share of votes for left")
        if self.weight is not None and not (np.isfinite(self.weight) & (self.weight > 0)).all():
            raise InputError("`weight` has values that are not above 0; it is the number of votes")

    def __len__(self) -> int:
        return len(self.left)

    @property
    def votes(self) -> np.ndarray:
        """Number of votes of each row, float64 (N,)."""
        return np.ones(len(self)) if self.weight is None else self.weight

    def counts(self, images: int) -> np.ndarray:
        """Votes on pairs with each of so many images, float64 (M,)."""
        both = np.concatenate([self.left, self.right])
        return np.bincount(both, np.tile(self.votes, 2), images)

    def select(self, rows: np.ndarray) -> "Comparisons":
        """Some rows, by number or by a mask."""
        optional = (None if each is None else each[rows] for each in (self.tie, self.weight, self.rater))
        return Comparisons(self.left[rows], self.right[rows], self.y[rows], *optional)

    def renumbered(self) -> tuple[np.ndarray, "Comparisons"]:
        """The images that occur, int64 (J,) ascending, and the same rows with numbers of these."""
        images, codes = np.unique(np.concatenate([self.left, self.right]), return_inverse=True)
        return images, replace(self, left=codes[: len(self)], right=codes[len(self) :])


class Graph:
    """Which images were compared with which: the places of a precision matrix A' W A + D that are not 0.

    Row n of A is the difference of two scores: 1 at the left image, -1 at the right one. W and D are diagonal.

    Args:
        left: Left images, int64 (N,).
        right: Right images, int64 (N,).
        images: Number M of images.
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, images: int) -> None:
        self.left, self.right, self.images = left, right, images
        low, high = np.minimum(left, right), np.maximum(left, right)
        codes, self.pair = np.unique(low * images + high, return_inverse=True)
        first, second = codes // images, codes % images
        self.first, self.second, self.pairs = first, second, len(codes)
        places = np.arange(self.pairs) + 1.0
        both = np.concatenate([first, second]), np.concatenate([second, first])
        self._pattern = csr_array((np.concatenate([places, places]), both), shape=(images, images))
        self._pattern.sort_indices()
        self._place = self._pattern.data.astype(np.int64) - 1

    def differences(self, score: np.ndarray) -> np.ndarray:
        """A s: score of the left image less that of the right, float (N, ...)."""
        return score[self.left] - score[self.right]

    def sums(self, value: np.ndarray) -> np.ndarray:
        """A' x: sums over an image's rows, negated where it is on the right, float (M,)."""
        return np.bincount(self.left, value, self.images) - np.bincount(self.right, value, self.images)

    def precision(self, weight: np.ndarray, prior: float) -> "Precision":
        """The matrix A' W A + prior I.

        Args:
            weight: Diagonal of W, float (N,), at least 0.
            prior: Precision of each score before the judgements, above 0.
        """
        between = np.bincount(self.pair, weight, self.pairs)
        pattern = self._pattern
        shape = (self.images, self.images)
        links = csr_array((between[self._place], pattern.indices, pattern.indptr), shape=shape)
        return Precision(self, np.asarray(weight, np.float64), between, links, prior)


class Precision:
    """A symmetric positive definite precision matrix H = A' W A + prior I of M scores.

    Args:
        graph: Places that are not 0.
        weight: Diagonal of W, float64 (N,).
        between: Its sums over each compared pair, float64 (P,).
        links: What lies off the diagonal, negated, (M, M) sparse.
        prior: Precision before the judgements.
    """

    def __init__(self, graph: Graph, weight: np.ndarray, between: np.ndarray, links: csr_array, prior: float) -> None:
        self.graph, self.weight, self.between, self.links, self.prior = graph, weight, between, links, prior
        degree = np.bincount(graph.left, weight, graph.images) + np.bincount(graph.right, weight, graph.images)
        self.diagonal = degree + prior

    @cached_property
    def covariance(self) -> np.ndarray | None:
        """The inverse, float64 (M, M), or None where there are too many images."""
        if self.graph.images > _DENSE:
            return None
        factor = cho_factor(np.diag(self.diagonal) - self.links.toarray(), lower=True)
        return cho_solve(factor, np.eye(self.graph.images))

    def solve(self, right: np.ndarray, tolerance: float = _TOLERANCE) -> np.ndarray:
        """x of H x = right, by conjugate gradients with Jacobi's preconditioner; columns for themselves, all at once.

        Args:
            right: float64 (M,) or (M, K).
            tolerance: Size of the residual at the end, relative to the right side.
        """
        x, residual = np.zeros_like(right, np.float64), np.array(right, np.float64)
        diagonal = self.diagonal if right.ndim == 1 else self.diagonal[:, None]
        direction = residual / diagonal
        reduced = (residual * direction).sum(0)
        goal = tolerance**2 * reduced
        for _ in range(_MOST_ITERATIONS):
            if (reduced <= goal).all():
                break
            image = diagonal * direction - self.links @ direction
            # A column that is solved exactly has nothing left to divide.
            share = reduced / np.maximum((direction * image).sum(0), np.finfo(float).tiny)
            x += share * direction
            residual -= share * image
            scaled = residual / diagonal
            before, reduced = reduced, (residual * scaled).sum(0)
            direction *= reduced / np.maximum(before, np.finfo(float).tiny)
            direction += scaled
        return x

    def draws(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draws from N(0, H^-1), float64 (M, count): perturb, then solve (Papandreou and Yuille 2010)."""
        noise = np.sqrt(self.prior) * random.standard_normal((self.graph.images, count))
        root = np.sqrt(self.weight)
        for column in range(count):
            noise[:, column] += self.graph.sums(root * random.standard_normal(len(root)))
        return self.solve(noise, _ROUGHLY)

    def link(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """-H_ij of pairs of different images, float64 (P,)."""
        links, codes = self.links, self._codes
        wanted = first * self.graph.images + second
        place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        return np.where(codes[place] == wanted, links.data[place], 0.0)

    @cached_property
    def _codes(self) -> np.ndarray:
        """Row times M plus column of the entries of ``links``, ascending."""
        rows = np.repeat(np.arange(self.graph.images), np.diff(self.links.indptr))
        return rows * self.graph.images + self.links.indices


class Spread:
    """Variances and covariances of scores: exact for few images, else estimated from draws.

    An estimate is Rao-Blackwellised (Siden, Lindgren, Bolin and Villani 2018, Efficient covariance approximations for
    large sparse precision matrices): what is left of a score's variance when all others are known is exact, and only
    the variance of its conditional mean is estimated. For i and j and the conditional means m of their scores::

        var(s_i) = 1 / H_ii + var(m_i)        cov(s_i, s_j) = cov(m_i, m_j) - H_ij / (H_ii H_jj)

    Args:
        precision: Precision matrix of M scores.
        draws: Draws from it, float (M, K); not needed where the precision has an exact inverse.
    """

    def __init__(self, precision: Precision, draws: np.ndarray | None) -> None:
        self.precision = precision
        self.exact = precision.covariance
        if self.exact is None:
            if draws is None:
                raise ValueError("draws are needed where there is no exact inverse")
            self._means = ((precision.links @ draws) / precision.diagonal[:, None]).astype(np.float32)

    @cached_property
    def variance(self) -> np.ndarray:
        """Variances, float64 (M,)."""
        if self.exact is not None:
            return np.diag(self.exact).copy()
        return 1 / self.precision.diagonal + (self._means.astype(np.float64) ** 2).mean(1)

    def covariance(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Covariances of pairs of scores, float64 (P,). Arguments: images, int (P,) each."""
        if self.exact is not None:
            return self.exact[first, second]
        return self._estimated(first, second, self.precision.link(first, second))

    @cached_property
    def of_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each row of the graph: covariance of its two scores, and variance of their difference, float64 (N,)."""
        graph = self.precision.graph
        first, second = graph.first, graph.second
        if self.exact is not None:
            between = self.exact[first, second]
        else:
            between = self._estimated(first, second, self.precision.between)
        return between[graph.pair], self._apart(first, second, between)[graph.pair]

    def of_differences(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Variances of differences of two scores, float64 (P,), above 0."""
        return self._apart(first, second, self.covariance(first, second))

    def _estimated(self, first: np.ndarray, second: np.ndarray, link: np.ndarray) -> np.ndarray:
        result = link / (self.precision.diagonal[first] * self.precision.diagonal[second])
        for start in range(0, len(first), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            shared = np.einsum("pk,pk->p", self._means[first[rows]], self._means[second[rows]])
            result[rows] += shared / self._means.shape[1]
        return result

    def _apart(self, first: np.ndarray, second: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        apart = self.variance[first] + self.variance[second] - 2 * covariance
        # An estimated covariance may be too large; what the two do not share with others is a lower bound.
        diagonal = self.precision.diagonal
        least = 2 / (diagonal[first] + diagonal[second])
        return np.maximum(apart, least)
