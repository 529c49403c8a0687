"""Feature pyramid (Lin et al. 2017, Feature pyramid networks for object detection, arXiv:1612.03144)."""

import torch
from torch import nn
from torch.nn import functional

from twinrank.models.towers.tower import Backbone


class PyramidBackbone(Backbone):
    """Maps of every stage of a backbone, each enriched from above.

    Each map goes through a lateral 1x1 convolution and has the one above it, enlarged to its size, added; a 3x3
    convolution smooths each sum.

    Args:
        bottom_up: Backbone that gives the map of each of its stages.
        channels: Channels of each level of the pyramid.
    """

    def __init__(self, bottom_up: Backbone, channels: int) -> None:
        super().__init__(list(bottom_up.stages), [channels] * len(bottom_up.widths), every_stage=True)
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in bottom_up.widths)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
            for _ in bottom_up.widths
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encoded images (N, C, H, W) to the levels of the pyramid (N, C', H', W'), the largest first."""
        stages = super().forward(images)
        levels = [lateral(each) for lateral, each in zip(self.lateral, stages, strict=True)]
        for fine in reversed(range(len(levels) - 1)):
            levels[fine] = levels[fine] + functional.interpolate(levels[fine + 1], levels[fine].shape[2:])
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
