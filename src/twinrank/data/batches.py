"""Batches of judgements: a batch is a few images, each once, and the pairs among them. There are no workers."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.core.device import on_device
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import torch_generator
from twinrank.data.augmentation.augment import Augmentation, random_crop
from twinrank.data.batch_plan import plan
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements

_ON_DEVICE = 4 << 30
"""Bytes of images that are kept in the memory of an accelerator."""
_SEARCHED = 1 << 24
"""Pixels that are searched at a time for what is hidden."""
_AT_ONCE = 16
"""Batches that an accelerator makes at once: they take hardly longer than one, since few kernels fill it."""


class Targets(NamedTuple):
    """What the labels of a training are, besides which side ranks higher.

    Attributes:
        levels: Number of target levels, K; 0 without.
        raters: Names of those who judged; none where they are unknown.
        ties: Whether a pair was judged equal.
        undecided: Whether a label is 0.5: a tie, or half of the votes.
        subclasses: Number of subclasses; 0 without.
    """

    levels: int = 0
    raters: tuple[str, ...] = ()
    ties: bool = False
    undecided: bool = False
    subclasses: int = 0


class Batch(NamedTuple):
    """B labelled pairs of S images.

    Attributes:
        images: Images (S, C, H, W), or what a frozen tower makes of them, float32 (S, F).
        left: Places of the left images among them, int64 (B,).
        right: Places of the right images, int64 (B,).
        y: Labels float32 (B,), 1 where the left image ranks higher; or the share of the votes for left.
        teacher: Logits of a teacher, float32 (B,), or None.
        levels: Target levels of left and right images: log-probabilities of K levels, lowest first, float32 (B, 2, K),
            or None.
        tie: Whether the images were judged equal, bool (B,), or None.
        weight: Weights of the pairs, float32 (B,), 1 on average over all pairs, or None.
        rater: Numbers of those who judged, int64 (B,), or None.
        subclasses: Subclasses of left and right images, int64 (B, 2), or None.
    """

    images: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    y: torch.Tensor
    teacher: torch.Tensor | None = None
    levels: torch.Tensor | None = None
    tie: torch.Tensor | None = None
    weight: torch.Tensor | None = None
    rater: torch.Tensor | None = None
    subclasses: torch.Tensor | None = None

    @classmethod
    def of_pairs(
        cls,
        xa: torch.Tensor,
        xb: torch.Tensor,
        y: torch.Tensor,
        teacher: torch.Tensor | None = None,
        levels: torch.Tensor | None = None,
    ) -> "Batch":
        """A batch in which each image is in one pair: left images (B, C, H, W), then right ones."""
        left = torch.arange(len(xa), device=xa.device)
        return cls(torch.cat([xa, xb]), left, left + len(left), y, teacher, levels)

    @property
    def xa(self) -> torch.Tensor:
        """Left images (B, C, H, W)."""
        return self.images[self.left]

    @property
    def xb(self) -> torch.Tensor:
        """Right images (B, C, H, W)."""
        return self.images[self.right]

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        """A batch with the same change made to each part that there is."""
        return Batch(*(part if part is None else change(part) for part in self))  # pyright: ignore[reportArgumentType]

    def apart(self) -> "Batch":
        """The batch with the images in the order of the pairs, left ones first, one for each time it is in a pair."""
        left = torch.arange(len(self.left), device=self.left.device)
        images = self.images[torch.cat([self.left, self.right])]
        return self._replace(images=images, left=left, right=left + len(left))

    def split(self, count: int) -> Iterator["Batch"]:
        """Equal batches of consecutive pairs, from one whose images are in the order of :meth:`of_pairs`.

        Args:
            count: Number of batches, which divides that of the pairs.
        """
        if count == 1:
            yield self
            return
        size = len(self.y) // count
        left = torch.arange(size, device=self.y.device)
        xa, xb = self.images.chunk(2)
        columns = [[None] * count if part is None else part.split(size) for part in self[3:]]
        for xa_part, xb_part, *parts in zip(xa.split(size), xb.split(size), *columns, strict=True):
            yield Batch(torch.cat([xa_part, xb_part]), left, left + size, *parts)

    def swapped(self, draws: torch.Tensor) -> "Batch":
        """A batch with a random half of the pairs swapped: images, labels, logits and levels.

        Args:
            draws: Uniform numbers in [0, 1), float32 (B,).
        """
        where = draws < 0.5
        return self._replace(
            left=torch.where(where, self.right, self.left),
            right=torch.where(where, self.left, self.right),
            y=torch.where(where, 1 - self.y, self.y),
            teacher=None if self.teacher is None else torch.where(where, -self.teacher, self.teacher),
            levels=None if self.levels is None else torch.where(where[:, None, None], self.levels.flip(1), self.levels),
            subclasses=None
            if self.subclasses is None
            else torch.where(where[:, None], self.subclasses.flip(1), self.subclasses),
        )


class Batches:
    """The training pairs, shuffled anew for each epoch.

    An epoch's rows and augmentation depend on the seed and the number of the epoch alone. So training can go on from
    any epoch without a stored state. Where images recur, :func:`twinrank.data.batch_plan.plan` puts pairs of the same
    images into a batch, since an image goes through the tower once a batch.

    Curriculum (Bengio et al. 2009): with ``easy_share`` below 1, training begins with the pairs whose more hidden image
    shows most. The others come in bit by bit until ``easy_until``.

    Args:
        data: Labelled pairs.
        config: Batch size, curriculum, augmentation, seed.
        device: Device that receives the batches.
        teacher: Logits of a teacher for the pairs, float32 (N,); None without a teacher.
        levels: Target levels of the pairs, as log-probabilities, float32 (N, 2, K); None without.
        subclasses: Subclasses of left and right images, int64 (N, 2), ``config.subclasses`` of each target level; None
            without.
        features: Features of the images by a frozen tower, float32 (M, F), which batches have in place of the images.
        part: Where several processes share each batch: from the number of its images to the places of those that this
            process gets. Everything else of a batch, and every random number, is that of the whole batch.
    """

    def __init__(
        self,
        data: Judgements,
        config: TrainConfig,
        device: torch.device,
        teacher: np.ndarray | None = None,
        levels: np.ndarray | None = None,
        subclasses: np.ndarray | None = None,
        features: np.ndarray | None = None,
        part: Callable[[int], slice] | None = None,
    ) -> None:
        self.config, self._part = config, part
        count = 0 if levels is None else levels.shape[2]
        self.targets = Targets(
            count,
            () if data.rater is None else tuple(np.unique(data.rater).tolist()),
            data.tie is not None,
            bool((data.y == 0.5).any()),
            0 if subclasses is None else count * config.subclasses,
        )
        """What the labels are."""
        self._data, self._device = data, device
        self._shared = data.shared
        self._images = _Images(data.images if features is None else features, device)
        weight = None if data.weight is None else (data.weight / data.weight.mean()).astype(np.float32)
        rater = None if data.rater is None else np.unique(data.rater, return_inverse=True)[1]
        columns = (data.y.astype(np.float32), teacher, levels, data.tie, weight, rater, subclasses)  # pyright: ignore[reportOptionalMemberAccess]
        self._columns = [part if part is None else torch.from_numpy(part).to(device) for part in columns]
        self._augmentation = Augmentation(config)
        self._easiest_first = _easiest_first(data, config.seed) if config.easy_share < 1 else np.arange(len(data))
        self._size = min(config.batch_size, len(data))
        apart = device.type == "cpu" or self._shared or config.crop or part is not None
        self._at_once = 1 if apart else _AT_ONCE
        self._plan = lru_cache(1)(self._planned)

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch, counted from 1."""
        return len(self._plan(epoch))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1."""
        chunks, generator = self._plan(epoch), torch_generator(self.config.seed, "augment", epoch)
        crops = torch_generator(self.config.seed, "crop", epoch)

        def together(step: int) -> tuple[bool, int]:
            """Whether the batch of a step is augmented, and the number of its group."""
            augmented = (epoch - 1 + step / len(chunks)) / self.config.epochs >= self.config.augment_from
            return augmented, step // self._at_once

        for (augmented, _), group in groupby(range(len(chunks)), together):
            steps = list(group)
            batch = self._batch(np.concatenate([chunks[step] for step in steps]), augmented, generator, crops)
            yield from batch.split(len(steps))

    def _planned(self, epoch: int) -> list[np.ndarray]:
        """Rows of each batch of an epoch."""
        rows = self._rows(epoch)
        if not self._shared:
            return np.split(rows, len(rows) // self._size)
        generator = numpy_generator(self.config.seed, "batches", epoch)
        return plan(self._data.left, self._data.right, rows, self.config.batch_size, generator)

    def _batch(self, rows: np.ndarray, augmented: bool, generator: torch.Generator, crops: torch.Generator) -> Batch:
        """The batch of some rows; random numbers for swaps and augmentation, and for crops, have generators."""
        left, right = self._data.left[rows], self._data.right[rows]
        if self._shared:
            images, places = np.unique(np.concatenate([left, right]), return_inverse=True)
        else:
            images, places = np.concatenate([left, right]), np.arange(2 * len(rows))
        crop = torch.rand(len(images), 2, generator=crops) if self.config.crop else None
        swap = change = None
        if self._augmentation or self.config.swap:
            # Drawn from the first epoch on, so that they do not depend on when augmentation begins.
            draws = self._draws(len(rows), len(images), generator)
            swap, change = (each if augmented and used else None for each, used in zip(draws, self._drawn, strict=True))
        if self._part is not None:
            mine = self._order(len(images), swap)[self._part(len(images))]
            images = images[mine]
            crop, change = (each if each is None else each[mine] for each in (crop, change))
        chosen = on_device(rows, self._device)
        sides = on_device(places.astype(np.int64), self._device).chunk(2)
        columns = (part if part is None else part[chosen] for part in self._columns)
        batch = Batch(self._images.take(images), *sides, *columns)  # pyright: ignore[reportArgumentType]
        if crop is not None:
            batch = batch._replace(images=random_crop(batch.images, self.config.crop, crop))
        if change is not None:
            batch = batch._replace(images=self._augmentation(batch.images, on_device(change, self._device)))
        return batch if swap is None else self._swapped(batch, swap)

    @property
    def _drawn(self) -> tuple[bool, bool]:
        """Whether pairs are swapped, and whether images are augmented."""
        return self.config.swap, bool(self._augmentation)

    def _order(self, images: int, swap: torch.Tensor | None) -> np.ndarray:
        """Places of the images of a batch in the order that they have after the swap, int (S,)."""
        order = np.arange(images)
        if swap is None or self._shared:
            return order
        return np.where(np.tile(swap.numpy() < 0.5, 2), np.roll(order, images // 2), order)

    def _draws(self, pairs: int, images: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Uniform numbers for the swap of each pair, (B,), and for the augmentation of each image, (S, draws)."""
        each = self._augmentation.draws
        if self._shared:
            return torch.rand(pairs, generator=generator), torch.rand(images, each, generator=generator)
        # By pair: they do not depend on the batch size.
        swap, left, right = torch.rand(pairs, 1 + 2 * each, generator=generator).split([1, each, each], 1)
        return swap[:, 0], torch.cat([left, right])

    def _swapped(self, batch: Batch, draws: torch.Tensor) -> Batch:
        swapped = batch.swapped(on_device(draws, self._device))
        if self._shared:
            return swapped
        # A part of the images is in the order of the pairs already.
        return swapped.apart() if self._part is None else swapped._replace(left=batch.left, right=batch.right)

    def _rows(self, epoch: int) -> np.ndarray:
        """Rows of an epoch: whole permutations of the rows that the curriculum admits by then, one after the other."""
        generator = numpy_generator(self.config.seed, "rows", epoch)
        count = len(self._easiest_first)
        wanted, rows = count if self._shared else count // self._size * self._size, np.empty(0, np.int64)
        while len(rows) < wanted:
            progress = (epoch - 1 + len(rows) / wanted) / self.config.epochs
            admitted = self._easiest_first[: self._admitted(progress)]
            rows = np.concatenate([rows, generator.permutation(admitted)])
        return rows[:wanted]

    def _admitted(self, progress: float) -> int:
        start, until = self.config.easy_share, self.config.easy_until
        share = start + (1 - start) * progress / until if progress < until else 1
        return max(self._size, int(len(self._easiest_first) * share))


