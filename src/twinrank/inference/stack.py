"""The best ensemble of a stack as a predictor."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twinrank.core.files import sha256
from twinrank.core.run_records import FileUse
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.ensembling.fitted import decide
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.matrix import Rows
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm
from twinrank.inference.network import Network
from twinrank.runs import RunFolder


class StackPredictor:
    """The best ensemble of a stack, as a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        folder: Stack folder whose base models' weights are still there.

    Raises:
        InputError: Something is missing or has changed. Every prediction raises it, too, if the images do not fit.
    """

    def __init__(self, folder: StackFolder) -> None:
        self._config = folder.read_config()
        ledger = Ledger(folder.path / self._config["ledger"])
        if ledger.sha256 != self._config["ledger_sha256"]:
            raise InputError(f"{ledger.path}: has changed since it was stacked; stack again")
        self._networks = {
            name: [Network(RunFolder(ledger.weights(cell))) for cell in ledger.cells(name)]
            for name in self._config["models"]
        }
        stacked, best = folder.read_stack(), self._config["best"]
        self._fitted = stacked.fitted[best]
        self._track = next(each.track for each in stacked.entrants if each.name == best)
        self._learners_sha256 = sha256(folder.learners)
        self._trained_on, self._stacked = ledger.trained_on()["sha256"], ledger.data["rows"]["sha256"]

    @property
    def form(self) -> ImageForm:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return next(iter(self._networks.values()))[0].form

    def logits(self, data: Judgements) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""

        def predict(network: Network) -> tuple[np.ndarray, np.ndarray | None]:
            predictions = network.predictions(data)
            return predictions.logit, predictions.levels

        return self._decide(data.row_ids, predict)

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, None]:
        """See :class:`twinrank.inference.predictor.Predictor`; its networks share no levels, so there are none."""
        return self.logits(data), None

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        first, second = np.nonzero(~np.eye(len(pool), dtype=bool))

        def predict(network: Network) -> tuple[np.ndarray, np.ndarray | None]:
            logit, levels = network.pairwise(pool)
            both = None if levels is None else np.stack([levels[first], levels[second]], 1)
            return logit[first, second], both

        logit = np.zeros((len(pool), len(pool)))
        logit[first, second] = self._decide(np.arange(len(first)).astype(str), predict)
        return logit

    def scores(self, images: ImageStore) -> np.ndarray:
        """Refuse: meta-learners compare pairs.

        Raises:
            InputError: Always; the line says what to use instead.
        """
        raise InputError(f"{images.path}: a stack compares pairs and scores no images; rank with one of its networks")

    def ties(self, logit: np.ndarray) -> None:
        """See :class:`twinrank.inference.predictor.Predictor`; a stack models no ties."""

    def calibrated(self, logit: np.ndarray) -> None:
        """See :class:`twinrank.inference.predictor.Predictor`; the logits of a stack are those of probabilities."""

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return {
            self._trained_on: (FileUse("fitted", "base models"),),
            self._stacked: (FileUse("fitted", "meta-learners"),),
        }

    @property
    def track(self) -> str:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self._track

    def identity(self) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return {
            "model": self._config["best"],
            "ledger_sha256": self._config["ledger_sha256"],
            "learners_sha256": self._learners_sha256,
        }

    def _decide(
        self, ids: np.ndarray, predict: Callable[[Network], tuple[np.ndarray, np.ndarray | None]]
    ) -> np.ndarray:
        """Predict with each network. As in the ledger, the mean over a base model's networks counts."""
        logits: list[np.ndarray] = []
        levels: dict[str, np.ndarray] = {}
        for name, networks in self._networks.items():
            each_logit, both = zip(*map(predict, networks), strict=True)
            logits.append(np.stack(each_logit).astype(np.float64).mean(0))
            if both[0] is not None:
                levels[name] = np.stack(both).astype(np.float64).mean(0)
        return decide(self._fitted, Rows(ids, np.zeros(len(ids), np.int8), np.stack(logits, 1), levels))
