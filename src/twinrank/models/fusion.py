"""Fusing two feature vectors in several ways at once, each with a head of its own."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from twinrank.errors import InputError
from twinrank.models.comparators import Antisymmetric
from twinrank.models.names import FUSIONS, FusionName

_ORDERED: tuple[FusionName, ...] = ("difference", "concatenation", "bilinear")
"""Fusions that depend on the order of the images."""
_TINY = 1e-6


class Bilinear(nn.Module):
    """A bilinear form of low rank, (U a) * (V b) (Kim et al. 2017, Hadamard product, arXiv:1610.04325, equation 3).

    Args:
        features: Length of one feature vector.
        rank: Rank of the form.
    """

    def __init__(self, features: int, rank: int) -> None:
        super().__init__()
        self.left = nn.Linear(features, rank, bias=False)
        self.right = nn.Linear(features, rank, bias=False)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to (N, rank)."""
        return self.left(left) * self.right(right)


class FusionHeads(nn.Module):
    """A head for each fusion, and the sum of their logits weighted by a learned softmax: the training guide's.

    Args:
        features: Length of one feature vector, F.
        fusions: Names of the fusions.
        dropout: Dropout in the heads; three quarters of it before the last layer.
        signed: Whether the difference keeps its sign; the guide takes its absolute value.
    """

    def __init__(self, features: int, fusions: Sequence[FusionName], dropout: float, signed: bool) -> None:
        super().__init__()
        self.fusions = tuple(fusions)
        self.signed = signed
        half, quarter = features // 2, features // 4
        self.bilinear = Bilinear(features, half) if "bilinear" in fusions else None
        widths = {
            "concatenation": (2 * features, features, half),
            "bilinear": (half, quarter, 32),
            "cosine": (1, 64, 32),
            "distance": (1, 64, 32),
        }
        usual = (features, half, quarter)
        self.heads = nn.ModuleDict({name: _head(*widths.get(name, usual), dropout) for name in fusions})
        self.weights = nn.Parameter(torch.zeros(len(self.fusions)))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        logits = [self.heads[name](self._fused(name, left, right)) for name in self.fusions]
        return torch.cat(logits, 1) @ self.weights.softmax(0)

    def _fused(self, name: FusionName, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        match name:
            case "difference":
                return left - right if self.signed else (left - right).abs()
            case "concatenation":
                return torch.cat([left, right], 1)
            case "product":
                return left * right
            case "cosine":
                return functional.cosine_similarity(left, right, eps=_TINY)[:, None]
            case "distance":
                return ((left - right).square().sum(1, keepdim=True) + _TINY).sqrt()
            case "bilinear":
                assert self.bilinear is not None
                return self.bilinear(left, right)


def fusion_comparator(
    features: int, fusions: Sequence[FusionName], dropout: float = 0.4, antisymmetric: bool = True
) -> nn.Module:
    """A comparator that fuses features in several ways.

    In the training guide's form every fusion votes on the order. But product, cosine, distance and absolute difference
    are the same for (a, b) and (b, a), so they cannot know it. In the antisymmetric form, the fusions that depend on
    the order decide it, and the others decide how confident to be.

    Args:
        features: Length of one feature vector.
        fusions: Names of the fusions, each once.
        dropout: Dropout in the heads.
        antisymmetric: Whether swapping the images negates the logit.

    Raises:
        InputError: A fusion occurs twice, there is none, or the logit must depend on the order of the images and none
            does.
    """
    if not fusions or len(set(fusions)) < len(fusions):
        raise InputError(f"fusions: {','.join(fusions) or 'none'}; name one or more of {', '.join(FUSIONS)}, each once")
    if not antisymmetric:
        return FusionHeads(features, fusions, dropout, signed=False)
    ordered: list[FusionName] = [name for name in fusions if name in _ORDERED]
    others: list[FusionName] = [name for name in fusions if name not in _ORDERED]
    if not ordered:
        raise InputError(
            f"fusions: {','.join(fusions)} do not depend on the order of the images; add one of {', '.join(_ORDERED)}"
        )
    confidence = FusionHeads(features, others, dropout, signed=True) if others else None
    return Antisymmetric(FusionHeads(features, ordered, dropout, signed=True), confidence)


def _head(inputs: int, first: int, second: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(inputs, first), nn.BatchNorm1d(first), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(first, second), nn.BatchNorm1d(second), nn.ReLU(), nn.Dropout(0.75 * dropout)),
        nn.Linear(second, 1),
    )