class _Images:
    """Images or features on a device: an accelerator keeps them all if they fit; else they come batch by batch."""

    def __init__(self, store: ImageStore | np.ndarray, device: torch.device) -> None:
        shape = store.shape[1:] if isinstance(store, np.ndarray) else store.shape
        size = len(store) * int(np.prod(shape)) * store.dtype.itemsize
        kept = device.type != "cpu" and size <= _ON_DEVICE
        self._store, self._device = store, device
        self._kept = self._taken(np.arange(len(store))) if kept else None

    def take(self, images: np.ndarray) -> torch.Tensor:
        if self._kept is None:
            return self._taken(images)
        return self._kept[on_device(images, self._device)]

    def _taken(self, images: np.ndarray) -> torch.Tensor:
        taken = self._store[images] if isinstance(self._store, np.ndarray) else self._store.take(images)
        return on_device(taken, self._device)


def _easiest_first(data: Judgements, seed: int) -> np.ndarray:
    """Rows by the share of pixels above 0 in the image that shows less, most first; ties in random order."""
    images = np.arange(len(data.images))
    chunks = np.array_split(images, -(-len(images) * int(np.prod(data.images.shape)) // _SEARCHED))
    of_image = np.concatenate([(data.images.take(chunk) != 0).any(1).mean((1, 2)) for chunk in chunks])
    shown = np.minimum(of_image[data.left], of_image[data.right])
    ties = numpy_generator(seed, "easiest first").random(len(data))
    return np.lexsort((ties, -shown))
