"""Predictions for the rows and images of a training, by heads that were fitted without them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinrank.core.files import write_npz
from twinrank.core.npz import read_written
from twinrank.errors import InputError

_KINDS = {"id": "U", "logit": "f", "hashes": "u", "score": "f"}


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions of a head that is fitted at once.

    Attributes:
        id: Row ids of the N fitted judgements, str (N,).
        logit: Their logits, float64 (N,), by heads that were fitted without both images.
        hashes: Hashes of the K judged images, each once, sorted, uint64 (K,).
        score: Their scores, float64 (K,): the mean of heads that were fitted without the image.
    """

    id: np.ndarray
    logit: np.ndarray
    hashes: np.ndarray
    score: np.ndarray

    @property
    def recurring(self) -> bool:
        """Whether an image is in more than one of the judgements."""
        return len(self.hashes) < 2 * len(self.id)

    @classmethod
    def of(cls, ids: np.ndarray, logit: np.ndarray, hashes: np.ndarray, score: np.ndarray) -> "OutOfFold":
        """From scores of images that may occur twice, or not at all (NaN)."""
        known = np.isfinite(score)
        distinct, first = np.unique(hashes[known], return_index=True)
        return cls(ids, logit, distinct, score[known][first])

    def of_images(self, hashes: np.ndarray) -> np.ndarray:
        """Scores of images, float64 (M,); NaN for images that were not judged.

        Args:
            hashes: Hashes of the images, uint64 (M,).
        """
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[place] == hashes, self.score[place], np.nan)

    def save(self, path: Path) -> None:
        """Write an NPZ file.

        Raises:
            InputError: The file cannot be written.
        """
        write_npz(path, vars(self))

    @classmethod
    def load(cls, path: Path) -> "OutOfFold":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: The file is missing or damaged.
        """
        read = read_written(path, _KINDS, "out-of-fold predictions")
        made = cls(**read)
        if made.id.shape != made.logit.shape or made.hashes.shape != made.score.shape or not len(made.hashes):
            raise InputError(f"{path}: keys 'id' and 'logit', or 'hashes' and 'score', differ in length; train again")
        return made
