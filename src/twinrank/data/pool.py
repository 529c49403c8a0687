"""Images of a pair file as a set of their own, for predictions about all pairs of them."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from twinrank.core.messages import counted
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError

_FEWEST, _MOST = 3, 500
"""A triad takes three; the time to look for cycles grows with the cube."""


@dataclass(frozen=True, eq=False)
class Pool:
    """M different images.

    Attributes:
        images: Pixels, uint8, or float32 in [0, 1], (M, C, H, W).
        names: Name of each image; where the file names none, its row id and side, such as "17 left".
        path: Pair file that they are from.
        sha256: Digest of the file, as :class:`twinrank.data.judgements.Judgements` has it.
    """

    images: np.ndarray
    names: tuple[str, ...]
    path: Path
    sha256: str

    def __len__(self) -> int:
        return len(self.images)


def pool_of(data: Judgements, number: int, seed: int = 0) -> Pool:
    """Different images from both sides of a pair file, taken at random and shuffled.

    The same pixels come once: compared with a copy of itself, an image is a tie.

    Args:
        data: N pairs.
        number: Number of images, M, 3 to 500.
        seed: Seed of the choice; a smaller pool is the beginning of a larger one.

    Raises:
        InputError: ``number`` is impossible, or the file does not hold as many different images.
    """
    if not _FEWEST <= number <= _MOST:
        raise InputError(f"`number` is {number}; use {_FEWEST} to {_MOST}")
    sides, seen = np.stack([data.left, data.right]), np.zeros(len(data.images), bool)
    chosen: dict[bytes, tuple[int, int]] = {}
    for place in numpy_generator(seed, "pool").permutation(2 * len(data)):
        row, side = divmod(int(place), 2)
        image = sides[side, row]
        if seen[image]:
            continue
        seen[image] = True
        chosen.setdefault(blake2b(data.images.take(np.array([image]))[0].tobytes()).digest(), (row, side))
        if len(chosen) == number:
            break
    else:
        raise InputError(
            f"{data.path}: {counted(len(chosen), 'different image', 'different images')}, but `number` is {number:,};"
            " use fewer, or a larger file"
        )
    places = list(chosen.values())
    numbers, row_ids = np.array([sides[side, row] for row, side in places]), data.row_ids
    if data.images.names is None:
        names = tuple(f"{row_ids[row]} {('left', 'right')[side]}" for row, side in places)
    else:
        names = tuple(map(data.images.name, numbers))
    return Pool(data.images.take(numbers), names, data.path, data.sha256)
