"""The one place where random numbers come from.

Every generator is derived from a root seed and a purpose, so nothing depends on the order in which things happen, and a
resumed run needs no stored state: it derives the generators of its next epoch again.
"""

import zlib

import numpy as np
import torch

from twinrank.errors import InputError


def derive(seed: int, *purpose: str | int) -> np.random.SeedSequence:
    """A seed sequence of its own for each purpose, for example ``derive(42, "order_net", "rows", epoch)``.

    Args:
        seed: root seed, not negative.
        purpose: words and numbers; another purpose gives an independent stream.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be at least 0")
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.SeedSequence(seed, spawn_key=tuple(words))


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for a purpose."""
    return np.random.default_rng(derive(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator on the CPU for a purpose."""
    return torch.Generator().manual_seed(_as_integer(derive(seed, *purpose)))


def seed_torch(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, which initialisation and dropout use, for a purpose."""
    torch.manual_seed(_as_integer(derive(seed, *purpose)))


def _as_integer(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
