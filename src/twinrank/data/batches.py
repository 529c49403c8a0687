"""Batches from pairs that are kept on the device: a batch is an index, and there are no workers."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import torch_generator
from twinrank.data.augmentation.augment import Augmentation
from twinrank.data.judgements import Judgements


class Batch(NamedTuple):
    """B labelled pairs, and the targets besides labels that there are.

    Attributes:
        xa: Left images (B, C, H, W).
        xb: Right images, the same shape.
        y: Labels float32 (B,), 1 where the left image ranks higher.
        teacher: Logits of a teacher, float32 (B,), or None.
        levels: Target levels of left and right images: log-probabilities of K levels, lowest first, float32 (B, 2, K),
            or None.
    """

    xa: torch.Tensor
    xb: torch.Tensor
    y: torch.Tensor
    teacher: torch.Tensor | None = None
    levels: torch.Tensor | None = None

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        """A batch with the same change made to each part that there is."""
        return Batch(*(part if part is None else change(part) for part in self))  # pyright: ignore[reportArgumentType]

    def swapped(self, draws: torch.Tensor) -> "Batch":
        """A batch with a random half of the pairs swapped: images, labels, logits and levels.

        Args:
            draws: Uniform numbers in [0, 1), float32 (B,).
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


class Batches:
    """The training pairs, shuffled anew for each epoch.

    An epoch's rows and augmentation depend on the seed and the number of the epoch alone. So training can go on from
    any epoch without a stored state.

    Curriculum (Bengio et al. 2009): with ``easy_share`` below 1, training begins with the pairs whose more hidden image
    shows most. The others come in bit by bit until ``easy_until``.

    Args:
        data: Labelled pairs.
        config: Batch size, curriculum, augmentation, seed.
        device: Device that holds the pairs.
        teacher: Logits of a teacher for the pairs, float32 (N,); None without a teacher.
        levels: Target levels of the pairs, as log-probabilities, float32 (N, 2, K); None without.
    """

    def __init__(
        self,
        data: Judgements,
        config: TrainConfig,
        device: torch.device,
        teacher: np.ndarray | None = None,
        levels: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.size = min(config.batch_size, len(data))
        self.steps = len(data) // self.size
        """Number of steps of an epoch."""
        self.levels = 0 if levels is None else levels.shape[2]
        """Number of target levels, K; 0 without."""
        targets = (None if part is None else torch.from_numpy(part) for part in (teacher, levels))
        labelled = map(torch.from_numpy, (data.xa, data.xb, np.asarray(data.y, np.float32)))
        self._all = Batch(*labelled, *targets).map(lambda part: part.to(device))
        self._augmentation = Augmentation(config)
        self._easiest_first = _easiest_first(data, config.seed) if config.easy_share < 1 else np.arange(len(data))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1."""
        device = self._all.y.device
        rows = torch.from_numpy(self._rows(epoch)).to(device)
        draws = self._draws(epoch)
        for step in range(self.steps):
            place = slice(step * self.size, (step + 1) * self.size)
            chosen = rows[place]
            batch = self._all.map(lambda part, chosen=chosen: part[chosen])
            progress = (epoch - 1 + step / self.steps) / self.config.epochs
            if draws is not None and progress >= self.config.augment_from:
                swap, left, right = (part.to(device) for part in draws[place].split(self._widths, 1))
                if self._augmentation:
                    batch = batch._replace(
                        xa=self._augmentation(batch.xa, left), xb=self._augmentation(batch.xb, right)
                    )
                if self.config.swap:
                    batch = batch.swapped(swap[:, 0])
            yield batch

    @property
    def _widths(self) -> list[int]:
        return [1, self._augmentation.draws, self._augmentation.draws]

    def _draws(self, epoch: int) -> torch.Tensor | None:
        """Uniform numbers for each place of an epoch: they do not depend on the batch size."""
        if not (self._augmentation or self.config.swap):
            return None
        generator = torch_generator(self.config.seed, "augment", epoch)
        return torch.rand(self.steps * self.size, sum(self._widths), generator=generator)

    def _rows(self, epoch: int) -> np.ndarray:
        """Rows of an epoch: whole permutations of the rows that the curriculum admits by then, one after the other."""
        generator = numpy_generator(self.config.seed, "rows", epoch)
        wanted, rows = self.steps * self.size, np.empty(0, np.int64)
        while len(rows) < wanted:
            progress = (epoch - 1 + len(rows) / wanted) / self.config.epochs
            admitted = self._easiest_first[: self._admitted(progress)]
            rows = np.concatenate([rows, generator.permutation(admitted)])
        return rows[:wanted]

    def _admitted(self, progress: float) -> int:
        start, until = self.config.easy_share, self.config.easy_until
        share = start + (1 - start) * progress / until if progress < until else 1
        return max(self.size, int(len(self._easiest_first) * share))


def _easiest_first(data: Judgements, seed: int) -> np.ndarray:
    """Rows by the share of pixels above 0 in the image that shows less, most first; ties in random order."""
    shown = np.minimum(*((images != 0).any(1).mean((1, 2)) for images in (data.xa, data.xb)))
    ties = numpy_generator(seed, "easiest first").random(len(data))
    return np.lexsort((ties, -shown))
