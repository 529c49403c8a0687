"""The network that a training begins with."""

import math
from typing import Any

import numpy as np
import torch

from twinrank.config import RunSpec, TrainConfig
from twinrank.core.memory import require_room
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import seed_torch
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.models.pretrained.sources import require_same
from twinrank.models.profile import parameters
from twinrank.models.registry import create_model, entry, is_source
from twinrank.models.siamese import SiameseNet

_STANDARDISED_ON, _STANDARDISED_PIXELS = 5_000, 1 << 27
"""Pairs whose images give the mean and the deviation of the pixels: so many, and so many pixels, at most."""

_BYTES_A_PARAMETER = 32
"""Memory of a trained float32 at the peak, measured at 30 million: it, its gradient, the running means of the
optimizer, and the copies that a checkpoint is written from."""


def begin_again(model: SiameseNet, recorded: dict[str, Any]) -> None:
    """Load the weights that a run began with, since no epoch of it has ended.

    Args:
        model: New network.
        recorded: Pretrained weights as the run configuration has them.

    Raises:
        InputError: They are not there, or others than before.
    """
    load = entry(recorded["source"]).pretrained
    if load is None:
        raise InputError(f"{recorded['source']}: has no pretrained weights; train again")
    require_same(load(model), recorded)


def new_network(spec: RunSpec, pairs: Judgements) -> SiameseNet:
    """A network with random weights, whose encoding knows the images.

    Args:
        spec: Network, options and training values.
        pairs: Pairs that are fitted.

    Raises:
        InputError: The training needs more memory than there is, or as :func:`create_model`.
    """
    require_memory_for(spec, pairs)
    seed_torch(spec.train.seed, entry(spec.model).name, "weights")
    model = create_model(spec.model, **image_kind(pairs, spec.train), options=spec.options)
    generator = numpy_generator(spec.train.seed, "standardise")
    most = min(_STANDARDISED_ON, max(1, _STANDARDISED_PIXELS // (2 * math.prod(pairs.images.shape))))
    rows = generator.choice(len(pairs), min(len(pairs), most), replace=False)
    model.encode.standardise(torch.from_numpy(pairs.images.take(np.concatenate([pairs.left[rows], pairs.right[rows]]))))
    return model


def require_memory_for(spec: RunSpec, pairs: Judgements) -> None:
    """Refuse a network whose training needs more memory than there is; it is laid out without any.

    Args:
        spec: Network, options and training values.
        pairs: Pairs that are fitted.

    Raises:
        InputError: The network is too large.
    """
    if is_source(spec.model):
        return
    with torch.device("meta"):
        count = parameters(create_model(spec.model, **image_kind(pairs, spec.train), options=spec.options))
    what = f"model '{spec.model}': with these options it has {count:,} parameters, whose training"
    require_room(what, _BYTES_A_PARAMETER * count, "choose a smaller width, or fewer blocks")


def image_kind(pairs: Judgements, config: TrainConfig) -> dict[str, int]:
    """Kind of images that the network is built for, as :func:`create_model` takes them: crops where there are any.

    Args:
        pairs: Pairs that are fitted.
        config: Training values.
    """
    return {"channels": pairs.images.shape[0], "image_size": config.crop or min(pairs.images.shape[1:])}
