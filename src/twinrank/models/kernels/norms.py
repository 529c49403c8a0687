"""Batch norm with the ReLU after it, and the end of a residual block, each as one operation.

torch's operations go over a map for the norm, for the sum and for the ReLU, and wait for memory each time. Here a map
is read twice and written once, forward and backward. Where :func:`fusable` says no, torch's operations do the same.
"""

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

_LAST = torch.channels_last
_DTYPES = torch.bfloat16, torch.float32


@cache
def _kernels() -> Any:
    """The compiled kernels, or None where Numba is not installed, or has threads of its own."""
    if sys.platform != "linux":
        return None
    try:
        from twinrank.models.kernels import compiled
    except ImportError:
        return None
    return compiled


def fusable(maps: Sequence[torch.Tensor], norms: Sequence[nn.Module]) -> bool:
    """Whether maps and their norms can be one operation with the ReLU after them.

    Args:
        maps: Maps (N, C, H, W).
        norms: Norms of these maps.
    """
    return (
        all(x.dtype in _DTYPES and x.device.type == "cpu" and x.numel() > x.shape[1] for x in maps)
        and len({x.dtype for x in maps}) == 1
        and all(type(norm) is nn.BatchNorm2d and _usual(norm) for norm in norms)
        and _kernels() is not None
    )


def _usual(norm: nn.BatchNorm2d) -> bool:
    """Whether a norm is in training, with weights and a running mean that forgets."""
    return norm.training and norm.affine and norm.momentum is not None


def norm_relu(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167), then ReLU: (N, C, H, W) to the same shape."""
    return _NormRelu.apply(x, norm.weight, norm.bias, norm)  # pyright: ignore[reportReturnType]


def sum_relu(x: torch.Tensor, norm: nn.BatchNorm2d, z: torch.Tensor, norm_z: nn.BatchNorm2d | None) -> torch.Tensor:
    """ReLU of a normed map and another one, which has a norm or none; all of one shape (N, C, H, W)."""
    weight, bias = (None, None) if norm_z is None else (norm_z.weight, norm_z.bias)
    return _SumRelu.apply(x, norm.weight, norm.bias, norm, z, weight, bias, norm_z)  # pyright: ignore[reportReturnType]


def track(norm: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor, count: float) -> None:
    """Let a norm keep track of a batch.

    Args:
        norm: Norm with a running mean and variance.
        mean: Mean of each channel, float64 (C,).
        variance: Variance of each channel, without Bessel's correction, float64 (C,).
        count: Values of a channel in the batch.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    assert norm.num_batches_tracked is not None
    norm.running_mean.lerp_(mean.float(), norm.momentum)
    norm.running_var.lerp_((variance * (count / (count - 1))).float(), norm.momentum)
    norm.num_batches_tracked += 1


class _Statistics(NamedTuple):
    """A norm's view of a batch, each float64 (C,), and the number of places."""

    mean: np.ndarray
    inverse: np.ndarray
    slope: np.ndarray
    places: int


def _rows(x: torch.Tensor) -> np.ndarray:
    """A map (N, C, H, W) as a matrix (N H W, C) that shares its memory if it can: float32, or the bits of bfloat16."""
    rows = x.contiguous(memory_format=_LAST).permute(0, 2, 3, 1).flatten(0, 2)
    return (rows.view(torch.uint16) if x.dtype == torch.bfloat16 else rows).numpy()


