"""The processes of a search: this one and others beside it, or those of a Ray cluster."""

import sys
import tempfile
import time
from pathlib import Path

from twinrank.core.context import Context
from twinrank.core.executors import Executor, Task, Work, executor_of
from twinrank.errors import InputError, Interrupted
from twinrank.tuning.search import Search, SharedStudy

_POLL_SECONDS = 0.5
_MOST_LOSSES = 3
"""Machines that may be lost for each process. It may be a trial that takes them down."""


def run_search(search: Search, context: Context = Context()) -> SharedStudy:
    """Train the trials that are missing, in this process and others beside it, or on the machines of a Ray cluster.

    Args:
        search: Search to work on.
        context: Where the trials run.

    Raises:
        InputError: As :meth:`SharedStudy.work`, the executor is impossible, or the machines of a cluster give up.
        Interrupted: Ctrl-C stopped the search; every trial keeps its finished epochs.
    """
    study = SharedStudy(search)
    if not study.missing:
        return study
    with executor_of(context, search.out) as executor:
        here, count = executor.joined(), min(executor.workers, study.missing)
        others = [executor.start(Work(_work, (search,))) for _ in range(count - 1)] if here else []
        try:
            if here:
                study.work()
                while not all(task.ended() for task in others):
                    time.sleep(_POLL_SECONDS)
            else:
                _work_elsewhere(search, study, executor, count)
        finally:
            for task in others:
                task.stop()
    return study


def _work_elsewhere(search: Search, study: SharedStudy, executor: Executor, count: int) -> None:
    """Let processes of other machines train the trials, and print what they print.

    Trials of a machine that is lost are taken over by others, which are as many as before.
    """
    tasks, lost, shown = list[Task](), 0, dict[Path, int]()
    with tempfile.TemporaryDirectory(prefix=".workers-", dir=search.out, ignore_cleanup_errors=True) as folder:

        def start() -> Task:
            log = Path(folder) / f"{len(shown)}.log"
            shown[log] = 0
            return executor.start(Work(_work, (search,), log))

        try:
            tasks += [start() for _ in range(count)]
            while tasks:
                time.sleep(_POLL_SECONDS)
                _print_new(shown)
                for task in [each for each in tasks if each.ended()]:
                    tasks.remove(task)
                    kind, reason = task.outcome()
                    lost += kind == "lost"
                    if kind == "lost" and study.missing and lost < _MOST_LOSSES * count:
                        print(f"{reason}; its trial goes on elsewhere", file=sys.stderr)
                        tasks.append(start())
                    elif kind != "done" and not tasks and study.missing:
                        raise InputError(f"{search.out}: {reason}")
        except KeyboardInterrupt as error:
            raise Interrupted("stopped; finished epochs are kept. Go on by running the same command again") from error
        finally:
            for task in tasks:
                task.stop()
            _print_new(shown)


def _print_new(shown: dict[Path, int]) -> None:
    """Print the lines of logs that were not printed yet; ``shown`` has the number of bytes that were."""
    for log, before in shown.items():
        if log.is_file():
            with log.open("rb") as file:
                file.seek(before)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            shown[log] = before + len(whole)
            print(whole.decode(errors="replace"), end="", file=sys.stderr)


def _work(search: Search) -> None:
    """A process beside the first, which takes over its trial if it ends early."""
    SharedStudy(search).work()
