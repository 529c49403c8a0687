"""Attention over channels, places and features."""

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from twinrank.models.names import AttentionName

Gate = TypeVar("Gate", nn.Linear, nn.Conv2d)

_REDUCTION, _FEATURE_REDUCTION = 16, 4
"""Divisors of the width between two layers: of attention over channels, and over features."""
_KERNEL = 7
"""Side of the spatial attention's convolution."""


class SqueezeExcitation(nn.Module):
    """Channels weighted by their global averages (Hu et al. 2018, Squeeze-and-excitation networks, arXiv:1709.01507).

    Args:
        channels: Channels of the map.
        hidden: Width between the two layers.
        activation: Activation between them.
        bias: Whether the layers have a bias.
    """

    def __init__(self, channels: int, hidden: int, activation: type[nn.Module] = nn.ReLU, bias: bool = False) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden, bias), activation(), _even(nn.Linear(hidden, channels, bias)), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        return x * self.gate(global_average(x))[:, :, None, None]


class CBAM(nn.Module):
    """Channel attention, then spatial attention (Woo et al. 2018, CBAM, arXiv:1807.06521).

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // _REDUCTION)
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), _even(nn.Linear(hidden, channels)))
        self.spatial = _even(nn.Conv2d(2, 1, _KERNEL, padding=_KERNEL // 2, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        gate = self.channel(global_average(x)) + self.channel(functional.adaptive_max_pool2d(x, 1).flatten(1))
        x = x * gate.sigmoid()[:, :, None, None]
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * self.spatial(summary).sigmoid()


def stage_attention(name: AttentionName, channels: int) -> list[nn.Module]:
    """The end of a stage: squeeze-and-excitation without bias, CBAM, both with reduction 16, or nothing."""
    match name:
        case "se":
            return [SqueezeExcitation(channels, max(1, channels // _REDUCTION))]
        case "cbam":
            return [CBAM(channels)]
        case "none":
            return []


class FeatureAttention(nn.Module):
    """A gate on each feature, with a shortcut, between layer norms: the training guide's.

    Args:
        features: Length of the vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        hidden = max(1, features // _FEATURE_REDUCTION)
        self.norm = nn.LayerNorm(features)
        self.gate = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features), nn.Sigmoid())
        self.out_norm = nn.LayerNorm(features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, F) to the same shape."""
        return self.out_norm(features + features * self.gate(self.norm(features)))


def _even(layer: Gate) -> Gate:
    """A gate's last layer, set to begin even: random gates would hide the layers before it."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def global_average(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) to the averages of the channels, (N, C)."""
    return functional.adaptive_avg_pool2d(x, 1).flatten(1)
