"""Torch's generators, derived from a seed and a purpose as :mod:`twinrank.core.randomness` derives NumPy's."""

import torch

from twinrank.core.randomness import as_integer, derive


def torch_generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for a purpose. Those of two kinds of device give different numbers."""
    return torch.Generator(device).manual_seed(as_integer(derive(seed, *purpose)))


def signed(uniform: torch.Tensor) -> torch.Tensor:
    """Uniform numbers in [0, 1) as uniform numbers in [-1, 1)."""
    return 2 * uniform - 1


def seed_torch(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, which initialisation and dropout use, for a purpose."""
    torch.manual_seed(as_integer(derive(seed, *purpose)))
