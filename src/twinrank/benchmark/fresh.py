"""Pairs of the open track: drawn and corrupted as the benchmark's are, but anew every time, from clean digits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from twinrank.benchmark.corruption import IMAGE_SIZE
from twinrank.benchmark.generator import read_meta
from twinrank.benchmark.mnist import Mnist
from twinrank.benchmark.renderer import corrupt_batch
from twinrank.config import OPEN_IDS, FreshConfig, TrainConfig
from twinrank.core.files import require_ending, write_npz
from twinrank.core.torch_random import torch_generator
from twinrank.data.batches import Batch, Targets
from twinrank.data.formats.selection import ENDING
from twinrank.data.subclasses import subclasses
from twinrank.errors import InputError

_CHUNK = 256
_AT_ONCE = 16
"""Batches that an accelerator renders at once: they take hardly longer than one."""
DIGITS = 10
"""Classes of MNIST."""


class FreshPairs:
    """Any number of pairs of MNIST's training digits. The test digits, which the tests are made of, are not kept.

    Args:
        mnist: Digits; each class occurs.
        severity: Strength of the corruption, 0 to 6.
        weight_diff1: Probability that the two digits are drawn as neighbours.
        device: Device that holds the digits and renders pairs.
    """

    def __init__(
        self,
        mnist: Mnist,
        severity: int = FreshConfig.severity,
        weight_diff1: float = FreshConfig.weight_diff1,
        device: torch.device | str = "cpu",
    ) -> None:
        self._severity, self._weight_diff1 = severity, weight_diff1
        self.device = torch.device(device)
        self._images = torch.from_numpy(mnist.train_images).to(device)
        self._labels = torch.from_numpy(mnist.train_labels.astype(np.int64)).to(device)
        self._members = torch.from_numpy(np.argsort(mnist.train_labels, kind="stable")).to(device)
        """Positions of the digits, class after class."""
        self._counts = torch.from_numpy(np.bincount(mnist.train_labels, minlength=DIGITS)).to(device)

    def __call__(self, pairs: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw a batch: left and right images uint8 (N, 1, 28, 28), and labels float32 (N,), on the digits' device.

        Args:
            pairs: Number of pairs, N.
            generator: Generator of every draw, on its own device; the same state gives the same pairs.
        """
        positions, y = self.draw(pairs, generator)
        xa, xb = self.render(positions, generator)
        return xa, xb, y.to(xa.device)

    def draw(self, pairs: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw which digits make pairs, as :func:`twinrank.benchmark.generator.draw_split` does.

        Args:
            pairs: Number of pairs, N; in N // 2 of them the left digit is the greater one.
            generator: Generator of every draw; the result is on its device.

        Returns:
            Places of the left and the right digit among MNIST's training digits, int64 (N, 2), and labels float32 (N,).
        """
        device = generator.device
        near, first, second, *which = torch.rand(5, pairs, generator=generator, device=device)
        left_greater = torch.randperm(pairs, generator=generator, device=device) < pairs // 2
        low = (first * (DIGITS - 1)).long()
        left = low + left_greater.long()
        far = torch.where(left_greater, (second * left).long(), left + 1 + (second * (DIGITS - 1 - left)).long())
        neighbour = torch.where(left_greater, low, left + 1)
        classes = torch.stack([left, torch.where(near < self._weight_diff1, neighbour, far)], 1)
        counts = self._counts.to(device)
        places = (counts.cumsum(0) - counts)[classes] + (torch.stack(which, 1) * counts[classes]).long()
        return self._members.to(device)[places], left_greater.float()

    def render(self, positions: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Corrupt the digits of pairs, each in its own way.

        Args:
            positions: Places of the digits, int64 (N, 2), as :meth:`draw` gives them.
            generator: Generator of every draw.

        Returns:
            Left and right images, uint8 (N, 1, 28, 28).
        """
        digits = self._images[positions.T.flatten().to(self._images.device)]
        xa, xb = corrupt_batch(digits, self._severity, generator)[:, None].chunk(2)
        return xa, xb

    def subclasses(self, count: int) -> torch.Tensor:
        """Subclass of each of MNIST's training digits, int64 (60000,), on their device.

        Images of half the size tell digits apart, see :func:`twinrank.data.subclasses.subclasses`.

        Args:
            count: Number of subclasses of each class, as far as it has so many digits.
        """
        small = functional.avg_pool2d(self._images.cpu()[:, None].float() / 255, 2).flatten(1).numpy()
        return torch.from_numpy(subclasses(small, self._labels.cpu().numpy(), count)).to(self.device)

    def classes(self, positions: torch.Tensor) -> torch.Tensor:
        """Digits, 0 to 9, at these places, int64 of the same shape."""
        return self._labels.to(positions.device)[positions]


class FreshBatches:
    """Batches of pairs that are new every time, with the classes of their digits.

    A batch depends on the seed, the epoch, its number, and the kind of device that renders alone. Each kind of device
    has random numbers of its own.

    Args:
        fresh: Source of the pairs. Its device draws and renders them.
        pairs: Number of pairs of an epoch.
        config: Batch size and seed.
        device: Device that receives the pairs.
        part: Where several processes share each batch: from the number of its images to the places of those that this
            process gets. Each of them renders all.
    """

    def __init__(
        self,
        fresh: FreshPairs,
        pairs: int,
        config: TrainConfig,
        device: torch.device,
        part: Callable[[int], slice] | None = None,
    ) -> None:
        count = config.trained_subclasses
        self.targets = Targets(DIGITS, subclasses=DIGITS * count)
        """What the labels are: the digits' classes are target levels."""
        self._subclasses = fresh.subclasses(count) if count else None
        self._size = min(config.batch_size, pairs)
        self._steps = pairs // self._size
        self._at_once = 1 if fresh.device.type == "cpu" or part is not None else _AT_ONCE
        self._part = part
        self._fresh, self._seed, self._device = fresh, config.seed, device

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch; each has as many."""
        return self._steps

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1; the target levels are the digits' classes."""
        generator = torch_generator(self._seed, "fresh", epoch, device=self._fresh.device)
        for step in range(0, self._steps, self._at_once):
            batches = min(self._at_once, self._steps - step)
            positions, y = self._fresh.draw(batches * self._size, generator)
            levels = functional.one_hot(self._fresh.classes(positions), DIGITS).float().log()
            batch = Batch.of_pairs(*self._fresh.render(positions, generator), y, levels=levels)
            if self._subclasses is not None:
                batch = batch._replace(subclasses=self._subclasses[positions])
            if self._part is not None:
                places = self._part(len(batch.images))
                batch = batch._replace(images=batch.images[places])
            yield from batch.map(lambda part: part.to(self._device)).split(batches)


def refuse_other_place(out: Path) -> None:
    """Make sure that fresh pairs in this place will not be taken for something else.

    Args:
        out: File to write.

    Raises:
        InputError: The name is not that of a pair file, or the folder holds a benchmark.
    """
    require_ending(out, ".npz")
    if out.name.endswith(ENDING):
        raise InputError(f"{out}: names that end in {ENDING} are of selections of rows; choose another with `out`")
    if read_meta(out.parent) is not None:
        raise InputError(
            f"{out}: the folder holds a benchmark, and files beside its meta.json count as its own;"
            " choose another folder with `out`"
        )


def write_fresh(
    mnist: Mnist, out: Path, config: FreshConfig, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Write a pair file of fresh pairs: ``x``, ``y``, and an ``id`` that names the track, ``OPEN_0000000`` and so on.

    Args:
        mnist: Digits.
        out: NPZ file, replaced when it is complete.
        config: Number of pairs, seed and strength of the corruption.
        progress: Listener for the number of pairs that are done.

    Raises:
        InputError: The file cannot be written.
    """
    fresh, generator = FreshPairs(mnist, config.severity, config.weight_diff1), torch_generator(config.seed, "fresh")
    positions, y = fresh.draw(config.pairs, generator)
    x = np.empty((config.pairs, IMAGE_SIZE, 2 * IMAGE_SIZE), np.uint8)
    for start in range(0, config.pairs, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x[chunk] = torch.cat(fresh.render(positions[chunk], generator), 3)[:, 0].numpy()
        progress(min(start + _CHUNK, config.pairs))
    ids = np.array([f"{OPEN_IDS}{row:07d}" for row in range(config.pairs)])
    write_npz(out, {"x": x, "y": y.numpy().astype(np.int8), "id": ids})
