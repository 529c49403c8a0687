"""EfficientNet for small images (Tan and Le 2019, EfficientNet, arXiv:1905.11946, table 1)."""

import math
from collections.abc import Callable

import torch
from torch import nn

from twinrank.models.attention import SqueezeExcitation
from twinrank.models.towers.convolution import Convolution
from twinrank.models.towers.tower import Backbone

STAGES = (
    # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, TOP = 32, 1280
_MULTIPLE = 8

Layer = Callable[[int, int, int, int, int], list[nn.Module]]
"""From channels, new channels, kernel, stride and groups to a convolution, batch norm and an activation."""


def _convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = Convolution(in_channels, out_channels, kernel, stride, groups)
    return [convolution, nn.BatchNorm2d(out_channels), nn.SiLU()]


class EfficientNetBackbone(Backbone):
    """EfficientNet-B0 with a stem of stride 1; that of the network for 224 pixels has 2.

    Args:
        in_channels: Channels of the encoded image.
        width_mult: Factor of the channels, which are rounded to a multiple of 8.
        depth_mult: Factor of the blocks of each stage, which are rounded up.
        drop_path: Probability that the last block is left out for an image; it grows to that from 0 (Huang et al. 2016,
            Deep networks with stochastic depth, arXiv:1603.09382).
        stride: Stride of the stem.
    """

    def __init__(
        self,
        in_channels: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        drop_path: float = 0.2,
        stride: int = 1,
    ) -> None:
        channels, top = (_rounded(width * width_mult) for width in (STEM, TOP))
        stages = [nn.Sequential(*_convolution(in_channels, channels, 3, stride))]
        depth, done = sum(math.ceil(count * depth_mult) for _, _, count, _, _ in STAGES), 0
        for expansion, width, count, stride, kernel in STAGES:
            out_channels = _rounded(width * width_mult)
            blocks: list[nn.Module] = []
            for block in range(math.ceil(count * depth_mult)):
                rate, step = drop_path * done / depth, 1 if block else stride
                blocks.append(InvertedResidual(channels, out_channels, expansion, kernel, step, rate))
                channels = out_channels
                done += 1
            stages.append(nn.Sequential(*blocks))
        super().__init__([*stages, nn.Sequential(*_convolution(channels, top, 1))], [top])


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, squeeze-and-excitation, projection (Sandler et al. 2018, arXiv:1801.04381).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        expansion: Factor of the channels between.
        kernel: Side of the depthwise kernel.
        stride: Stride of the depthwise convolution.
        drop_path: Probability that an image takes the shortcut alone in training.
        squeeze: Whether it has squeeze-and-excitation.
        layer: Maker of its layers.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        kernel: int,
        stride: int,
        drop_path: float = 0.0,
        squeeze: bool = True,
        layer: Layer = _convolution,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = layer(in_channels, hidden, 1, 1, 1) if expansion > 1 else []
        attention = [SqueezeExcitation(hidden, max(1, in_channels // 4), nn.SiLU, bias=True)] if squeeze else []
        self.layers = nn.Sequential(
            *expand,
            *layer(hidden, hidden, kernel, stride, hidden),
            *attention,
            *layer(hidden, out_channels, 1, 1, 1)[:-1],
        )
        self.shortcut = stride == 1 and in_channels == out_channels
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
        y = self.layers(x)
        return x + self.drop_path(y) if self.shortcut else y


class DropPath(nn.Module):
    """Leaves out a block for some images in training, and scales it up for the others.

    Args:
        rate: Probability that the block is left out.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def kept(self, images: torch.Tensor) -> torch.Tensor:
        """Whether each of some images (N, ...) keeps the block, at random, bool (N, 1, 1, 1)."""
        return torch.rand(len(images), 1, 1, 1, device=images.device) >= self.rate

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to maps of the same shape."""
        if not (self.training and self.rate):
            return y
        return y * (self.kept(y) / (1 - self.rate)).to(y.dtype)


def _rounded(channels: float) -> int:
    """Channels rounded to the nearest multiple of 8, at least 8 and at least 90%, as the paper's code does."""
    nearest = max(_MULTIPLE, int(channels + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return nearest + _MULTIPLE if nearest < 0.9 * channels else nearest
