"""A network as scikit-learn's classifier."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from twinrank.api.predictor import probabilities
from twinrank.api.values import changed, plain
from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.core.device import pick_device
from twinrank.core.randomness import numpy_generator
from twinrank.data.folds import image_groups
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError, Interrupted
from twinrank.evaluation.vote_calibration import VoteCalibration
from twinrank.inference.predict import predict_logits
from twinrank.models.registry import entry
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import load_weights
from twinrank.training.hooks import Hooks
from twinrank.training.train import train

__all__ = ["PairClassifier"]


class PairClassifier(ClassifierMixin, BaseEstimator):
    """Which of two images ranks higher, as a classifier of scikit-learn.

    ``X`` holds N pairs, (N, 2, H, W) or (N, 2, C, H, W) with C 1 or 3, uint8 or float in [0, 1]. ``X[:, 0]`` are left
    images. ``y`` holds any labels of two classes. The second class in sorted order, ``classes_[1]``, means that the
    left image ranks higher. It is 1 of 0 and 1, and True of False and True.

    It can be cloned, searched, cross-validated and used in a pipeline. A fitted one holds its weights, so it can be
    pickled, and needs no run folder.

    >>> pairs = tr.load_pairs("data/train.npz")
    >>> X, y = np.stack([pairs.xa, pairs.xb], axis=1), pairs.y
    >>> classifier = tr.PairClassifier("order_net", options={"width": 2}, epochs=1, random_state=0)
    >>> classifier.fit(X, y).predict_proba(X).shape
    (384, 2)
    >>> 0 <= classifier.score(X, y) <= 1
    True

    Args:
        model: Network name, see :func:`twinrank.list_models`.
        options: Options of the network that differ from its defaults, such as ``{"width": 24}``.
        epochs: Epochs; None, like each None below, is the network's own value.
        batch_size: Pairs in a batch.
        lr: Largest learning rate.
        weight_decay: Weight decay.
        values: Other training values by the names of :class:`twinrank.TrainConfig`, such as ``{"shift": 2}``.
        validation_fraction: Share of the pairs that are not fitted and choose the epoch. Pairs that share an image stay
            together where that is possible.
        random_state: Seed, generator of NumPy, or None for NumPy's global generator.
        threads: CPU threads; None is as many as torch uses now.
        verbose: Whether each epoch is shown on standard error.

    Attributes:
        classes_: The two classes, sorted, (2,).
        history_: One mapping for each epoch, see :attr:`twinrank.Run.history`.
        best_epoch_: Epoch whose weights are kept.
        image_shape_: (C, H, W) of the images.
        n_features_in_: 2, the images of a pair.
        train_config_: Training values, a :class:`twinrank.TrainConfig`.
        network_: The network, a ``torch.nn.Module``.
        calibration_: From logits to probabilities, fitted to the pairs that chose the epoch; None where none of their
            images recurs.
        weights_: Weights and the description of the network, as the bytes of a safetensors file.
    """

    def __init__(
        self,
        model: str = "order_net",
        *,
        options: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        values: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.options = options
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.values = values
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Any, y: Any, validation: tuple[Any, Any] | None = None) -> Self:
        """Train on pairs.

        Args:
            X: Pairs, (N, 2, H, W) or (N, 2, C, H, W), uint8 or float in [0, 1].
            y: Labels (N,) of two classes.
            validation: Pairs and labels that choose the epoch. By default ``validation_fraction`` of ``X`` does.

        Returns:
            The classifier itself.

        Raises:
            InputError: ``X`` or ``y`` is refused, ``y`` has not two classes, or a parameter is impossible.
        """
        X, y = self._images(X, reset=True), _labels(y, X)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            count = "one class" if len(self.classes_) == 1 else f"{len(self.classes_)} classes"
            raise InputError(f"Only binary classification is supported. `y` has {count}; two are needed")
        seed = self._seed()
        pairs = _pairs(X, encoded, "X")
        if validation is None:
            fitted, chooses = self._split(pairs, seed)
        else:
            others, labels = self._images(validation[0], reset=False), _labels(validation[1], validation[0])
            if unknown := sorted({*np.unique(labels).tolist()} - {*self.classes_.tolist()}):
                raise InputError(f"`validation` has the class {unknown[0]!r}, which `y` has not; use those of `y`")
            fitted, chooses = pairs, _pairs(others, labels == self.classes_[1], "validation")
        self.image_shape_ = pairs.images.shape
        self._train(RunSpec(self.model, self._values(seed), plain(self.options or {})), fitted, chooses)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of pairs, float32 (N,), positive for ``classes_[1]``.

        Args:
            X: Pairs as for :meth:`fit`, whose images have the shape ``image_shape_``.

        Raises:
            InputError: ``X`` is refused.
            NotFittedError: The classifier is not fitted yet.
        """
        check_is_fitted(self)
        pairs = _pairs(self._images(X, reset=False), None, "X")
        if (shape := pairs.images.shape) != self.image_shape_:
            raise InputError(
                f"`X` has images of shape {shape} (C, H, W); the classifier was fitted to {self.image_shape_}"
            )
        return predict_logits(self.network_, pairs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of ``classes_``, float64 (N, 2).

        Where ``calibration_`` is not None, they may be nearer to 0.5 than the logits of :meth:`decision_function`.

        Args:
            X: Pairs as for :meth:`decision_function`.

        Raises:
            InputError: ``X`` is refused.
            NotFittedError: The classifier is not fitted yet.
        """
        logit = self.decision_function(X)
        return probabilities(logit if self.calibration_ is None else self.calibration_.logits(logit))

    def predict(self, X: Any) -> np.ndarray:
        """The likelier class of each pair, (N,), in the type of ``y``.

        Args:
            X: Pairs as for :meth:`decision_function`.

        Raises:
            InputError: ``X`` is refused.
            NotFittedError: The classifier is not fitted yet.
        """
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # pyright: ignore[reportAssignmentType]
        # The weights hold all of it, and the device may be another one then.
        return {name: value for name, value in state.items() if name != "network_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "weights_" in state:
            # A pickle of an older version has no calibration.
            self.calibration_ = state.get("calibration_")
            self._build()

    def _images(self, X: Any, *, reset: bool) -> np.ndarray:
        """``X`` as an array of pairs, whatever their channels and size."""
        X = validate_data(self, X, reset=reset, dtype=None, allow_nd=True, ensure_2d=False)
        if X.ndim not in (4, 5) or X.shape[1] != 2:
            raise InputError(f"`X` has shape {X.shape}, not (N, 2, H, W) or (N, 2, C, H, W)")
        if reset:
            self.n_features_in_ = X.shape[1]
        return X

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _values(self, seed: int) -> TrainConfig:
        own = {name: getattr(self, name) for name in ("epochs", "batch_size", "lr", "weight_decay")}
        given = {name: value for name, value in own.items() if value is not None}
        return changed(entry(self.model).train, {**(self.values or {}), **given, "seed": seed}, "PairClassifier")

    def _split(self, pairs: Judgements, seed: int) -> tuple[Judgements, Judgements]:
        """The pairs to fit, and a share of them that chooses the epoch."""
        share = self.validation_fraction
        if not 0 < share < 1:
            raise InputError(f"`validation_fraction` is {share}; it must be above 0 and below 1")
        assert pairs.y is not None
        draws = numpy_generator(seed, "validation")
        for groups in (image_groups(pairs), np.arange(len(pairs))):
            stop = _share(pairs.y, groups, share, draws)
            # Where all pairs hang together by their images, single pairs have to do.
            if 2 <= stop.sum() <= len(pairs) - 2:
                return pairs.select(~stop), pairs.select(stop)
        raise InputError(
            f"`validation_fraction` is {share}, which leaves too few of {len(pairs)} pairs; change it, or give"
            " `validation`"
        )

    def _train(self, spec: RunSpec, fitted: Judgements, chooses: Judgements) -> None:
        threads = torch.get_num_threads() if self.threads is None else self.threads
        hooks = None if self.verbose else Hooks()
        # The caller's random numbers go on as if nothing had been drawn.
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
            try:
                run = train(spec, fitted, chooses, Path(folder) / "run", hooks=hooks, context=Context(threads=threads))
            except Interrupted as error:
                # There is no folder to go on with.
                raise KeyboardInterrupt from error
            self.history_, self.best_epoch_ = run.read_history(), run.best_epoch()["epoch"]
            self.weights_, self.train_config_ = run.weights.read_bytes(), spec.train
            self.calibration_ = VoteCalibration.load(run.calibration) if run.calibration.is_file() else None
        self._build()

    def _build(self) -> None:
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
            file = Path(folder) / "weights.safetensors"
            file.write_bytes(self.weights_)
            self.network_: SiameseNet = load_weights(file).to(pick_device())
        self.network_.precision = self.train_config_.precision


def _pairs(X: np.ndarray, y: np.ndarray | None, name: str) -> Judgements:
    return Judgements.from_arrays(X[:, 0], X[:, 1], y, name=name)


def _labels(y: Any, X: Any) -> np.ndarray:
    """Labels as an array (N,), as many as there are pairs."""
    if y is None:
        raise InputError("PairClassifier requires y to be passed, but the target y is None")
    check_classification_targets(y)
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    return y


def _share(y: np.ndarray, groups: np.ndarray, share: float, draws: np.random.Generator) -> np.ndarray:
    """Rows of whole groups, taken at random, about as large a share of each class, one or more: bool (N,)."""
    left = np.maximum(1, np.rint(share * np.bincount(y, minlength=2)).astype(int))
    of_group = np.stack([np.bincount(groups, y == label) for label in (0, 1)], axis=1)
    taken = np.zeros(len(of_group), bool)
    for group in draws.permutation(len(of_group)):
        if (of_group[group] <= left).all():
            taken[group] = True
            left = left - of_group[group]
    return taken[groups]
