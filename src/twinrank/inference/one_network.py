"""What predictors of one network have in common, whether torch runs it or onnxruntime."""

from abc import ABC, abstractmethod

import numpy as np

from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.evaluation.judging import outcome_probabilities
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.vote_calibration import VoteCalibration
from twinrank.inference.predictor import Pairwise


class OneNetwork(ABC):
    """The part of :class:`twinrank.inference.predictor.Predictor` that follows from predictions and calibration.

    Attributes:
        calibration: From logits to probabilities; None where training has fitted none.
        nu: Davidson's nu for its calibrated logits, if there are any; 0 where no ties are modelled.
        out_of_fold: Whether scores of images that training used are out-of-fold.
    """

    calibration: VoteCalibration | None
    nu: float
    out_of_fold = False

    @abstractmethod
    def predictions(self, data: Judgements) -> Predictions:
        """Logits with row ids, labels and, if the network has any, latent levels.

        Raises:
            InputError: The images do not fit, or a prediction is not finite.
        """

    @abstractmethod
    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs of images with their latent levels.

        Raises:
            InputError: As :meth:`predictions`.
        """

    @abstractmethod
    def training_images(self) -> np.ndarray | None:
        """Hashes of the images that training used, uint64 (K,); None where they are not known.

        Raises:
            InputError: The file that tells them is damaged.
        """

    def logits(self, data: Judgements) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.predictions(data).logit

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, np.ndarray | None]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        predictions = self.predictions(data)
        return predictions.logit, predictions.levels

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.pairwise(pool).logit

    def ties(self, logit: np.ndarray) -> np.ndarray | None:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        if self.calibration is not None:
            return self.calibration.ties(logit)
        return outcome_probabilities(logit, self.nu)[1] if self.nu else None

    def calibrated(self, logit: np.ndarray) -> np.ndarray | None:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return None if self.calibration is None else self.calibration.logits(logit)
