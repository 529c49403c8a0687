"""What is shown of a training: a bar of the epoch on a terminal, and everywhere one line an epoch."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from twinrank.errors import printable
from twinrank.training.hooks import Hooks, Item


class EpochProgress(Hooks):
    """Shows a training on standard error.

    Args:
        epochs: Epochs of the whole run.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def steps(self, epoch: int, batches: Iterable[Item], total: int) -> Iterator[Item]:
        """The batches of an epoch, with a bar if this is a terminal."""
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            yield from bar.track(batches, total, description=f"epoch {epoch:>3}/{self._epochs}")

    def progress(self, name: str, done: int, total: int) -> None:
        """Show how far it is, if this is a terminal."""
        if self._console.is_terminal:
            self._console.print(f"{name}: {done:,} of {total:,} images", end="\n" if done == total else "\r")

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Show one line about an epoch."""
        train, val = entry["train"], entry["val"]
        if "grad_norm" not in train:
            self._console.print(
                f"fitted in {entry['seconds']:.1f} s  out-of-fold accuracy {val['accuracy']:.2%}  log-loss"
                f" {val['log_loss']:.4f}"
            )
            return
        self._console.print(
            f"epoch {entry['epoch']:>3}/{self._epochs}  loss {train['loss']:.4f}  val accuracy {val['accuracy']:.2%}"
            f"  log-loss {val['log_loss']:.4f}  lr {entry['learning_rate']:.2e}  gradient {train['grad_norm']:.2f}"
            f"  {entry['seconds']:.1f} s  {entry['images_per_second']:,.0f} images/s{'  best' if best else ''}"
        )

    def say(self, line: str) -> None:
        """Show a line of its own; names in it may be those of others."""
        self._console.print(printable(line))
