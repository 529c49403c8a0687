"""Calls of a training to the outside."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")


class Hooks:
    """Calls of a training to the outside. Here each does nothing; override those that you need.

    An exception that a hook raises ends the training. What is on the disk stays, so the run can be resumed.
    """

    def epoch_started(self, epoch: int) -> None:
        """Called before an epoch.

        Args:
            epoch: Number of the epoch, from 1.
        """

    def steps(self, epoch: int, batches: Iterable[Item], total: int) -> Iterator[Item]:
        """Give the batches of an epoch, unchanged, and in this order.

        Args:
            epoch: Number of the epoch, from 1.
            batches: Batches of the epoch.
            total: Number of the batches.
        """
        yield from batches

    def progress(self, name: str, done: int, total: int) -> None:
        """Called while something other than an epoch goes on.

        Args:
            name: What is counted, such as "features".
            done: Number that is done.
            total: Number in all.
        """

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Called after an epoch, when all of it is on the disk.

        Args:
            entry: Epoch entry, as in ``history.jsonl``.
            best: Whether the epoch is the best so far.
        """

    def say(self, line: str) -> None:
        """Called with a line about the whole training."""
