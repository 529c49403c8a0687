"""The cost of a network."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from twinrank.models.registry import create_model, entries, entry
from twinrank.models.siamese import SiameseNet

_TRIED = 2
"""Images that memory is measured with; batch norms need more than one."""


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


def bytes_an_image(model: SiameseNet, channels: int, height: int, width: int) -> int:
    """Memory that training needs for each image of a batch: what the backward pass reads, and the encoded image.

    Batch norms count the images that this is tried with, so the network should be a new one.

    Args:
        model: Network that is trained.
        channels: Channels of the images.
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.
    """
    images = torch.zeros(_TRIED, channels, height, width)
    trained = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in trained:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        embedded = model.train().embed_batch(images)
    # They live until here, so no two had the same place.
    del embedded
    encoded = model.encode(images)
    return (sum(kept.values()) + encoded.numel() * encoded.element_size()) // _TRIED


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
