"""Convolutions that are padded as TensorFlow does it, as one operator of ONNX for images of any size."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from twinrank.models.pretrained.lite0 import SameConvolution, same_margins


@torch.library.custom_op("twinrank::same_convolution", mutates_args=())
def same_convolution(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int, groups: int
) -> torch.Tensor:
    """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
    margins = same_margins(x.shape[2:], weight.shape[2:], (stride, stride))
    return functional.conv2d(functional.pad(x, margins), weight, bias, stride, groups=groups)


@same_convolution.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int, groups: int) -> torch.Tensor:
    down, across = ((side + stride - 1) // stride for side in x.shape[2:])
    return x.new_empty(x.shape[0], weight.shape[0], down, across)


def convolution_operator(x: Any, weight: Any, bias: Any, stride: int, groups: int) -> Any:
    """The same as an operator of ONNX; the exporter records it."""
    from onnxscript import opset18 as op

    return op.Conv(x, weight, bias, auto_pad="SAME_UPPER", strides=[stride, stride], group=groups)


class OneOperator(nn.Module):
    """A :class:`SameConvolution` as one operator: a graph needs no arithmetic on sizes for it.

    Args:
        convolution: Convolution.
    """

    def __init__(self, convolution: SameConvolution) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.stride, self.groups = convolution.stride[0], convolution.groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As :meth:`SameConvolution.forward`."""
        return same_convolution(x, self.weight, self.bias, self.stride, self.groups)


def as_operators(module: nn.Module) -> None:
    """Replace the convolutions of a module that are padded by the size of their map."""
    for name, child in module.named_children():
        if isinstance(child, SameConvolution) and child.stride != (1, 1):
            setattr(module, name, OneOperator(child))
        else:
            as_operators(child)
