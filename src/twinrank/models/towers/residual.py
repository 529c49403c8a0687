"""A small residual tower for small images (He et al. 2016, Deep residual learning, arXiv:1512.03385)."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut.

    Where the shape changes, the shortcut is average pooling and a 1x1 convolution, so that no pixel is skipped (He et
    al. 2019, Bag of tricks, arXiv:1812.01187, ResNet-D).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if stride > 1 or in_channels != out_channels:
            shortcut += [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResidualTower(nn.Sequential):
    """A 5x5 stem of stride 2, stages of basic blocks that double the channels, global average pooling.

    Args:
        in_channels: of the encoded image.
        width: channels of the stem; stage k has ``width * 2 ** (k + 1)``.
        blocks: in each stage; every stage after the first halves height and width.

    Attributes:
        features: length of the feature vector.
    """

    def __init__(self, in_channels: int, width: int = 16, blocks: Sequence[int] = (1, 1, 1)) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
        for stage, count in enumerate(blocks):
            for block in range(count):
                layers.append(BasicBlock(channels, width << (stage + 1), 2 if stage and not block else 1))
                channels = width << (stage + 1)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.features = channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Encoded images (N, C, H, W) to features (N, features)."""
        return super().forward(images)
