"""The training guide's baseline tower."""

import torch
from torch import nn


class PlainTower(nn.Sequential):
    """Three 3x3 convolutions with batch norm, global average pooling, a linear layer.

    Args:
        in_channels: of the encoded image.
        features: length of the feature vector.
        dropout: after the linear layer.

    Attributes:
        features: length of the feature vector.
    """

    def __init__(self, in_channels: int, features: int = 128, dropout: float = 0.1) -> None:
        layers: list[nn.Module] = []
        for channels, pool in ((32, True), (64, True), (128, False)):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pool else []
            in_channels = channels
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, features), nn.ReLU()]
        super().__init__(*layers, nn.Dropout(dropout))
        self.features = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Encoded images (N, C, H, W) to features (N, features)."""
        return super().forward(images)
