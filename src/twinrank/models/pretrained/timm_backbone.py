"""Networks of timm as backbones."""

from typing import Any

import torch
from torch import nn

from twinrank.errors import InputError
from twinrank.models.pretrained.pytorch_image_models import about_timm, imported_timm
from twinrank.models.towers.tower import Backbone, modules_before


class TimmBackbone(Backbone):
    """A network of timm; the map of each of its stages is given.

    Args:
        name: Name of the network, with the tag of its weights or without.
        side: Shorter side of the images, in pixels.

    Raises:
        InputError: timm is not installed or has no such network, or that takes no such images.
    """

    def __init__(self, name: str, side: int) -> None:
        timm, about = imported_timm(), about_timm(name)
        # Networks with positions for a fixed number of patches have to know how many there will be.
        sized = {"img_size": side} if about.fixed_input_size else {}
        try:
            model: Any = timm.create_model(name, pretrained=False, features_only=True, **sized)
        except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
            raise InputError(
                f"timm:{name}: gives no maps of images of {side} pixels ({error}); choose another size or network"
            ) from error
        super().__init__([], model.feature_info.channels(), every_stage=True)
        self.model, self.sized = model, sized

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encoded images (N, 3, H, W) to maps (N, C', H', W'), the largest first."""
        maps = self.model(images)
        # Some networks have the channels last.
        return [
            each if each.shape[1] == width else each.permute(0, 3, 1, 2)
            for each, width in zip(maps, self.widths, strict=True)
        ]

    def early_modules(self) -> list[nn.Module]:
        """Everything before the last part of the network."""
        *_, last = parts = [*self.model.children()]
        lists = [each for each in last.modules() if isinstance(each, nn.Sequential | nn.ModuleList) and len(each) > 1]
        # Stages stand side by side, or in a list; the layers of a transformer are in a list further down.
        if lists and (len(parts) == 1 or lists[0] is last):
            last = lists[0][-1]
        return [*modules_before(self.model, last)]
