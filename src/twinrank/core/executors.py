"""Work in processes of its own: what it is, how it ends, and where it runs.

:class:`Executor` is what may start it. There are two: :class:`twinrank.core.local_pool.LocalPool` on this machine, and
:class:`twinrank.core.ray_cluster.RayCluster` on the machines of a Ray cluster. Both do it in a new process of the
machine that is chosen, so its results have the same bits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from twinrank.core.context import Context, ExecutorName
from twinrank.core.machine import available_threads, require_threads
from twinrank.core.messages import quoted
from twinrank.errors import InputError, nearest


@dataclass(frozen=True)
class Work:
    """A call that a process of its own makes.

    Attributes:
        call: Function of a module, or an object that can be pickled.
        arguments: Its arguments, which can be pickled.
        log: File to which it prints. The process locks it, so no two processes do the same work at a time. Without one
            it prints where this process does.
    """

    call: Callable[..., object]
    arguments: tuple[Any, ...]
    log: Path | None = None


class Outcome(NamedTuple):
    """How work has ended.

    Attributes:
        kind: ``done``; ``failed``; ``taken``, since another process does it; or ``lost`` with the machine it ran on.
        reason: Why it was not done, in one line.
    """

    kind: Literal["done", "failed", "taken", "lost"]
    reason: str = ""


class Task(Protocol):
    """Work that was started."""

    def ended(self) -> bool:
        """Whether it has ended."""
        ...

    def outcome(self) -> Outcome:
        """How it has ended; to be called once, when it has."""
        ...

    def stop(self) -> None:
        """End it now, and wait until it has ended."""
        ...


class Executor(Protocol):
    """What starts work."""

    @property
    def workers(self) -> int:
        """How much work there may be at a time; it may change."""
        ...

    def start(self, work: Work) -> Task:
        """Start work in a process of its own."""
        ...

    def joined(self) -> bool:
        """Whether the calling process is one of the workers from now on. It is none where others are to do the work."""
        ...


def require_executor(context: Context) -> None:
    """Make sure, before anything takes long, that work can be started as requested.

    Raises:
        InputError: A value is impossible, Ray is not installed, or nothing answers at its address.
    """
    if context.workers is not None and context.workers < 1:
        raise InputError(f"`workers` is {context.workers}; use 1 or more")
    if context.threads is not None:
        require_threads(context.threads)
    names = get_args(ExecutorName)
    if context.executor not in names:
        raise InputError(f"`executor`: {quoted(context.executor)} is unknown{nearest(context.executor, names)}")
    if context.executor == "ray":
        from twinrank.core.ray_cluster import require_ray

        require_ray(context.ray_address)
    elif context.ray_address is not None:
        raise InputError("`ray_address` is that of a Ray cluster; give `executor` ray with it, or leave it out")


def workers_of(context: Context) -> int:
    """How much work there may be at a time on this machine."""
    from twinrank.core.device import visible_gpus

    return max(1, len(visible_gpus())) if context.workers is None else context.workers


def threads_each(context: Context, tasks: int) -> int:
    """Threads of the CPU for each of several pieces of work.

    Args:
        context: Executor, threads and workers.
        tasks: Number of pieces.

    Raises:
        InputError: The threads are impossible.
    """
    if context.executor == "ray":
        return context.threads or 1
    threads = available_threads() if context.threads is None else context.threads
    require_threads(threads)
    return max(1, threads // max(1, min(workers_of(context), tasks)))


@contextmanager
def executor_of(context: Context, folder: Path) -> Iterator[Executor]:
    """Give what starts the work of a block. What was started and has not ended is to be stopped by the block.

    Args:
        context: Executor, threads and workers.
        folder: Folder that the work writes to. All machines must see it.

    Raises:
        InputError: Ray cannot be used, or a machine does not see the folder.
    """
    if context.executor == "ray":
        from twinrank.core.ray_cluster import ray_cluster

        with ray_cluster(context, folder) as cluster:
            yield cluster
    else:
        from twinrank.core.local_pool import LocalPool

        yield LocalPool(workers_of(context))
