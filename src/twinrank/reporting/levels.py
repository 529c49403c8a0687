"""The meaning of a network's latent levels: a table against digits that its training never used."""

from dataclasses import dataclass

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate, rate


@dataclass(frozen=True)
class LevelTable:
    """Images counted by their most likely latent level and their true class.

    Attributes:
        counts: Images of level k and class c, int64 (K, C).
    """

    counts: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Share of each class among the images of a level: float64 (K, C), NaN for a level without images."""
        images = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, images, out=np.full(self.counts.shape, np.nan), where=images > 0)

    @property
    def mean_class(self) -> np.ndarray:
        """Mean class of the images of each level: float64 (K,), NaN for a level without images."""
        return self.share @ np.arange(self.counts.shape[1])

    @property
    def purity(self) -> Estimate:
        """Share of the images that show the commonest class of their level, with its Wilson interval."""
        return rate(int(self.counts.max(1).sum()), int(self.counts.sum()))

    @property
    def classes_found(self) -> int:
        """Number of classes that are the commonest one of some level."""
        return len({int(row.argmax()) for row in self.counts if row.sum()})


def level_table(levels: np.ndarray, digits: np.ndarray) -> LevelTable:
    """Count images by latent level and digit.

    Args:
        levels: Log-posteriors or posteriors over levels, (N, K), one row an image.
        digits: True digit of each image, integer (N,), 0 to 9.

    Raises:
        InputError: There are no images, or the lengths differ.
    """
    if not len(levels) or len(levels) != len(digits):
        raise InputError(f"{len(levels)} rows of latent levels for {len(digits)} digits; give one digit for each row")
    counts = np.zeros((levels.shape[1], 10), np.int64)
    np.add.at(counts, (levels.argmax(1), digits.astype(np.int64)), 1)
    return LevelTable(counts)
