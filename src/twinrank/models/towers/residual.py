"""Residual backbones for small images (He et al. 2016, Deep residual learning, arXiv:1512.03385)."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import nn
from torch.nn import functional

from twinrank.models.attention import stage_attention
from twinrank.models.kernels.norms import fusable, norm_relu, sum_relu
from twinrank.models.names import AttentionName
from twinrank.models.towers.convolution import Convolution
from twinrank.models.towers.tower import Backbone

_EXPANSION = 4


class AveragePool(nn.AvgPool2d):
    """Average pooling whose stride is its kernel. On a GPU even maps are averaged as views of their squares: torch's
    own kernel for channels-last maps takes several times as long.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride), rounded up."""
        height, width = input.shape[2:]
        side = int(self.kernel_size)  # pyright: ignore[reportArgumentType]
        if not input.is_cuda or height % side or width % side:
            return super().forward(input)
        squares = input.permute(0, 2, 3, 1).unflatten(2, (-1, side)).unflatten(1, (-1, side))
        return squares.mean((2, 4)).permute(0, 3, 1, 2)


class Layers(nn.Sequential):
    """Layers, one after the other. In training a norm and the ReLU after it are one operation where they can be."""

    def forward(self, input: torch.Tensor, end: int | None = None) -> torch.Tensor:
        """A map (N, C, H, W) through the layers, or through those before a place."""
        layers, fused = [*self][:end], False
        for layer, following in zip_longest(layers, layers[1:]):
            if fused:
                # The ReLU is done.
                fused = False
                continue
            fused = isinstance(following, nn.ReLU) and fusable([input], [layer])
            input = norm_relu(input, layer) if fused else layer(input)  # pyright: ignore[reportArgumentType]
        return input


class ResidualBlock(nn.Module):
    """Convolutions with batch norm, and a shortcut.

    Where the shape changes, the shortcut is average pooling and a 1x1 convolution, so that no pixel is skipped (He et
    al. 2019, Bag of tricks, arXiv:1812.01187, ResNet-D).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the first 3x3 convolution.
        bottleneck: 1x1, 3x3 and 1x1 convolutions, with a quarter of the channels between, instead of two of 3x3.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, bottleneck: bool = False) -> None:
        super().__init__()
        if bottleneck:
            inner = max(1, out_channels // _EXPANSION)
            shapes = [(in_channels, inner, 1, 1), (inner, inner, 3, stride), (inner, out_channels, 1, 1)]
        else:
            shapes = [(in_channels, out_channels, 3, stride), (out_channels, out_channels, 3, 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, step in shapes:
            layers += [Convolution(inputs, outputs, kernel, step), nn.BatchNorm2d(outputs)]
            layers.append(nn.ReLU())
        self.layers = Layers(*layers[:-1])
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(AveragePool(stride, ceil_mode=True, count_include_pad=False))
        if stride > 1 or in_channels != out_channels:
            shortcut += [Convolution(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels)]
        self.shortcut = Layers(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
        changed, kept = self.layers(x, -1), self.shortcut(x, -1)
        norm, norm_kept = self.layers[-1], self.shortcut[-1] if len(self.shortcut) else None
        if fusable([changed, kept], [norm] if norm_kept is None else [norm, norm_kept]):
            return sum_relu(changed, norm, kept, norm_kept)  # pyright: ignore[reportArgumentType]
        return functional.relu(norm(changed) + (kept if norm_kept is None else norm_kept(kept)))


class ResidualBackbone(Backbone):
    """A stem and stages of residual blocks; every stage after the first halves height and width.

    Args:
        in_channels: Channels of the encoded image.
        stem: Channels of the stem.
        widths: Channels of each stage.
        layers: Blocks of each stage.
        kernel: Side of the stem's convolution.
        stride: Stride of the stem's convolution.
        bottleneck: Whether blocks are bottlenecks.
        attention: Attention at the end of each stage.
        every_stage: Whether the map of each stage is given, and not the last one's alone.
    """

    def __init__(
        self,
        in_channels: int,
        stem: int,
        widths: Sequence[int],
        layers: Sequence[int],
        kernel: int = 3,
        stride: int = 1,
        bottleneck: bool = False,
        attention: AttentionName = "none",
        every_stage: bool = False,
    ) -> None:
        convolution = Convolution(in_channels, stem, kernel, stride)
        stages: list[nn.Module] = []
        blocks: list[nn.Module] = [convolution, nn.BatchNorm2d(stem), nn.ReLU()]
        channels = stem
        for number, (width, count) in enumerate(zip(widths, layers, strict=True)):
            for block in range(count):
                blocks.append(ResidualBlock(channels, width, 2 if number and not block else 1, bottleneck))
                channels = width
            stages.append(Layers(*blocks, *stage_attention(attention, width)))
            blocks = []
        super().__init__(stages, widths if every_stage else widths[-1:], every_stage)
