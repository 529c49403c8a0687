"""Trainings under way, watched from another process: live on a terminal, a line an epoch elsewhere."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from twinrank.config import TrainConfig
from twinrank.errors import InputError
from twinrank.runs import RunFolder
from twinrank.training.jobs import Job, JobStates
from twinrank.training.sinks import follow
from twinrank.training.state import TrainState

_BLOCKS = " ▁▂▃▄▅▆▇█"
_MOST_COLUMNS = 60
_FAILED = -1


@contextmanager
def jobs_table() -> Iterator[Callable[[JobStates], None]]:
    """Give a function that shows the states of trainings on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda states: live.update(_table(states), refresh=True)
        return
    shown: dict[str, int] = {}

    def show(states: JobStates) -> None:
        for job in [*states.running, *states.finished]:
            history = RunFolder(job.folder).read_history()
            # Of a run that was finished before, the end is enough.
            before = len(history) - 1 if job in states.finished else 0
            for epoch in history[shown.get(job.name, before) :]:
                console.print(f"{job.name}: epoch {epoch['epoch']}/{job.spec.train.epochs}  {_shown(epoch)}")
            shown[job.name] = len(history)
        for name, reason in states.failed.items():
            if shown.get(name) != _FAILED:
                console.print(f"{name}: failed: {reason}")
                shown[name] = _FAILED

    yield show


def watch(path: Path, console: Console | None = None, seconds: float = 1.0) -> None:
    """Show a run's epochs as they come, and a curve of its accuracy, until it is finished or its process has ended.

    Args:
        path: Run folder of a training that is under way or over.
        console: Console to write to; standard output by default.
        seconds: Seconds between two looks.

    Raises:
        InputError: It is not a run folder, or its process has ended before the training was finished.
    """
    run, console = RunFolder(Path(path)), console or Console(highlight=False, soft_wrap=True, markup=False)
    config = run.train_config()

    def finished() -> bool:
        values = tuple(epoch["val"][config.monitor] for epoch in run.read_history())
        return TrainState(values).finished(config)

    def over() -> bool:
        return not run.is_held() or finished()

    _show_epochs(run, config, follow(run, over, seconds), console)
    if not finished():
        raise InputError(
            f"{run.path}: the training is not running, {len(run.read_history())} of {config.epochs} epochs are done;"
            f" go on with 'twinrank resume {run.path}'"
        )


def _show_epochs(run: RunFolder, config: TrainConfig, epochs: Iterable[dict[str, Any]], console: Console) -> None:
    if not console.is_terminal:
        for epoch in epochs:
            console.print(f"epoch {epoch['epoch']}/{config.epochs}  {_shown(epoch)}")
        return
    ended: list[dict[str, Any]] = []
    with Live(console=console, auto_refresh=False) as live:
        live.update(Text(f"{run.path}: no epoch has ended yet"), refresh=True)
        for epoch in epochs:
            ended.append(epoch)
            curve = chart([each["val"]["accuracy"] for each in ended], config.epochs)
            last = f"epoch {epoch['epoch']}/{config.epochs}  {_shown(epoch)}"
            live.update(Text(f"{run.path}: accuracy on val\n{curve}\n{last}"), refresh=True)


def chart(values: Sequence[float], columns: int, height: int = 10) -> str:
    """A curve of rates as text: a block for each value, on a scale from the least to the greatest, in percent.

    Args:
        values: Rates, one or more.
        columns: Number of values in the end; beyond 60, neighbours share a column.
        height: Height in lines.
    """
    together = max(1, math.ceil(columns / _MOST_COLUMNS))
    shown = [max(values[start : start + together]) for start in range(0, len(values), together)]
    low, high = min(shown), max(shown)
    eighths = [round((value - low) / (high - low or 1) * (8 * height - 1)) + 1 for value in shown]
    lines = []
    for line in reversed(range(height)):
        label = f"{high:>7.2%} " if line == height - 1 else f"{low:>7.2%} " if line == 0 else " " * 8
        lines.append(label + "".join(_BLOCKS[min(8, max(0, each - 8 * line))] for each in eighths))
    return "\n".join(lines)


def _table(states: JobStates) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("training", "state", "epoch", "best", "last"):
        table.add_column(heading)
    for name, reason in states.failed.items():
        table.add_row(name, "failed", "", "", reason)
    by_state = {"finished": states.finished, "running": states.running, "waiting": states.waiting}
    for state, jobs in by_state.items():
        for job in jobs:
            table.add_row(job.name, state, *_row(job))
    return table


def _row(job: Job) -> tuple[str, str, str]:
    history = RunFolder(job.folder).read_history()
    if not history:
        return f"0/{job.spec.train.epochs}", "", ""
    best = max(epoch["val"]["accuracy"] for epoch in history)
    return f"{len(history)}/{job.spec.train.epochs}", f"{best:.2%}", _shown(history[-1])


def _shown(epoch: dict[str, Any]) -> str:
    shown = f"loss {epoch['train']['loss']:.4f}  val accuracy {epoch['val']['accuracy']:.2%}"
    # Histories may lack what the next epoch does not depend on.
    shown += f"  lr {epoch['learning_rate']:.2e}" if "learning_rate" in epoch else ""
    return shown + (f"  {epoch['seconds']:.1f} s" if "seconds" in epoch else "")
