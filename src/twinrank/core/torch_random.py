"""Torch's generators, derived from a seed and a purpose as :mod:`twinrank.core.randomness` derives NumPy's."""

import torch

from twinrank.core.randomness import as_integer, derive


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator on the CPU for a purpose."""
    return torch.Generator().manual_seed(as_integer(derive(seed, *purpose)))


def seed_torch(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, which initialisation and dropout use, for a purpose."""
    torch.manual_seed(as_integer(derive(seed, *purpose)))
