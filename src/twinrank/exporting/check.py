"""An exported predictor against the one that it was made of, on real pairs."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import torch

from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.vote_calibration import probability_of_left
from twinrank.inference.exported import ExportedNetwork
from twinrank.inference.features import for_prediction, images_a_batch
from twinrank.inference.network import Network
from twinrank.inference.predictor import Predictor

TOLERANCE = 2e-3
"""Largest difference of two logits in float32. Features of frozen towers are rounded to half precision, so one that
differs in its last bit of float32 may differ in its last bit of half precision."""
INT8_LOSS = 0.01
"""Largest loss of accuracy by arithmetic in 8 bits."""
_SECONDS, _TIMED = 2.0, 256
"""Time that is measured, and images at most."""


class CheckRecord(TypedDict):
    """What a check found.

    Attributes:
        file: Labelled file.
        sha256: Its digest.
        pairs: Number of its pairs.
        largest_difference: Largest difference of two logits; of those of the networks, where there are several.
        largest_difference_of_probabilities: The same of two probabilities.
        same_decisions: Share of the pairs that both decide alike.
        accuracy: Accuracy of both on pairs with a right decision, "torch" in float32, and "onnx".
        images_per_second: Images of the file that one core embeds in a second, likewise.
        bytes: Bytes of the weights in the run folders, and of the exported files.
    """

    file: str
    sha256: str
    pairs: int
    largest_difference: float
    largest_difference_of_probabilities: float
    same_decisions: float
    accuracy: dict[str, float]
    images_per_second: dict[str, float]
    bytes: dict[str, int]


class Exported(NamedTuple):
    """A predictor, and what was made of it.

    Attributes:
        original: Predictor with torch.
        made: Predictor with onnxruntime.
        networks: Networks of both, in the same order.
        bytes: See :class:`CheckRecord`.
    """

    original: Predictor
    made: Predictor
    networks: Sequence[tuple[Network, ExportedNetwork]]
    bytes: dict[str, int]


def check(exported: Exported, data: Judgements) -> CheckRecord:
    """Predict labelled pairs with both.

    Args:
        exported: Both predictors.
        data: Labelled pairs.

    Raises:
        InputError: The pairs have no labels, or no right decision.
    """
    if data.y is None or not data.decided.any():
        raise InputError(f"{data.path}: has no labels to check against; give a labelled file as `check`")
    for network, _ in exported.networks:
        network.model.precision = "float32"
    pair = {"torch": exported.original, "onnx": exported.made}
    logits = {name: np.asarray(each.logits(data), np.float64) for name, each in pair.items()}
    probabilities = [probability_of_left(_calibrated(each, logits[name])) for name, each in pair.items()]
    # Trees of a stack jump where a logit crosses a threshold, so its networks are compared.
    compared = [(logits["torch"], logits["onnx"])]
    if len(exported.networks) > 1:
        compared = [(each.logits(data), made.logits(data)) for each, made in exported.networks]
    decided = data.decided
    right = {name: float(((z > 0) == (data.y > 0.5))[decided].mean()) for name, z in logits.items()}
    return {
        "file": str(data.path),
        "sha256": data.sha256,
        "pairs": len(data),
        "largest_difference": max(float(np.abs(one - other).max()) for one, other in compared),
        "largest_difference_of_probabilities": float(np.abs(probabilities[0] - probabilities[1]).max()),
        "same_decisions": float(((logits["torch"] > 0) == (logits["onnx"] > 0)).mean()),
        "accuracy": right,
        "images_per_second": _speeds(exported, data.images),
        "bytes": exported.bytes,
    }


def require_alike(found: CheckRecord, int8: bool) -> None:
    """Refuse an export that predicts otherwise than its network.

    Args:
        found: What the check found.
        int8: Whether convolutions are in 8 bits. Then only accuracy counts.

    Raises:
        InputError: The difference is too large.
    """
    if int8:
        loss = found["accuracy"]["torch"] - found["accuracy"]["onnx"]
        if loss > INT8_LOSS:
            raise InputError(
                f"{found['file']}: 8 bits lose {loss:.1%} of accuracy, more than {INT8_LOSS:.0%}; export without `int8`"
            )
    elif not found["largest_difference"] <= TOLERANCE:
        raise InputError(
            f"{found['file']}: logits differ by {found['largest_difference']:.2g}, more than {TOLERANCE}; nothing is"
            " kept; use `format` safetensors"
        )


def _calibrated(predictor: Predictor, logit: np.ndarray) -> np.ndarray:
    calibrated = predictor.calibrated(logit)
    return logit if calibrated is None else calibrated


def _speeds(exported: Exported, images: ImageStore) -> dict[str, float]:
    """Images a second of both, on the threads that torch has; several networks need the sum of their times."""
    some = images.take(np.arange(min(len(images), _TIMED)))
    batch = min(len(some), images_a_batch(*images.shape[1:]))
    seconds = {"torch": 0.0, "onnx": 0.0}
    for network, made in exported.networks:
        model = for_prediction(network.model)
        model.precision = "float32"

        def embed(part: np.ndarray, model: torch.nn.Module = model) -> object:
            with torch.inference_mode():
                return model.embed_batch(torch.from_numpy(np.ascontiguousarray(part)))  # pyright: ignore[reportCallIssue]

        seconds["torch"] += _seconds_an_image(embed, some, batch)
        seconds["onnx"] += _seconds_an_image(made.embed, some, batch)
    return {name: round(1 / each, 1) for name, each in seconds.items()}


def _seconds_an_image(embed: Callable[[np.ndarray], object], images: np.ndarray, batch: int) -> float:
    embed(images[:batch])
    done, started = 0, time.perf_counter()
    while True:
        start = done % (len(images) - batch + 1)
        embed(images[start : start + batch])
        done += batch
        if (passed := time.perf_counter() - started) > _SECONDS:
            return passed / done
