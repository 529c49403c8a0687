"""Many trainings: each in a process and a run folder of its own, so many at a time."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.processes import end_with_parent, safe_children
from twinrank.errors import InputError, Interrupted
from twinrank.runs import RunFolder, teacher_folders
from twinrank.training.checks import divided, finished, holds, require_workers
from twinrank.training.hooks import Hooks

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One of many trainings.

    Attributes:
        folder: Run folder.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs that choose the epoch.
        spec: Network, options and training values; the teachers are those below.
        teachers: Run folders of other jobs, which have to be finished before this one begins.
    """

    folder: Path
    train_file: Path
    val_file: Path
    spec: RunSpec
    teachers: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def log(self) -> Path:
        """What the job's process prints: beside the folder, since the folder may not come to be."""
        return self.folder.with_name(f"{self.folder.name}.log")


@dataclass(frozen=True)
class JobStates:
    """The states of many trainings.

    Attributes:
        waiting: Jobs that have not begun.
        running: Jobs under way.
        finished: Jobs that are done.
        failed: Reasons by name of the job.
    """

    waiting: list[Job]
    running: list[Job]
    finished: list[Job]
    failed: dict[str, str]


Begin = Callable[[Job, Context], None]
"""A function that does a job in this process."""


def run_jobs(jobs: Sequence[Job], begin: Begin | None = None, *, context: Context = Context()) -> dict[str, str]:
    """Train all jobs; those that are finished are skipped, those that were stopped go on.

    A job that fails does not stop the others, but for those that it was to teach. Since each has its own process,
    memory (a GPU's, too) is free again after each.

    Args:
        jobs: Jobs of different folders.
        begin: Function that does a job, in a process of its own; :func:`train_job` if None.
        context: Listeners, command, threads and workers.

    Returns:
        Reasons of failures by job name; empty if nothing failed.

    Raises:
        InputError: ``workers`` is impossible, a folder holds a run with other settings, or a teacher is not among the
            jobs.
        Interrupted: Ctrl-C stopped the jobs; every job keeps its finished epochs.
    """
    require_workers(context.workers)
    for job in jobs:
        refuse_other_settings(job)
        if untrained := {*job.teachers} - {each.folder for each in jobs}:
            raise InputError(f"{job.folder}: its teacher {min(untrained)} is not trained beside it")
    return _Queue(jobs, begin or train_job, context).work()


class _Queue:
    """Jobs on their way through a number of processes."""

    def __init__(self, jobs: Sequence[Job], begin: Begin, context: Context) -> None:
        self._finished = [job for job in jobs if finished(job.folder)]
        self._waiting = [job for job in jobs if job not in self._finished]
        self._running: dict[BaseProcess, tuple[Job, Connection]] = {}
        self._failed: dict[str, str] = {}
        self._begin = begin
        self._context = context
        self._child = context.for_worker(divided(context.threads, min(context.workers, len(self._waiting))))
        self._spawn = multiprocessing.get_context("spawn")

    def work(self) -> dict[str, str]:
        """Do all jobs; gives the reasons of those that failed."""
        try:
            while self._waiting or self._running:
                self._drop_untaught()
                self._start_ready()
                self._show()
                time.sleep(_POLL_SECONDS)
                self._collect()
        except KeyboardInterrupt as error:
            for process in self._running:
                process.terminate()
            for process in self._running:
                process.join()
            raise Interrupted("stopped; finished epochs are kept. Go on by running the same command again") from error
        self._show()
        return self._failed

    def _show(self) -> None:
        running = [job for job, _ in self._running.values()]
        self._context.show(JobStates([*self._waiting], running, [*self._finished], dict(self._failed)))

    def _drop_untaught(self) -> None:
        for job in list(self._waiting):
            if missing := next((each for each in job.teachers if each.name in self._failed), None):
                self._waiting.remove(job)
                self._failed[job.name] = f"its teacher {missing} failed"

    def _start_ready(self) -> None:
        taught = {each.folder for each in self._finished}
        for job in [each for each in self._waiting if taught.issuperset(each.teachers)]:
            if len(self._running) >= self._context.workers:
                return
            self._waiting.remove(job)
            receiver, sender = self._spawn.Pipe(duplex=False)
            process = self._spawn.Process(target=_work, args=(self._begin, job, self._child, sender))
            with safe_children():
                process.start()
            # Only the child keeps this end, so that it closes with the child.
            sender.close()
            self._running[process] = job, receiver

    def _collect(self) -> None:
        for process in [each for each in self._running if not each.is_alive()]:
            job, receiver = self._running.pop(process)
            if process.exitcode == 0:
                self._finished.append(job)
            else:
                self._failed[job.name] = _reason(job, receiver, process.exitcode)
            receiver.close()


def require_all_done(failed: Mapping[str, str]) -> None:
    """Make sure that no training failed.

    Args:
        failed: Reasons as :func:`run_jobs` returns them.

    Raises:
        InputError: Some failed; the message has their names and reasons.
    """
    if failed:
        lines = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(f"{len(failed)} training{'s' * (len(failed) > 1)} failed; the others are done. {lines}")


def refuse_other_settings(job: Job) -> None:
    """Make sure that a folder is new or holds this job's run.

    Raises:
        InputError: It holds another one.
    """
    run = RunFolder(job.folder)
    if not run.config.is_file():
        return
    same_teachers = [each.name for each in teacher_folders(run.read_config())] == [each.name for each in job.teachers]
    if not (same_teachers and holds(run, job.spec)):
        raise InputError(f"{job.folder}: holds a run with other settings; choose another folder with `out`")


def train_job(job: Job, context: Context = Context(), hooks: Hooks | None = None) -> None:
    """Begin a job in this process, or go on with it.

    Args:
        job: Job whose folder is new or holds its run.
        context: Threads and command.
        hooks: Calls to the outside; by default the epochs are shown.

    Raises:
        InputError: As :func:`twinrank.training.train.train`.
        Interrupted: Ctrl-C stopped the training.
    """
    from twinrank.training.train import resume, train

    if RunFolder(job.folder).config.is_file():
        resume(job.folder, hooks=hooks)
    else:
        train(job.spec, job.train_file, job.val_file, job.folder, hooks=hooks, context=context)


def _work(begin: Begin, job: Job, context: Context, reason: Connection) -> None:
    """A process of its own: what it prints goes to its log, why it fails to its parent."""
    end_with_parent()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8", buffering=1) as log:
        sys.stdout = sys.stderr = log
        os.dup2(log.fileno(), 2)
        try:
            begin(job, context)
        except (InputError, Interrupted) as error:
            print(error)
            reason.send(str(error))
            sys.exit(2)
        except Exception as error:
            traceback.print_exc()
            reason.send(f"{type(error).__name__}: {error}; the log has more: {job.log}")
            sys.exit(1)


def _reason(job: Job, receiver: Connection, exitcode: int | None) -> str:
    """Why a job failed. Its log is no source: another process may write there."""
    try:
        return receiver.recv()
    except EOFError:
        pass
    if exitcode is not None and exitcode < 0:
        return f"killed by signal {-exitcode} (out of memory?); run the same command again. Log: {job.log}"
    return f"exit code {exitcode}. Log: {job.log}"
