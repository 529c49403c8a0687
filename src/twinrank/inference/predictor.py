"""The protocol of predictors: a network, a stack, or the mean of several."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from twinrank.core.run_records import FileUse, uses_as_json
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.inference.form import ImageForm


class Pairwise(NamedTuple):
    """Predictions of a network for all pairs of M images.

    Attributes:
        logit: Logits of the image of the row ranking higher than that of the column, float32 (M, M); 0 on the diagonal.
        levels: Log-posterior of each image over the network's latent levels, lowest first, float32 (M, K), or None.
    """

    logit: np.ndarray
    levels: np.ndarray | None


class Predictor(Protocol):
    """A network, a stack, or a mean of several. It predicts which image of a pair ranks higher."""

    @property
    def form(self) -> ImageForm:
        """The form of the images that it takes."""
        ...

    def logits(self, data: Judgements) -> np.ndarray:
        """Logits of pairs, float (N,), positive where it predicts that left ranks higher."""
        ...

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits of pairs, float (N,), and log-posteriors of both images over K latent levels, float (N, 2, K).

        The lowest level comes first. The levels are None for a predictor without any.
        """
        ...

    def image_features(self, images: ImageStore, chosen: np.ndarray) -> np.ndarray:
        """Features of images, float32 (M, F), of which its networks make predictions.

        Args:
            images: Store of images.
            chosen: Numbers of images, int (M,).

        Raises:
            InputError: The predictor shows no features, or the images are refused.
        """
        ...

    def tournament(self, pool: Pool) -> np.ndarray:
        """Logits of all pairs of M images, float (M, M): that of the row ranking higher than that of the column."""
        ...

    def scores(self, images: ImageStore) -> np.ndarray:
        """Scores of images, float64 (M,), a higher one for an image that ranks higher; their scale is its own.

        Raises:
            InputError: The predictor compares pairs only, or the images are refused.
        """
        ...

    def ties(self, logit: np.ndarray) -> np.ndarray | None:
        """Probabilities of ties at logits, float (N,); None where ties are not modelled."""
        ...

    def calibrated(self, logit: np.ndarray) -> np.ndarray | None:
        """Logits of probabilities, float64 (N,), with the signs of ``logit``; None where they are ``logit`` itself."""
        ...

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """How files were used in training, by digest."""
        ...

    @property
    def track(self) -> str:
        """Track of the benchmark: "pairs-only", or "open" where more than pairs was used in training."""
        ...

    def identity(self) -> dict[str, Any]:
        """Name and digests that no other predictor has, as JSON values; ``model`` is the name."""
        ...


def described(predictor: Predictor, digest: str) -> dict[str, Any]:
    """Values to store beside predictions: how training used the rows, the predictor's identity, and its track.

    Args:
        predictor: Predictor of these rows.
        digest: SHA-256 of their file.
    """
    used = uses_as_json(predictor.used_in_training.get(digest, ()))
    return {"used": used, **predictor.identity(), "track": predictor.track}
