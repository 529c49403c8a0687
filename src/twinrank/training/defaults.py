"""Training values that suit the data, where none are stated: few images are memorised soon, large ones need memory."""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from twinrank.config import RunSpec, TrainConfig
from twinrank.core.messages import counted, shown
from twinrank.core.randomness import numpy_generator
from twinrank.data.batch_plan import IMAGES_A_PAIR, plan
from twinrank.data.judgements import Judgements
from twinrank.models.profile import bytes_an_image
from twinrank.models.registry import create_model, entry
from twinrank.training.new_network import image_kind

FEW_STEPS = 300
"""A training of fewer steps than this learns little."""
_FEW_IMAGES = 1_000
_LEAST_PATIENCE, _PATIENCE = 8, 0.25
"""Epochs without a better value that are allowed: so many, and such a share of all, at least."""
_CROP, _CROPPED_FROM = 64, 128
"""Side of a crop, and the side of the smallest images that are cropped, in pixels."""
_HEAD_RATE = 0.01
"""Learning rate of a head on features of length 1, see :class:`twinrank.models.comparators.Standardised`."""
_LARGE, _BYTES = 128, 5 << 29
"""Images of fewer pixels a side are small, unless they recur. Others of a batch may take 2.5 GiB, so that all of the
training needs less than 4 GB."""


def suited(spec: RunSpec, stated: Collection[str], pairs: Judgements) -> tuple[TrainConfig, list[str]]:
    """Training values for few images that recur in many judgements, and for large images. Others stay as they are.

    Fewer than 1,000 images, and fewer than judgements, are few. Then the log-loss chooses the epoch, training stops
    when it no longer falls, images are mirrored at random, and there are at least 300 steps. Images that were read at
    their own resolution are cropped: who reads them so says that it matters.

    A batch has fewer pairs where its images would need more than 2.5 GiB. Pairs of small images that do not recur are
    left alone. A frozen tower changes no image, and needs no memory of a batch. The head of a pretrained network has a
    learning rate of its own then.

    Args:
        spec: Network, options and training values.
        stated: Names of training values that the user has stated; they stay.
        pairs: Pairs that are fitted.

    Returns:
        The values, and a line on each choice with its reason.
    """
    config, lines = spec.train, []
    if config.fresh or not entry(spec.model).by_epochs(spec.options):
        return config, []
    if config.freeze == "all" and "head" in entry(spec.model).options:
        config, chosen = _changed(config, {"lr": _HEAD_RATE}, stated)
        lines += [f"a head on features that are standardised takes long steps: {chosen}"] if chosen else []
    used = len(np.unique(np.concatenate([pairs.left, pairs.right])))
    few = used < min(_FEW_IMAGES, len(pairs))
    if few:
        config, chosen = _changed(config, _for_few_images(config, pairs), stated)
        if chosen:
            judgements = counted(len(pairs), "judgement", "judgements")
            lines.append(f"{counted(used, 'image', 'images')} in {judgements} are few to learn from: {chosen}")
    sized = "batch_size" not in stated and config.freeze != "all"
    if sized and (size := _batch_size(replace(spec, train=config), pairs, used)):
        config, chosen = _changed(config, {"batch_size": size}, stated)
        lines.append(f"the images of a batch need much memory: {chosen} stays below 4 GB")
    if few:
        # The length of the run depends on the number of steps of an epoch, so it comes last.
        config, chosen = _changed(config, {"epochs": _epochs(config, pairs)}, stated)
        config, more = _changed(config, {"patience": _patience(config)}, stated)
        if later := ", ".join(filter(None, [chosen, more])):
            lines.append(f"training has {FEW_STEPS} steps or more, and stops when the {config.monitor} stalls: {later}")
    return config, lines


def _changed(config: TrainConfig, values: dict[str, Any], stated: Collection[str]) -> tuple[TrainConfig, str]:
    """The values that are not stated, changed, and those that differ in words."""
    values = {name: value for name, value in values.items() if name not in stated and value != getattr(config, name)}
    return replace(config, **values), ", ".join(f"`{name}` {shown(value)}" for name, value in values.items())


def _for_few_images(config: TrainConfig, pairs: Judgements) -> dict[str, Any]:
    if config.freeze == "all":
        # The features are fixed: those of a mirror image are in them already.
        return {"monitor": "log_loss"}
    reading, side = pairs.images.reading, min(pairs.images.shape[1:])
    native = reading is not None and reading.fit == "native" and side >= _CROPPED_FROM
    return {"monitor": "log_loss", "flip": True, "crop": _CROP if native else config.crop}


def _epochs(config: TrainConfig, pairs: Judgements) -> int:
    generator = numpy_generator(config.seed, "batches", 1)
    steps = len(plan(pairs.left, pairs.right, np.arange(len(pairs)), config.batch_size, generator))
    return max(config.epochs, math.ceil(FEW_STEPS * config.accumulate / steps))


def _patience(config: TrainConfig) -> int:
    return max(_LEAST_PATIENCE, math.ceil(_PATIENCE * config.epochs))


def _batch_size(spec: RunSpec, pairs: Judgements, used: int) -> int | None:
    """The largest batch size that fits into the memory; None where that of the network does."""
    channels, height, width = pairs.images.shape
    if not pairs.shared and min(height, width) < _LARGE:
        return None
    if spec.train.crop:
        height = width = spec.train.crop
    model = create_model(spec.model, **image_kind(pairs, spec.train), options=spec.options)
    model.precision = spec.train.precision
    model.set_freeze(spec.train.freeze)
    model.set_recompute(spec.train.checkpoint_stages)
    a_pair = IMAGES_A_PAIR if pairs.shared else 2
    most = _BYTES // bytes_an_image(model, channels, height, width)
    fits = min(a_pair * spec.train.batch_size, used) <= most
    return None if fits else max(2, most // a_pair)
