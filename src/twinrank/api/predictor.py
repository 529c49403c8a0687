"""Predictions of trained networks and stacks, with scikit-learn's methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.api.values import as_run
from twinrank.core.machine import require_threads
from twinrank.data.given import Pairs, as_pairs
from twinrank.evaluation.vote_calibration import probability_of_left
from twinrank.inference import load
from twinrank.inference.predictor import Predictor
from twinrank.runs import PRETRAINED

__all__ = ["PairPredictor", "load_predictor"]


class PairPredictor:
    """A trained network, a stack, or the mean of several, ready to predict which image of a pair ranks higher.

    :func:`load_predictor` makes one. Each method takes pairs in one of these forms:

    - ``xa, xb``: two arrays of images, uint8 or float in [0, 1], (N, H, W) or (N, C, H, W);
    - ``(xa, xb)``: the same as a tuple;
    - :class:`twinrank.Judgements`, or a path that :func:`twinrank.load_pairs` reads. Labels are left out. The
      image files of a path are read as in training; those of ``Judgements`` must have been read so.

    >>> predictor = tr.load_predictor()
    >>> xa, xb = np.random.default_rng(0).random((2, 5, 28, 28), np.float32)
    >>> predictor.decision_function(xa, xb).shape
    (5,)
    >>> predictor.predict_proba(xa, xb).shape
    (5, 2)

    Args:
        predictor: Predictor of the library.
        name: Its name, for people.

    Attributes:
        classes_: Classes of the columns of :meth:`predict_proba`: 0, the right image ranks higher, and 1, the left one.
    """

    def __init__(self, predictor: Predictor, name: str) -> None:
        self.classes_ = np.array([0, 1])
        self._predictor = predictor
        self._name = name

    def __repr__(self) -> str:
        return f"PairPredictor({self._name})"

    def decision_function(self, xa: Pairs | Any, xb: Any = None) -> np.ndarray:
        """Logits of pairs, float (N,), positive where the left image ranks higher.

        >>> logit = tr.load_predictor("runs/first").decision_function("data/val.npz")
        >>> logit.shape
        (96,)

        Args:
            xa: Left images, or pairs in one of the other forms above.
            xb: Right images where ``xa`` is left images.

        Raises:
            InputError: The pairs are refused, or have other channels or another size than those of the training.
        """
        if xb is None and isinstance(xa, str | os.PathLike):
            # Chunk by chunk, so that a file of any length fits in memory.
            with self._predictor.form.stream(Path(xa)) as stream:
                return np.concatenate([self._predictor.logits(chunk) for chunk in stream.chunks])
        return self._predictor.logits(as_pairs(xa if xb is None else (xa, xb)))

    def predict_proba(self, xa: Pairs | Any, xb: Any = None) -> np.ndarray:
        """Probabilities of the classes 0 and 1, float64 (N, 2). Those of a swapped pair are the same, swapped.

        Where people judged, they are those of votes, calibrated on the validation file. So they may be nearer to 0.5
        than the logits of :meth:`decision_function`.

        >>> probability = tr.load_predictor("runs/first").predict_proba("data/val.npz")
        >>> bool((probability.sum(axis=1) == 1).all())
        True

        Args:
            xa: Left images, or pairs in one of the other forms above.
            xb: Right images where ``xa`` is left images.

        Raises:
            InputError: As :meth:`decision_function`.
        """
        logit = self.decision_function(xa, xb)
        calibrated = self._predictor.calibrated(logit)
        return probabilities(logit if calibrated is None else calibrated)

    def predict(self, xa: Pairs | Any, xb: Any = None) -> np.ndarray:
        """The likelier class of each pair, int64 (N,): 1 where the left image ranks higher, else 0.

        >>> label = tr.load_predictor("runs/first").predict("data/val.npz")
        >>> sorted({*label.tolist()}) in ([0], [0, 1], [1])
        True

        Args:
            xa: Left images, or pairs in one of the other forms above.
            xb: Right images where ``xa`` is left images.

        Raises:
            InputError: As :meth:`decision_function`.
        """
        return (self.decision_function(xa, xb) > 0).astype(np.int64)


def load_predictor(*folders: str | os.PathLike[str], threads: int | None = None) -> PairPredictor:
    """A predictor from a run folder, a stack folder, or what 'twinrank export' has written; or the mean of several.

    Without folders it is the network that comes with twinrank. It compares digits of 28 by 28 pixels, most of which are
    covered. An exported file, such as ``model.onnx``, needs onnxruntime, and not torch.

    >>> tr.load_predictor()
    PairPredictor(the network that comes with twinrank)

    Args:
        folders: Run folders, those of :func:`fit`, stack folders, and exported files or folders, each once.
        threads: CPU threads from now on. By default they are those of the training, which give its bits; or all
            cores, for exported files.

    Raises:
        InputError: One is none of these, occurs twice, or lacks what predictions need.
    """
    paths = [as_run(folder, "folders") for folder in folders]
    name = ", ".join(map(str, paths)) or "the network that comes with twinrank"
    if threads is not None:
        require_threads(threads)
    predictor = PairPredictor(load.load_predictor(*(paths or [PRETRAINED]), threads=threads), name)
    if threads is not None and not (paths and all(map(load.is_exported, paths))):
        import torch

        torch.set_num_threads(threads)
    return predictor


def probabilities(logit: np.ndarray) -> np.ndarray:
    """Probabilities of the classes 0 and 1 from logits (N,), float64 (N, 2); each row adds up to 1 exactly."""
    left = probability_of_left(logit)
    return np.stack([1 - left, left], axis=1)
