"""The best ensemble of a stack as a predictor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np

from twinrank.config import Track
from twinrank.core.files import sha256
from twinrank.core.run_records import FileUse
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.ensembling.fitted import Fitted, decide
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.matrix import Rows
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.form import ImageForm
from twinrank.inference.predictor import Pairwise
from twinrank.runs import RunFolder


class StackAbout(TypedDict):
    """What is known about the ensemble of a stack.

    Attributes:
        model: Name of the ensemble.
        track: Its track.
        ledger_sha256: Digest of the ledger.
        learners_sha256: Digest of the meta-learners.
        trained_on: Digest of the file that the base models were fitted to.
        stacked: Digest of the file that the meta-learner was fitted to.
    """

    model: str
    track: Track
    ledger_sha256: str
    learners_sha256: str
    trained_on: str
    stacked: str


class BaseNetwork(Protocol):
    """A network of a base model: one of a run, or an exported one."""

    @property
    def form(self) -> ImageForm:
        """The form of the images that it takes."""
        ...

    def predictions(self, data: Judgements) -> Predictions:
        """Logits with row ids and latent levels."""
        ...

    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs with latent levels."""
        ...


class StackPredictor:
    """The best ensemble of a stack, as a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        networks: Networks of each base model, by its name.
        fitted: Meta-learner of the ensemble.
        about: What is known about it.

    Raises:
        InputError: Every prediction raises it if the images do not fit.

    Attributes:
        networks: Networks of each base model, by its name.
        fitted: Meta-learner of the ensemble.
        about: What is known about it.
    """

    def __init__(self, networks: Mapping[str, Sequence[BaseNetwork]], fitted: Fitted, about: "StackAbout") -> None:
        self.networks = networks
        self.fitted = fitted
        self.about = about

    @classmethod
    def of_folder(cls, folder: StackFolder) -> "StackPredictor":
        """The best ensemble of a stack folder whose base models' weights are still there.

        Raises:
            InputError: Something is missing or has changed.
        """
        from twinrank.inference.network import Network

        config = folder.read_config()
        ledger = Ledger(folder.path / config["ledger"])
        if ledger.sha256 != config["ledger_sha256"]:
            raise InputError(f"{ledger.path}: has changed since it was stacked; stack again")
        networks = {
            name: [Network(RunFolder(ledger.weights(cell))) for cell in ledger.cells(name)] for name in config["models"]
        }
        stacked, best = folder.read_stack(), config["best"]
        about = StackAbout(
            model=best,
            track=next(each.track for each in stacked.entrants if each.name == best),
            ledger_sha256=config["ledger_sha256"],
            learners_sha256=sha256(folder.learners),
            trained_on=ledger.trained_on()["sha256"],
            stacked=ledger.data["rows"]["sha256"],
        )
        return cls(networks, stacked.fitted[best], about)

    @property
    def form(self) -> ImageForm:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return next(iter(self.networks.values()))[0].form

    def logits(self, data: Judgements) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""

        def predict(network: BaseNetwork) -> tuple[np.ndarray, np.ndarray | None]:
            predictions = network.predictions(data)
            return predictions.logit, predictions.levels

        return self._decide(data.row_ids, predict)

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, None]:
        """See :class:`twinrank.inference.predictor.Predictor`; its networks share no levels, so there are none."""
        return self.logits(data), None

    def image_features(self, images: ImageStore, chosen: np.ndarray) -> np.ndarray:
        """Refuse: meta-learners have predictions alone.

        Raises:
            InputError: Always; the line says what to use instead.
        """
        raise InputError(f"{images.path}: a stack shows no features of images; use one of its networks")

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        first, second = np.nonzero(~np.eye(len(pool), dtype=bool))

        def predict(network: BaseNetwork) -> tuple[np.ndarray, np.ndarray | None]:
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
            self.about["trained_on"]: (FileUse("fitted", "base models"),),
            self.about["stacked"]: (FileUse("fitted", "meta-learners"),),
        }

    @property
    def track(self) -> str:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.about["track"]

    def identity(self) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return {key: self.about[key] for key in ("model", "ledger_sha256", "learners_sha256")}

    def _decide(
        self, ids: np.ndarray, predict: Callable[[BaseNetwork], tuple[np.ndarray, np.ndarray | None]]
    ) -> np.ndarray:
        """Predict with each network. As in the ledger, the mean over a base model's networks counts."""
        logits: list[np.ndarray] = []
        levels: dict[str, np.ndarray] = {}
        for name, networks in self.networks.items():
            each_logit, both = zip(*map(predict, networks), strict=True)
            logits.append(np.stack(each_logit).astype(np.float64).mean(0))
            if both[0] is not None:
                levels[name] = np.stack(both).astype(np.float64).mean(0)
        return decide(self.fitted, Rows(ids, np.zeros(len(ids), np.int8), np.stack(logits, 1), levels))
