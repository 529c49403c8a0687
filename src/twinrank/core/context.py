"""What every workflow gets besides its own arguments: where it reports, and how much of the machine it uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _no_line(line: str) -> None:
    pass


def _no_progress(name: str, done: int, total: int) -> None:
    pass


def _no_states(states: Any) -> None:
    pass


@dataclass(frozen=True)
class Context:
    """Listeners, the command, and shares of the machine. The defaults listen to nothing and use one process.

    Attributes:
        say: Listener for what happens, a line each.
        progress: Listener for what is rendered: a name, the pairs done, and all pairs.
        show: Listener for the states of many trainings, :class:`twinrank.training.jobs.JobStates`.
        command: Command line that is kept in files as their origin.
        threads: Threads of the CPU; None is all cores.
        workers: Trainings at a time; the threads are divided among them.
    """

    say: Callable[[str], None] = _no_line
    progress: Callable[[str, int, int], None] = _no_progress
    show: Callable[[Any], None] = _no_states
    command: str = ""
    threads: int | None = None
    workers: int = 1

    def for_worker(self, threads: int) -> "Context":
        """The context of one worker process, which has no listeners of its own.

        Args:
            threads: Threads of the worker.
        """
        return Context(command=self.command, threads=threads)
