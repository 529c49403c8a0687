"""Work on this machine, in child processes: one a GPU where there are several."""

import fcntl
import multiprocessing
import os
import sys
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection

from twinrank.core.executors import Outcome, Work
from twinrank.core.locks import open_lock, try_lock
from twinrank.core.processes import end_with_parent, safe_children
from twinrank.errors import InputError, Interrupted

_BAD_INPUT, _BROKEN, _TAKEN = 2, 1, 3
"""Status of a process whose work failed by an input, by an error of its own, or that another process does."""


class Child:
    """A new process of this machine that does some work.

    Args:
        work: The work.
        environment: Variables that differ from those of this process; None takes a variable away.
    """

    def __init__(self, work: Work, environment: Mapping[str, str | None] | None = None) -> None:
        self._log = work.log
        spawn = multiprocessing.get_context("spawn")
        self._receiver, sender = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_do, args=(work, sender))
        with safe_children(environment):
            self._process.start()
        # Only the child keeps this end, so that it closes with the child.
        sender.close()

    def ended(self) -> bool:
        """Whether it has ended."""
        return not self._process.is_alive()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.join()

    def outcome(self) -> Outcome:
        """How it has ended. The log is no source: another process may write there."""
        code, found = self._process.exitcode, Outcome("done")
        if code != 0:
            try:
                found = self._receiver.recv()
            except EOFError:
                found = Outcome("failed", self._unsaid(code))
        self._receiver.close()
        return found

    def stop(self) -> None:
        """End it now, and wait until it has ended."""
        self._process.terminate()
        self._process.join()

    def _unsaid(self, code: int | None) -> str:
        """Why a process ended that could not say so."""
        where = "" if self._log is None else f" Log: {self._log}"
        if code is not None and code < 0:
            return f"killed by signal {-code} (out of memory?); run the same command again.{where}"
        return f"exit code {code}.{where}"


class LocalPool:
    """Child processes of this machine. Where there are several GPUs, each child sees one, which the fewest use.

    Args:
        workers: How many there may be at a time.
    """

    def __init__(self, workers: int) -> None:
        # The children do without torch, unless their work needs it.
        from twinrank.core.device import visible_gpus

        self.workers = workers
        gpus = visible_gpus()
        self._gpus = gpus if len(gpus) > 1 else []
        self._used: list[tuple[Child, str]] = []
        self._own: list[str] = []

    def start(self, work: Work) -> Child:
        """Start work in a process of its own."""
        if not self._gpus:
            return Child(work)
        self._used = [each for each in self._used if not each[0].ended()]
        count = Counter([*self._own, *(gpu for _, gpu in self._used)])
        gpu = min(self._gpus, key=lambda name: count[name])
        child = Child(work, {"CUDA_VISIBLE_DEVICES": gpu})
        self._used.append((child, gpu))
        return child

    def joined(self) -> bool:
        """True: this process is one of the workers, and uses the first GPU."""
        self._own = self._gpus[:1]
        return True


def _do(work: Work, sender: Connection) -> None:
    """What the child does: it prints to its log, and says why it fails to its parent."""
    end_with_parent()
    with ExitStack() as kept:
        if work.log is not None:
            try:
                work.log.parent.mkdir(parents=True, exist_ok=True)
                claim = kept.enter_context(open_lock(work.log))
                taken = not try_lock(claim, fcntl.LOCK_EX)
            except (InputError, OSError) as error:
                sender.send(Outcome("failed", str(error)))
                sys.exit(_BAD_INPUT)
            if taken:
                sender.send(Outcome("taken", f"{work.log}: another process writes there"))
                sys.exit(_TAKEN)
            log = kept.enter_context(work.log.open("a", encoding="utf-8", buffering=1))
            sys.stdout = sys.stderr = log
            os.dup2(log.fileno(), 2)
        try:
            work.call(*work.arguments)
        except (InputError, Interrupted) as error:
            print(error, file=sys.stderr)
            sender.send(Outcome("failed", str(error)))
            sys.exit(_BAD_INPUT)
        except KeyboardInterrupt:
            sys.exit(_BAD_INPUT)
        except Exception as error:
            traceback.print_exc()
            where = "" if work.log is None else f"; the log has more: {work.log}"
            sender.send(Outcome("failed", f"{type(error).__name__}: {error}{where}"))
            sys.exit(_BROKEN)
