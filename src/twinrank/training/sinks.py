"""Optional followers of a training: TensorBoard and Weights & Biases.

``history.jsonl`` is the truth, and a sink only reads it, from a process of its own. So a sink that raises, hangs or is
not installed can neither stop nor slow a training.
"""

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from twinrank.core.messages import quoted
from twinrank.core.processes import child_environment
from twinrank.errors import InputError, nearest
from twinrank.runs import RunFolder

SinkName = Literal["tensorboard", "wandb"]
SINKS: tuple[SinkName, ...] = get_args(SinkName)

_POLL_SECONDS = 1.0
_LONGEST_FAREWELL = 120
"""Seconds after the end of a training in which a sink may finish."""

Write = Callable[[int, Mapping[str, float]], None]


def parse_sinks(text: str) -> list[str]:
    """Names separated by commas, checked.

    Raises:
        InputError: A name is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    require_sinks(names)
    return names


def require_sinks(names: Sequence[str]) -> None:
    """Make sure that all sinks are known.

    Raises:
        InputError: One is not.
    """
    for name in names:
        if name not in SINKS:
            raise InputError(f"`log_to`: {quoted(name)} does not exist{nearest(name, SINKS)}")


@contextmanager
def following(run: RunFolder, sinks: Sequence[str], say: Callable[[str], None]) -> Iterator[None]:
    """Let sinks follow a run while the block lasts. Whatever they do, the block does not notice.

    Args:
        run: Run folder.
        sinks: Names of :data:`SINKS`.
        say: Listener for sinks that are not installed.
    """
    processes = []
    for name in sinks:
        if importlib.util.find_spec(name) is None:
            say(f"{name} is not installed (pip install 'twinrank[track]'); training goes on without it")
            continue
        with (run.path / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "twinrank.training.sinks", name, str(run.path)]
            # A session of its own: a Ctrl-C at the training is not for the sink.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(),
                start_new_session=True,
            )
        processes.append(process)
    try:
        yield
    finally:
        for process in processes:
            assert process.stdin is not None
            # A sink ends after its input has ended; nobody waits for it.
            process.stdin.close()


def follow(run: RunFolder, over: Callable[[], bool], seconds: float = _POLL_SECONDS) -> Iterator[dict[str, Any]]:
    """The epochs of a run, each as soon as it is there, until ``over`` is true.

    Args:
        run: Run folder.
        over: Whether no more epochs will come.
        seconds: Seconds between two looks.
    """
    given = 0
    while True:
        last = over()
        history = run.read_history()
        yield from history[given:]
        given = max(given, len(history))
        if last:
            return
        time.sleep(seconds)


def scalars(epoch: Mapping[str, Any]) -> dict[str, float]:
    """An epoch's numbers by name: ``train/loss``, ``val/accuracy``, ``learning_rate``, ..."""
    found = {}
    for name, value in epoch.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{inner}": float(number) for inner, number in value.items()}
        elif name != "epoch":
            found[name] = float(value)
    return found


@contextmanager
def _tensorboard(run: RunFolder) -> Iterator[Write]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run.path / "tensorboard")) as writer:

        def write(epoch: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, epoch)
            writer.flush()

        yield write


@contextmanager
def _wandb(run: RunFolder) -> Iterator[Write]:
    wandb: Any = importlib.import_module("wandb")
    # Without an account it still works, offline; 'wandb sync' sends it later. WANDB_MODE=online sends at once.
    mode = os.environ.get("WANDB_MODE", "offline")
    about = {"name": run.path.name, "dir": str(run.path), "config": run.read_config()}
    with wandb.init(project="twinrank", mode=mode, **about) as begun:
        yield lambda epoch, values: begun.log(dict(values), step=epoch)


_OPEN: dict[str, Callable[[RunFolder], AbstractContextManager[Write]]] = {"tensorboard": _tensorboard, "wandb": _wandb}


def main(name: str, folder: str) -> None:
    """The process of a sink: follows until its standard input ends."""
    run, ended = RunFolder(Path(folder)), threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        ended.set()
        if hasattr(signal, "alarm"):
            signal.alarm(_LONGEST_FAREWELL)

    threading.Thread(target=wait, daemon=True).start()
    with _OPEN[name](run) as write:
        for epoch in follow(run, ended.is_set):
            write(int(epoch["epoch"]), scalars(epoch))


if __name__ == "__main__":
    main(*sys.argv[1:])
