"""Standardised features on their principal axes, where a ridge penalty stays what it is and fits are small."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twinrank.core.randomness import numpy_generator

_MOST_EXACT = 3_000
"""Most images or features whose axes are all found, from the products of all pairs."""
_MOST_AXES = 1_024
"""Number of axes where there are more images and features; the leading ones, by randomised iterations."""
_EXTRA = 64
"""Random directions besides, for the accuracy of the last axes."""
_ROUNDS = 2
_ROWS_AT_ONCE, _IMAGES_AT_ONCE = 4_096, 1_024
"""Rows that axes are found from at a time, and images whose coordinates are computed at a time."""
_NEGLIGIBLE = 1e-7
"""Share of the largest variance below which an axis is rounding alone."""
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Principal axes of the features of some images.

    A standardised feature vector z has the coordinates ``z @ axes``. Its mean square length is about 1.

    Attributes:
        mean: Means of the features, float32 (F,).
        deviation: Their standard deviations times the square root of F, float32 (F,).
        axes: Axes as columns, of length 1, float32 (F, R), the one with the largest variance first.
    """

    mean: np.ndarray
    deviation: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, seed: int = 0) -> "PrincipalAxes":
        """Axes of M images. All of them are found for up to 3,000 images or features, else the 1,024 leading ones.

        The leading axes are found by randomised subspace iterations (Halko, Martinsson and Tropp 2011, Finding
        structure with randomness, algorithm 4.4). They read the features a block at a time, so these may be a memory
        map.

        Args:
            features: float (M, F), of two images or more.
            seed: Root seed.
        """
        mean, deviation = _moments(features)
        made = cls(mean, deviation, np.zeros((features.shape[1], 0), np.float32))
        images, length = features.shape
        if length <= min(images, _MOST_EXACT):
            return cls(mean, deviation, _leading(made._twice(features, np.eye(length, dtype=np.float32)))[0])
        if images <= _MOST_EXACT:
            standardised = np.concatenate([*made._blocks(features)])
            basis, values = _leading(standardised @ standardised.T)
            return cls(mean, deviation, standardised.T @ (basis / np.sqrt(values)))
        count = min(_MOST_AXES + _EXTRA, *features.shape)
        generator = numpy_generator(seed, "principal axes")
        span = generator.standard_normal((features.shape[1], count), np.float32)
        for _ in range(_ROUNDS):
            span = np.linalg.qr(made._twice(features, span))[0]
        leading, _ = _leading(span.T @ made._twice(features, span))
        return cls(mean, deviation, span @ leading[:, :_MOST_AXES])

    def coordinates(self, features: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Coordinates of images, float32 (J, R).

        Args:
            features: float (M, F).
            images: Numbers of J images.
        """
        found = np.empty((len(images), self.axes.shape[1]), np.float32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            some = images[start : start + _IMAGES_AT_ONCE]
            found[start : start + len(some)] = self._standardised(features[some]) @ self.axes
        return found

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        """Weights of the features as they are, float32 (F,), from weights of the coordinates (R,)."""
        return (self.axes @ coordinates.astype(np.float32)) / self.deviation

    def _blocks(self, features: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(features), _ROWS_AT_ONCE):
            yield self._standardised(features[start : start + _ROWS_AT_ONCE])

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        made = np.array(features, np.float32)
        made -= self.mean
        made /= self.deviation
        return made

    def _twice(self, features: np.ndarray, span: np.ndarray) -> np.ndarray:
        """Z' Z span, float32 (F, K), of the standardised features Z."""
        total = np.zeros_like(span)
        for block in self._blocks(features):
            total += block.T @ (block @ span)
        return total


def _leading(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors of a positive matrix as columns, and its eigenvalues, float32, the largest first."""
    values, vectors = np.linalg.eigh(symmetric.astype(np.float64))
    kept = values > values[-1] * _NEGLIGIBLE
    return vectors[:, kept][:, ::-1].astype(np.float32), values[kept][::-1].astype(np.float32)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means, and standard deviations times the square root of the number of features, float32 (F,) each."""
    count, total, squares = len(features), 0.0, 0.0
    for start in range(0, count, _ROWS_AT_ONCE):
        block = np.array(features[start : start + _ROWS_AT_ONCE], np.float64)
        total = total + block.sum(0)
        squares = squares + np.square(block, out=block).sum(0)
    mean = np.asarray(total) / count
    variance = np.maximum(np.asarray(squares) / count - mean**2, 0.0)
    # A feature that is the same everywhere tells nothing; it keeps its size instead of being blown up.
    deviation = np.sqrt(variance)
    deviation = np.where(deviation > _LEAST_DEVIATION * (1 + np.abs(mean)), deviation, np.inf)
    return mean.astype(np.float32), (deviation * np.sqrt(features.shape[1])).astype(np.float32)
