"""The siamese network: one tower for both images, then a comparator."""

import torch
from torch import nn

from twinrank.config import Precision
from twinrank.device import autocast
from twinrank.models.comparators import Antisymmetric, LatentOrder
from twinrank.models.encode import Encode


class SiameseNet(nn.Module):
    """Encode, tower, comparator.

    Args:
        encode: what the tower sees.
        tower: encoded images to features.
        comparator: features of both images to a logit; it always runs in float32.

    Attributes:
        precision: arithmetic of the tower, see :func:`twinrank.device.autocast`.
    """

    def __init__(self, encode: Encode, tower: nn.Module, comparator: nn.Module) -> None:
        super().__init__()
        self.encode = encode
        self.tower = tower.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.comparator = comparator
        self.precision: Precision = "auto"

    @property
    def antisymmetric(self) -> bool:
        """Swapping the images negates the logit."""
        return isinstance(self.comparator, Antisymmetric | LatentOrder)

    def features(self, xa: torch.Tensor, xb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of left and right images.

        In training both sides go through the tower as one batch, so that batch norm sees one population. In evaluation
        each side goes alone: then swapped images take the very same path, and symmetry holds to the bit whatever order
        of summation a kernel chooses for a place in a batch.

        Args:
            xa: left images, uint8 or float in [0, 1], (N, C, H, W).
            xb: right images, the same.

        Returns:
            Two float32 tensors (N, F).
        """
        with autocast(xa.device, self.precision):
            if self.training:
                left, right = self.tower(self.encode(torch.cat([xa, xb]))).chunk(2)
            else:
                left, right = self.tower(self.encode(xa)), self.tower(self.encode(xb))
        return left.float(), right.float()

    def forward(self, xa: torch.Tensor, xb: torch.Tensor) -> torch.Tensor:
        """Logits float32 (N,), positive where the left image is held to rank higher; arguments of :meth:`features`."""
        return self.comparator(*self.features(xa, xb))


def probability(logit: torch.Tensor) -> torch.Tensor:
    """Probability that the left image ranks higher, folded so that p(z) + p(-z) == 1 holds to the bit.

    It is sigma(|z|) or 1 - sigma(|z|): the subtraction is exact for values in [0.5, 1] (Sterbenz 1974).
    """
    likelier = torch.sigmoid(logit.abs())
    return torch.where(logit >= 0, likelier, 1 - likelier)
