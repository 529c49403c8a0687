"""Whether this process is one of several that ``torchrun`` has started for one training."""

import os
import sys
import time
from typing import NamedTuple, NoReturn

from twinrank.errors import InputError

_GRACE = 2.0
"""Seconds in which the first process says why all of them end."""


class Launched(NamedTuple):
    """The place of this process among those that were started together.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes.
        local_rank: Number of this process on its machine, from 0.
        local_world: Number of processes on its machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks for all of them."""
        return self.rank == 0


def launched() -> Launched:
    """What the environment says, in the variables of ``torchrun``; one process without ``RANK`` and ``WORLD_SIZE``.

    Raises:
        InputError: A variable is no such number.
    """
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return Launched()
    rank, world = _number("RANK", 0), _number("WORLD_SIZE", 1)
    found = Launched(rank, world, _number("LOCAL_RANK", 0, rank), _number("LOCAL_WORLD_SIZE", 1, world))
    if found.rank >= found.world:
        raise InputError(
            f"RANK is {rank} and WORLD_SIZE {world} in the environment; start with torchrun, or unset both"
        )
    return found


def leave_to_first(status: int) -> NoReturn:
    """Exit without a line. ``torchrun`` stops all processes once one has ended, so the first one has time to print."""
    time.sleep(_GRACE)
    sys.exit(status)


def _number(name: str, least: int, otherwise: int = 0) -> int:
    text = os.environ.get(name, str(otherwise))
    if not (text.isdecimal() and int(text) >= least):
        raise InputError(f"{name} is {text!r} in the environment; start with torchrun, or unset it")
    return int(text)
