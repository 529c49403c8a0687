"""The frame of every tower: a backbone that makes maps stage by stage, statistics of them, and a neck."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from twinrank.core.pixels import in_parts
from twinrank.models.attention import FeatureAttention, global_average
from twinrank.models.names import StatisticName

_LEAST_VARIANCE = 1e-12
"""A map of one value throughout has a deviation near 0, whose gradient is finite."""
_CACHED = 1 << 18
"""Numbers of a map that fit into a processor's cache."""


class Backbone(nn.Module):
    """Stages, one after the other.

    Args:
        stages: Modules from map to map.
        widths: Channels of each map that is given.
        every_stage: Whether the map of each stage is given, and not the last one's alone.

    Attributes:
        widths: Channels of each map that is given.
        recompute: Whether training keeps the maps between stages alone, and computes the rest again in the backward
            pass (Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174).
    """

    def __init__(self, stages: Sequence[nn.Module], widths: Sequence[int], every_stage: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.widths = tuple(widths)
        self.every_stage = every_stage
        self.recompute = False

    def early_modules(self) -> list[nn.Module]:
        """Everything before the last stage."""
        return [*self.stages][:-1]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encoded images (N, C, H, W) to maps (N, C', H', W'), the largest first."""
        maps = [images]
        for stage in self.stages:
            maps.append(self._recomputed(stage, maps[-1]) if self.recompute and self.training else stage(maps[-1]))
        return maps[1:] if self.every_stage else maps[-1:]

    def _recomputed(self, stage: nn.Module, x: torch.Tensor) -> torch.Tensor:
        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            return nullcontext(), _frozen_statistics(stage)

        return checkpoint(stage, x, use_reentrant=False, context_fn=contexts)  # pyright: ignore[reportReturnType]


@contextmanager
def _frozen_statistics(stage: nn.Module) -> Iterator[None]:
    """The second pass must not count the batch in the running statistics once more."""
    norms = [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            # It counted the batch, too.
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked -= 1


def modules_before(module: nn.Module, last: nn.Module) -> Iterator[nn.Module]:
    """The largest modules that come before one of their kind, in the order in which a network has them.

    Args:
        module: Module that holds it.
        last: Module at which to stop.
    """
    for child in module.children():
        if child is last:
            return
        if any(each is last for each in child.modules()):
            yield from modules_before(child, last)
            return
        yield child


class Tower(nn.Module):
    """Backbone, statistics of each channel of each of its maps, neck.

    Args:
        backbone: Backbone from encoded images to maps.
        neck: Layers from statistics (N, averages) to features; none by default.
        features: Length of the neck's vectors.
        pool: Statistics of a map over its places, in this order: its mean, its standard deviation, its maximum.

    Attributes:
        averages: Number of statistics: the sum of the widths for each name in ``pool``.
        features: Length of the feature vector.
    """

    def __init__(
        self,
        backbone: Backbone,
        neck: nn.Module | None = None,
        features: int | None = None,
        pool: Sequence[StatisticName] = ("mean",),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck or nn.Identity()
        self.pool = tuple(pool)
        self.averages = sum(backbone.widths) * len(self.pool)
        self.features = features or self.averages

    @property
    def blocks(self) -> list[slice]:
        """Places of the statistics of each map."""
        ends = np.cumsum([0, *self.backbone.widths]) * len(self.pool)
        return [slice(int(start), int(end)) for start, end in pairwise(ends)]

    def forward(self, images: torch.Tensor, detached: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoded images (N, C, H, W) to statistics (N, averages) and features (N, features).

        Args:
            images: Encoded images.
            detached: Whether no gradient goes from the features back to the backbone.
        """
        averages = torch.cat([pooled(each, self.pool) for each in self.backbone(images)], 1)
        return averages, self.neck(averages.detach() if detached else averages)


def pooled(x: torch.Tensor, pool: Sequence[StatisticName]) -> torch.Tensor:
    """Statistics of each channel of a map over its places.

    Where there is more than the mean, they are computed in float32, a few images at a time, which stay in the
    processor's cache. Deviations are of all places, without Bessel's correction.

    Args:
        x: Map (N, C, H, W).
        pool: Names of the statistics.

    Returns:
        (N, C times the number of names): all channels by the first name, then by the second.
    """
    if tuple(pool) == ("mean",):
        return global_average(x)
    return torch.cat([_statistics(each, pool) for each in in_parts(x, _CACHED)])


def _statistics(x: torch.Tensor, pool: Sequence[StatisticName]) -> torch.Tensor:
    # Of a map in channels-last format, it is a view.
    places = x.permute(0, 2, 3, 1).flatten(1, 2).float()
    parts: list[torch.Tensor] = []
    for name in pool:
        match name:
            case "mean":
                parts.append(places.mean(1))
            case "std":
                variance = (places - places.mean(1, keepdim=True)).square().mean(1)
                parts.append(variance.clamp_min(_LEAST_VARIANCE).sqrt())
            case "max":
                parts.append(places.amax(1))
    return torch.cat(parts, 1)


def projection(in_features: int, features: int, dropout: float) -> nn.Sequential:
    """The training guide's neck: two layers, each with batch norm, ReLU and dropout, then feature attention.

    Args:
        in_features: Length of its input.
        features: Length of its output.
        dropout: Dropout after the first layer; three quarters of it after the second.
    """
    return nn.Sequential(
        *(nn.Linear(in_features, features), nn.BatchNorm1d(features), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(features, features), nn.BatchNorm1d(features), nn.ReLU(), nn.Dropout(0.75 * dropout)),
        FeatureAttention(features),
    )
