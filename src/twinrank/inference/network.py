"""A trained network as a predictor."""

from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.device import pick_device, prepare_cpu
from twinrank.core.files import sha256
from twinrank.core.run_records import FileUse
from twinrank.core.tensor_header import read_tensor_header
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.predict import Pairwise, pairwise_logits, predict
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import load_weights
from twinrank.runs import PRETRAINED, RunFolder, used_in_training


class Network:
    """The best weights of a run, as a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        run: Run with weights.

    Raises:
        InputError: The run has no weights. Every prediction raises it, too, if the images do not fit.
    """

    def __init__(self, run: RunFolder) -> None:
        config = run.read_config()
        self._run = run
        prepare_cpu(config["threads"])
        self.model: SiameseNet = load_weights(run.weights, config["model"]).to(pick_device())
        self.model.precision = run.train_config().precision
        self._shorter_side: int = read_tensor_header(run.weights).state["image_size"]
        self._image_shape: list[int] | None = config.get("image_shape")

    def predictions(self, data: Judgements) -> Predictions:
        """Logits with row ids and latent levels, see :func:`twinrank.inference.predict.predict`."""
        self.require_shape(data.path, data.images.shape)
        predictions = predict(self.model, data)
        self._require_numbers(predictions.logit)
        return predictions

    def logits(self, data: Judgements) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.predictions(data).logit

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, np.ndarray | None]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        predictions = self.predictions(data)
        return predictions.logit, predictions.levels

    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs with latent levels, see :func:`twinrank.inference.predict.pairwise_logits`."""
        self.require_shape(pool.path, pool.images.shape[1:])
        pairwise = pairwise_logits(self.model, pool.images)
        self._require_numbers(pairwise.logit)
        return pairwise

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.pairwise(pool).logit

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return used_in_training(self._run.read_config())

    @property
    def track(self) -> str:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self._run.read_config()["track"]

    def identity(self) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return {"weights_sha256": sha256(self._run.weights), "model": self._run.read_config()["model"]["name"]}

    def _require_numbers(self, logit: np.ndarray) -> None:
        """Refuse predictions that are no numbers: damaged weights would else decide every pair alike."""
        if not np.isfinite(logit).all():
            raise InputError(f"{self._run.weights}: its predictions are not finite; restore the file, or train again")

    @property
    def _name(self) -> str:
        own = self._run.path.resolve() == PRETRAINED.resolve()
        return "the network that comes with twinrank" if own else str(self._run.path)

    def require_shape(self, path: Path, shape: tuple[int, ...]) -> None:
        """Refuse images of other channels or another size than those of training.

        Args:
            path: Place of the images, for the message.
            shape: Shape of an image, (C, H, W).

        Raises:
            InputError: Their shape is another one.
        """
        channels, (found, height, width) = self.model.encode.mean.shape[0], shape
        if found != channels:
            raise InputError(f"{path}: images of {found} channels; {self._name} was trained on {channels}")
        if self._image_shape is None:
            # The weights of a run of an older version know only the shorter side.
            fits, known = min(height, width) == self._shorter_side, f"a shorter side of {self._shorter_side}"
        else:
            fits, known = [height, width] == self._image_shape[1:], "{} x {}".format(*self._image_shape[1:])
        if not fits:
            raise InputError(
                f"{path}: images of {height} x {width} pixels; {self._name} was trained on {known}; resize them"
            )
