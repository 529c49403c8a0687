"""What a person sees of a training: a bar of the epoch on a terminal, and everywhere one line an epoch."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


class EpochProgress:
    """Shows a training on standard error.

    Args:
        epochs: of the whole run.
        console: to write to; standard error by default.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.epochs = epochs
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def steps(self, epoch: int, batches: Iterable[Item], total: int) -> Iterator[Item]:
        """The batches of an epoch, with a bar if this is a terminal."""
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            yield from bar.track(batches, total, description=f"epoch {epoch:>3}/{self.epochs}")

    def epoch_ended(self, record: dict[str, Any], best: bool) -> None:
        """One line about an epoch of the history."""
        train, val = record["train"], record["val"]
        self._console.print(
            f"epoch {record['epoch']:>3}/{self.epochs}  loss {train['loss']:.4f}  val accuracy {val['accuracy']:.2%}"
            f"  log-loss {val['log_loss']:.4f}  lr {record['learning_rate']:.2e}  gradient {train['grad_norm']:.2f}"
            f"  {record['seconds']:.1f} s  {record['images_per_second']:,.0f} images/s{'  best' if best else ''}"
        )

    def say(self, line: str) -> None:
        """A line of its own."""
        self._console.print(line)
