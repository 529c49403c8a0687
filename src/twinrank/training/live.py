"""How several trainings stand: a live table on a terminal, a line an epoch elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from twinrank.runs import RunFolder
from twinrank.training.grid import Job, Progress


@contextmanager
def grid_table(console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows a grid's progress, on standard error."""
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda progress: live.update(_table(progress), refresh=True)
        return
    told: dict[str, int] = {}

    def tell(progress: Progress) -> None:
        for job in [*progress.running, *progress.finished]:
            history = RunFolder(job.folder).read_history()
            for epoch in history[told.get(job.name, 0) :]:
                console.print(f"{job.name}: epoch {epoch['epoch']}/{job.config.epochs}  {_shown(epoch)}")
            told[job.name] = len(history)
        for job, reason in progress.failed.items():
            if told.get(job.name) != -1:
                console.print(f"{job.name}: failed: {reason}")
                told[job.name] = -1

    yield tell


def _table(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("training", "state", "epoch", "best", "last"):
        table.add_column(heading)
    states = [("failed", list(progress.failed)), ("finished", progress.finished)]
    states += [("running", progress.running), ("waiting", progress.waiting)]
    for state, jobs in states:
        for job in jobs:
            table.add_row(job.name, state, *_row(job))
    return table


def _row(job: Job) -> tuple[str, str, str]:
    history = RunFolder(job.folder).read_history()
    if not history:
        return f"0/{job.config.epochs}", "", ""
    best = max(epoch["val"]["accuracy"] for epoch in history)
    return f"{len(history)}/{job.config.epochs}", f"{best:.2%}", _shown(history[-1])


def _shown(epoch: dict[str, Any]) -> str:
    return (
        f"loss {epoch['train']['loss']:.4f}  val accuracy {epoch['val']['accuracy']:.2%}"
        f"  lr {epoch['learning_rate']:.2e}  {epoch['seconds']:.1f} s"
    )
