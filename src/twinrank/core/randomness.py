"""The one place where random numbers come from.

Every generator is derived from a root seed and a purpose, so nothing depends on the order in which things happen.
A resumed run needs no stored state: it derives the generators of its next epoch again.
"""

import zlib

import numpy as np

from twinrank.errors import InputError


def derive(seed: int, *purpose: str | int) -> np.random.SeedSequence:
    """A seed sequence of its own for each purpose, for example ``derive(42, "order_net", "rows", epoch)``.

    Args:
        seed: Root seed, not negative.
        purpose: Words and numbers; another purpose gives an independent stream.

    Raises:
        InputError: The seed is negative.
    """
    if seed < 0:
        raise InputError(f"`seed` is {seed}; it must be at least 0")
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.SeedSequence(seed, spawn_key=tuple(words))


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for a purpose."""
    return np.random.default_rng(derive(seed, *purpose))


def as_integer(sequence: np.random.SeedSequence) -> int:
    """A seed for a generator that takes one number: 63 bits."""
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
