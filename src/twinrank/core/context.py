"""What every workflow gets besides its own arguments: where it reports, and how much of the machine it uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

ExecutorName = Literal["local", "ray"]
"""Where trainings run: on this machine, or on the machines of a Ray cluster."""


def _no_line(line: str) -> None:
    pass


def _no_progress(name: str, done: int, total: int) -> None:
    pass


def _no_states(states: Any) -> None:
    pass


@dataclass(frozen=True)
class Context:
    """Listeners, the command, and what work may run on. The defaults listen to nothing and use one process a GPU.

    Attributes:
        say: Listener for what happens, a line each.
        progress: Listener for what is rendered: a name, the pairs done, and all pairs.
        show: Listener for the states of many trainings, :class:`twinrank.training.jobs.JobStates`.
        command: Command line that is kept in files as their origin.
        threads: Threads of the CPU, which trainings share; None is all cores. On Ray those of each training; None is 1.
        workers: Trainings at a time. None is one, or the number of GPUs where there are several. On Ray it is as many
            as the machines have room for.
        executor: Where trainings run, see :mod:`twinrank.core.executors`.
        ray_address: ``HOST:PORT`` of a Ray cluster. None is the one of this machine, which starts if necessary.
    """

    say: Callable[[str], None] = _no_line
    progress: Callable[[str, int, int], None] = _no_progress
    show: Callable[[Any], None] = _no_states
    command: str = ""
    threads: int | None = None
    workers: int | None = None
    executor: ExecutorName = "local"
    ray_address: str | None = None

    def for_worker(self, threads: int) -> "Context":
        """The context of one worker process, which has no listeners of its own.

        Args:
            threads: Threads of the worker.
        """
        return Context(command=self.command, threads=threads)
