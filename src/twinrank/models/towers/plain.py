"""Backbones of plain convolutions."""

from collections.abc import Sequence

from torch import nn

from twinrank.models.attention import stage_attention
from twinrank.models.names import AttentionName
from twinrank.models.towers.tower import Backbone

_BASELINE_WIDTHS = (32, 64, 128)


class PlainBackbone(Backbone):
    """The training guide's baseline: 3x3 convolutions with batch norm.

    All convolutions but the last are followed by 2x2 max-pooling.

    Args:
        in_channels: Channels of the encoded image.
    """

    def __init__(self, in_channels: int) -> None:
        stages: list[nn.Sequential] = []
        for width in _BASELINE_WIDTHS:
            convolution = nn.Conv2d(in_channels, width, 3, padding=1)
            stages.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)))
            in_channels = width
        super().__init__([*stages[:-1], stages[-1][:-1]], [in_channels])


class DeepPlainBackbone(Backbone):
    """Stages of two 3x3 convolutions with batch norm (Simonyan and Zisserman 2015, VGG, arXiv:1409.1556).

    Args:
        in_channels: Channels of the encoded image.
        widths: Channels of each stage; all but the last are followed by 2x2 max-pooling.
        attention: Attention at the end of each stage.
        stride: Stride of the first convolution.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], attention: AttentionName, stride: int = 1) -> None:
        stages: list[nn.Sequential] = []
        for width in widths:
            layers: list[nn.Module] = []
            for _ in range(2):
                convolution = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
                layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
                in_channels, stride = width, 1
            layers += stage_attention(attention, width)
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True)))
        super().__init__([*stages[:-1], stages[-1][:-1]], [in_channels])
