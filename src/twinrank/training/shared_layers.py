"""Layers that look beyond an image, for networks that several processes train: they act on the whole batch."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from twinrank.errors import InputError
from twinrank.models.kernels.norms import track
from twinrank.models.towers.efficientnet import DropPath
from twinrank.training.ranks import Ranks


def share_layers(tower: nn.Module, ranks: Ranks) -> None:
    """Let batch norm and dropout of a tower act on the images of all ranks.

    The layers stay the same objects with the same weights and buffers. They are of another class from now on.

    Args:
        tower: Tower, or a part of it.
        ranks: Ranks that train it.

    Raises:
        InputError: The tower has layers of another library, which are not known to act on each image alone.
    """
    for module in tower.modules() if ranks.several else ():
        kind = type(module)
        if kind in _SHARED:
            module.__class__ = _SHARED[kind]
            vars(module)["ranks"] = ranks
        elif kind.__module__.split(".")[0] not in ("torch", "twinrank") or isinstance(module, _BatchNorm | _DropoutNd):
            raise InputError(
                f"the network has layers ({kind.__name__}) that several processes cannot train together; start one"
                " process, without torchrun"
            )


class _Normalised(torch.autograd.Function):
    """Batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167) whose mean and variance are those of all ranks.

    Sums over the ranks are of few numbers, two for each channel. The gradients of weight and bias are by this rank's
    images, as those of all other weights of the tower are.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, layer: _BatchNorm, ranks: Ranks
    ) -> torch.Tensor:
        share = len(x) / ranks.batch
        own = torch.batch_norm_update_stats(x, torch.zeros_like(weight), torch.ones_like(weight), 0.0)
        mean, variance = (each.double() for each in own)
        mean, square = ranks.summed(share * torch.stack([mean, variance + mean.square()]))
        variance = (square - mean.square()).clamp_min(0)
        count = x.numel() // x.shape[1] / share
        track(layer, mean, variance, count)
        deviation = (variance + layer.eps).rsqrt().float()
        ctx.save_for_backward(x, weight, mean.float(), deviation)
        ctx.ranks, ctx.share, ctx.eps = ranks, share, layer.eps
        return torch.native_batch_norm(x, weight, bias, mean.float(), variance.float(), False, 0.0, layer.eps)[0]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, mean, deviation = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else gradient.contiguous()
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, deviation, True, ctx.eps, [False, True, True]
        )
        # Their means over the whole batch: the gradient has no part that moves the mean or the variance.
        count = x.numel() // x.shape[1] / ctx.share
        along, level = ctx.ranks.summed(torch.stack([of_weight, of_bias])) / count
        scale = weight * deviation
        slope = -scale * deviation * along
        shape = [1, -1, *[1] * (x.ndim - 2)]
        scale, slope, offset = (each.view(shape) for each in (scale, slope, -scale * level - slope * mean))
        of_x = torch.addcmul(x * slope + offset, gradient, scale).to(x.dtype)
        return of_x, of_weight, of_bias, None, None


class _SharedNorm1d(nn.BatchNorm1d):
    ranks: Ranks

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _normalised(self, input) if self.training else super().forward(input)


class _SharedNorm2d(nn.BatchNorm2d):
    ranks: Ranks

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _normalised(self, input) if self.training else super().forward(input)


def _normalised(layer: _SharedNorm1d | _SharedNorm2d, x: torch.Tensor) -> torch.Tensor:
    return _Normalised.apply(x, layer.weight, layer.bias, layer, layer.ranks)  # pyright: ignore[reportReturnType]


class _SharedDropout(nn.Dropout):
    """Draws for all images of the batch, as one process does, and takes those of this rank's."""

    ranks: Ranks

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return input
        noise = input.new_empty(self.ranks.batch, *input.shape[1:]).bernoulli_(1 - self.p).div_(1 - self.p)
        return input * noise[self.ranks.own]


class _SharedDropPath(DropPath):
    """Draws for all images of the batch, as one process does, and takes those of this rank's."""

    ranks: Ranks

    def kept(self, images: torch.Tensor) -> torch.Tensor:
        return super().kept(images.new_empty(self.ranks.batch, 0))[self.ranks.own]


_SHARED: dict[type, type] = {
    nn.BatchNorm1d: _SharedNorm1d,
    nn.BatchNorm2d: _SharedNorm2d,
    nn.Dropout: _SharedDropout,
    DropPath: _SharedDropPath,
}
