"""A trained network as a predictor."""

import copy
from typing import Any

import numpy as np
import torch

from twinrank.core.device import pick_device, prepare_cpu
from twinrank.core.files import read_json, sha256
from twinrank.core.npz import read_written
from twinrank.core.randomness import numpy_generator
from twinrank.core.run_records import FileUse
from twinrank.core.tensor_header import read_tensor_header
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.vote_calibration import VoteCalibration
from twinrank.inference.form import ImageForm
from twinrank.inference.one_network import OneNetwork
from twinrank.inference.out_of_fold import OutOfFold
from twinrank.inference.predict import image_features, pairwise_logits, predict
from twinrank.inference.predictor import Pairwise
from twinrank.inference.scores import image_scores, panel_of, scores_by_itself
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import load_weights
from twinrank.runs import PRETRAINED, RunFolder, used_in_training

_LOGIT_NU = "logit_nu"
"""Key of ``judging.json`` in a run of an older version: Davidson's nu for logits that are not calibrated."""


class Network(OneNetwork):
    """The best weights of a run, as a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        run: Run with weights.

    Raises:
        InputError: The run has no weights. Every prediction raises it, too, if the images do not fit.

    Attributes:
        model: The network.
        calibration: From logits to probabilities; None where training has fitted none.
        nu: Davidson's nu for its calibrated logits, if there are any; 0 where no ties are modelled.
        form: Form of the images that it takes.
        out_of_fold: Whether scores of images that training used are out-of-fold.
    """

    def __init__(self, run: RunFolder) -> None:
        config = run.read_config()
        self._run = run
        prepare_cpu(config["threads"])
        self.model: SiameseNet = load_weights(run.weights, config["model"]).to(pick_device())
        self.model.precision = run.train_config().precision
        self.model.set_freeze(run.train_config().freeze)
        self.calibration = VoteCalibration.load(run.calibration) if run.calibration.is_file() else None
        self.nu: float = read_json(run.judging).get(_LOGIT_NU, 0.0) if run.judging.is_file() else 0.0
        if self.calibration is not None:
            self.nu = self.calibration.nu
        own = run.path.resolve() == PRETRAINED.resolve()
        name = "the network that comes with twinrank" if own else str(run.path)
        channels, shorter_side = self.model.encode.channels, read_tensor_header(run.weights).state["image_size"]
        self.out_of_fold = run.out_of_fold.is_file()
        self.form = ImageForm.of_run(config, name, channels, shorter_side)

    def predictions(self, data: Judgements) -> Predictions:
        """Logits with row ids and latent levels, see :func:`twinrank.inference.predict.predict`."""
        self.form.require_images(data.images, data.path)
        predictions = predict(self.model, data)
        self._require_numbers(predictions.logit)
        return predictions

    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs with latent levels, see :func:`twinrank.inference.predict.pairwise_logits`."""
        self.form.require(pool.images.shape[1:], pool.path)
        pairwise = pairwise_logits(self.model, pool.images)
        self._require_numbers(pairwise.logit)
        return pairwise

    def image_features(self, images: ImageStore, chosen: np.ndarray) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`; they are those of one view, before the comparator."""
        self.form.require_images(images, images.path)
        model = self.model
        if model.freeze != "all":
            # Those of a frozen tower are cached, with all views.
            model = copy.copy(model)
            model.views, model.mirror, model.turned = 1, False, False
        features = image_features(model, images, chosen).float().cpu().numpy()
        self._require_numbers(features)
        return features

    def scores(self, images: ImageStore) -> np.ndarray:
        """Scores of images, float64 (M,), before they are scaled, see :func:`twinrank.inference.scores.image_scores`.

        An image that a linear or a mixed head was fitted to has its out-of-fold score. So it is as uncertain as any
        other, and the judgements behind it may sharpen it. A run of an older version has no panel. Then the panel is
        of the images themselves.
        """
        self.form.require_images(images, images.path)
        panel = None
        if not scores_by_itself(self.model):
            kept = self._run.panel
            if kept.is_file():
                panel = torch.from_numpy(read_written(kept, {"features": "f"}, "the features of a panel")["features"])
            else:
                panel = panel_of(self.model, images, numpy_generator(0, "panel"))
        scores = image_scores(self.model, images, panel)
        if self.out_of_fold:
            unseen = OutOfFold.load(self._run.out_of_fold).of_images(images.hashes)
            scores = np.where(np.isnan(unseen), scores, unseen)
        self._require_numbers(scores)
        return scores

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return used_in_training(self._run.read_config())

    def training_images(self) -> np.ndarray | None:
        """See :class:`twinrank.inference.one_network.OneNetwork`; None for a run of an older version."""
        return self._run.train_images()

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
