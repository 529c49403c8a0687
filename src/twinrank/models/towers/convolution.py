"""The convolution of the towers."""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from twinrank.core.device import processor_has

_PATCHED_KERNEL = 3
_SMALL, _SMALL_STRIDED = 16, 49
"""Places of an output up to which a product of patches is faster, and the same for convolutions with a stride."""


class Convolution(nn.Conv2d):
    """A convolution without bias whose padding keeps the size, but for the stride.

    Where a map is one pixel wide, a stride does nothing, and is left out. Else oneDNN (3.12, in bfloat16) would not
    write the gradient of kernel parts that meet padding alone, and leave what was in memory.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the new map.
        kernel: Side of the kernel, odd.
        stride: Stride along both axes.
        groups: Groups of channels that are convolved apart.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride), rounded up."""
        stride = [1 if side == 1 else step for side, step in zip(input.shape[2:], self.stride, strict=True)]
        if self._patched(input, stride):
            return _Patched.apply(input, self.weight.to(input.dtype), stride, self.padding)  # pyright: ignore[reportReturnType]
        return functional.conv2d(input, self.weight, self.bias, stride, self.padding, groups=self.groups)  # pyright: ignore[reportArgumentType]

    def _patched(self, x: torch.Tensor, stride: list[int]) -> bool:
        """Whether the gradient of the kernel is faster as a product of patches: by measurement, with AMX, where maps
        are small.
        """
        height, width = x.shape[2:]
        places = -(-height // stride[0]) * -(-width // stride[1])
        return (
            self.training
            and x.dtype == torch.bfloat16
            and x.device.type == "cpu"
            and torch.is_autocast_enabled("cpu")
            and self.kernel_size == (_PATCHED_KERNEL, _PATCHED_KERNEL)
            and self.groups == 1
            and places <= (_SMALL if max(stride) == 1 else _SMALL_STRIDED)
            and processor_has("amx_bf16")
        )


class _Patched(torch.autograd.Function):
    """A convolution whose gradient by the kernel is one product: of the output's gradient and a copy of all patches.

    oneDNN (3.12) takes two to four times as long for it where maps are small.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: list[int], padding: tuple[int, int]
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, None, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        (down, right), (top, left) = ctx.stride, ctx.padding
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x, _, _ = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, ctx.stride, ctx.padding, [1, 1], False, [0, 0], 1, [True, False, False]
            )
        outputs, inputs, *kernel = weight.shape
        images, _, *sides = gradient.shape
        padded = functional.pad(x, (left, left, top, top)).permute(0, 2, 3, 1)
        image, row, column, channel = padded.stride()
        # Views of the places that each output meets, (N, H, W, kernel height, kernel width, C), then a copy.
        steps = image, down * row, right * column, row, column, channel
        patches = padded.as_strided((images, *sides, *kernel, inputs), steps).reshape(-1, weight[0].numel())
        of_weight = gradient.permute(0, 2, 3, 1).reshape(-1, outputs).T @ patches
        return of_x, of_weight.view(outputs, *kernel, inputs).permute(0, 3, 1, 2), None, None
