"""Where pretrained weights come from: public networks, models of other libraries, runs of twinrank."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from twinrank.errors import InputError

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet


class PretrainedWeights(NamedTuple):
    """The weights that a network began with, as a run records them.

    Attributes:
        source: Name by which they are chosen, such as ``efficientnet_lite0`` or ``run:runs/first``.
        sha256: Digest of their file, or of their tensors where they are in several files, in hexadecimal.
        licence: Their licence; None where it is not known.
        track: Track of the network with these weights, see :data:`twinrank.config.Track`.
        used_in_training: How files were used in training the weights, by digest; empty where it is not known.
    """

    source: str
    sha256: str
    licence: str | None = None
    track: str = "open"
    used_in_training: dict[str, list[dict[str, Any]]] = {}  # noqa: RUF012


Load = Callable[["SiameseNet"], PretrainedWeights]
"""From a new network, into which weights are loaded, to what is known about them."""


def require_same(found: PretrainedWeights, recorded: dict[str, Any]) -> None:
    """Refuse other weights than a run began with.

    Args:
        found: Weights that were found now.
        recorded: What the run has recorded about its own.

    Raises:
        InputError: Their digests differ.
    """
    if found.sha256 != recorded["sha256"]:
        raise InputError(
            f"{found.source}: the weights have changed since the run began (SHA-256 differs); restore them, or train"
            " again"
        )


def model_config(config: str, names: str) -> dict[str, Any]:
    """The option ``config`` of a network of another library, decoded: its keys are model, mean and std.

    Args:
        config: JSON.
        names: Names by which such networks are chosen, for the message.

    Raises:
        InputError: It is empty or damaged.
    """
    try:
        values = json.loads(config)
        if isinstance(values["model"], dict) and len(values["mean"]) == len(values["std"]) == 3:
            return values
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InputError(f"the configuration of a model is missing or damaged; choose a model by {names}")
