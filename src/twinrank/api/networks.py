"""Networks by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twinrank.models import registry

if TYPE_CHECKING:
    # It loads torch, which names do not need.
    from twinrank.models.siamese import SiameseNet

__all__ = ["create_model", "list_models"]


def list_models() -> list[str]:
    """Names of all networks that can be trained. ``docs/models.md`` describes each.

    >>> "order_net" in tr.list_models()
    True
    """
    return [entry.name for entry in registry.entries()]


def create_model(
    name: str, *, channels: int = 1, image_size: int = 28, options: Mapping[str, Any] | None = None
) -> "SiameseNet":
    """Build a network with new weights. They come from torch's global generator.

    The network is a ``torch.nn.Module``. It takes left and right images and returns logits.

    >>> import torch
    >>> network = tr.create_model("order_net", channels=3, image_size=32, options={"width": 4})
    >>> xa, xb = torch.rand(2, 5, 3, 32, 32)
    >>> logit = network(xa, xb)
    >>> logit.shape
    torch.Size([5])

    Args:
        name: Network name, see :func:`list_models`.
        channels: Channels of the images, 1 or 3.
        image_size: Shorter side of the images in pixels, 8 to 512.
        options: Options of the network that differ from its defaults, such as ``{"width": 24}``.

    Returns:
        Module from two batches of images, uint8 or float in [0, 1], (N, C, H, W), to logits float32 (N,). A logit is
        positive where the left image ranks higher.

    Raises:
        InputError: The name, an option or its value does not exist. The line names the nearest valid one.
    """
    return registry.create_model(name, channels, image_size, options)