def _sums(kernels: Any, kernel: Any, number: int, *maps: np.ndarray) -> np.ndarray:
    """Sums (number, C) of a kernel over the rows of maps, float64."""
    rows, channels = maps[0].shape
    chunks = np.empty((-(-rows // kernels.CHUNK), number, channels), np.float32)
    kernel(*maps, chunks)
    return chunks.sum(0, dtype=np.float64)


def _observed(kernels: Any, x: np.ndarray, norm: nn.BatchNorm2d) -> tuple[_Statistics, np.ndarray]:
    """The statistics of a batch, which its norm keeps track of, and the offset of the normed map, float64 (C,)."""
    count = len(x)
    mean, square = _sums(kernels, kernels.moments, 2, x) / count
    first = torch.from_numpy(x[0])
    # A training that diverges is seen by its loss.
    with np.errstate(all="ignore"):
        variance = np.maximum(square - mean * mean, 0)
        mean += (first.view(torch.bfloat16) if x.dtype == np.uint16 else first).double().numpy()
    if norm.track_running_stats:
        track(norm, torch.from_numpy(mean), torch.from_numpy(variance), count)
    inverse = 1 / np.sqrt(variance + norm.eps)
    slope = norm.weight.detach().numpy() * inverse
    return _Statistics(mean, inverse, slope, count), norm.bias.detach().numpy() - mean * slope


def _back(seen: _Statistics, level: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of a norm, from the sums of the gradient of its output, and of the product of that with its input.

    Returns:
        Of the weight, float64 (C,). Of the input: its slopes by the gradient and by the input, and its offset, float32
        (3, C).
    """
    weight = seen.inverse * (product - seen.mean * level)
    along = -seen.slope * seen.inverse * weight / seen.places
    offset = -seen.slope * level / seen.places - seen.mean * along
    return weight, np.stack([seen.slope, along, offset]).astype(np.float32)


def _float(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))


class _NormRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm2d
    ) -> torch.Tensor:
        kernels, rows = _kernels(), _rows(x)
        ctx.seen, offset = _observed(kernels, rows, norm)
        y = torch.empty_like(x, memory_format=_LAST)
        kernels.scale(rows, ctx.seen.slope.astype(np.float32), offset.astype(np.float32), _rows(y))
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernels = _kernels()
        x, y = ctx.saved_tensors
        rows = _rows(x), _rows(y), _rows(gradient)
        level, product = _sums(kernels, kernels.gradient_sums, 2, *rows)
        of_weight, linear = _back(ctx.seen, level, product)
        of_x = torch.empty_like(x, memory_format=_LAST)
        kernels.gradient(*rows, linear, _rows(of_x))
        return of_x, _float(of_weight), _float(level), None


class _SumRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        norm: nn.BatchNorm2d,
        z: torch.Tensor,
        weight_z: torch.Tensor | None,
        bias_z: torch.Tensor | None,
        norm_z: nn.BatchNorm2d | None,
    ) -> torch.Tensor:
        kernels, rows = _kernels(), (_rows(x), _rows(z))
        ctx.seen, offset = _observed(kernels, rows[0], norm)
        ctx.seen_z, slope_z = None, np.ones(x.shape[1])
        if norm_z is not None:
            ctx.seen_z, offset_z = _observed(kernels, rows[1], norm_z)
            slope_z, offset = ctx.seen_z.slope, offset + offset_z
        y = torch.empty_like(x, memory_format=_LAST)
        kernels.scale_both(*rows, *(each.astype(np.float32) for each in (ctx.seen.slope, slope_z, offset)), _rows(y))
        ctx.save_for_backward(x, z, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernels = _kernels()
        x, z, y = ctx.saved_tensors
        rows = _rows(x), _rows(z), _rows(y), _rows(gradient)
        level, product, product_z = _sums(kernels, kernels.gradient_sums_both, 3, *rows)
        of_weight, linear = _back(ctx.seen, level, product)
        of_weight_z, linear_z = None, np.zeros_like(linear)
        linear_z[0] = 1
        if ctx.seen_z is not None:
            of_weight_z, linear_z = _back(ctx.seen_z, level, product_z)
        of_x, of_z = (torch.empty_like(each, memory_format=_LAST) for each in (x, z))
        kernels.gradient_both(*rows, np.concatenate([linear, linear_z]), _rows(of_x), _rows(of_z))
        of_norm_z = (None, None) if of_weight_z is None else (_float(of_weight_z), _float(level))
        return of_x, _float(of_weight), _float(level), None, of_z, *of_norm_z, None
