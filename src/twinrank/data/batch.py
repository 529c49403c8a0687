"""What a training step is given."""

from collections.abc import Callable
from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """B labelled pairs, with whatever else is told of them.

    Attributes:
        xa: left images (B, C, H, W).
        xb: right images, the same.
        y: labels float32 (B,), 1 where the left image ranks higher.
        teacher: a teacher's logits float32 (B,), or None.
        levels: log-probabilities of K levels, lowest first, of left and right images, float32 (B, 2, K), or None.
    """

    xa: torch.Tensor
    xb: torch.Tensor
    y: torch.Tensor
    teacher: torch.Tensor | None = None
    levels: torch.Tensor | None = None

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        """The same change to each part that there is."""
        return Batch(*(part if part is None else change(part) for part in self))  # pyright: ignore[reportArgumentType]

    def swapped(self, draws: torch.Tensor) -> "Batch":
        """A random half of the pairs swapped, with their labels flipped, and all else as it belongs to that.

        Args:
            draws: float32 (B,), uniform in [0, 1).
        """
        where = draws < 0.5
        images = where[:, None, None, None]
        return Batch(
            torch.where(images, self.xb, self.xa),
            torch.where(images, self.xa, self.xb),
            torch.where(where, 1 - self.y, self.y),
            None if self.teacher is None else torch.where(where, -self.teacher, self.teacher),
            None if self.levels is None else torch.where(where[:, None, None], self.levels.flip(1), self.levels),
        )
