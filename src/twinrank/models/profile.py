"""The cost of a network."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from twinrank.models.registry import create_model, entries, entry
from twinrank.models.siamese import SiameseNet


def parameters(model: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: SiameseNet, channels: int = 1, image_size: int = 28) -> int:
    """Multiply-adds that comparing one pair takes, in convolutions and matrix products.

    Args:
        model: Network.
        channels: Channels of the images.
        image_size: Height and width of the images, in pixels.
    """
    image = torch.zeros(1, channels, image_size, image_size)
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model.eval()(image, image)
    return counter.get_total_flops() // 2


def describe_models(channels: int = 1, image_size: int = 28, name: str | None = None) -> list[dict[str, Any]]:
    """Registered networks with their cost: name, stage, parameters, macs, source, summary, options.

    Args:
        channels: Channels of the images, 1 or 3.
        image_size: Height and width of the images, in pixels.
        name: Network to describe; all by default.

    Raises:
        InputError: There is no such network, or no images are of that kind.
    """
    described = []
    for each in entries() if name is None else [entry(name)]:
        chosen = name or each.name
        model = create_model(chosen, channels, image_size)
        cost = {"parameters": parameters(model), "macs": multiply_adds(model, channels, image_size)}
        about = {"source": each.source, "summary": each.summary, "options": each.options}
        described.append({"name": chosen, "stage": each.stage or None} | cost | about)
    return described
