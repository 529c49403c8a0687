"""Many trainings: each in a process and a run folder of its own, so many at a time.

Several commands may train the same jobs at the same time, also on several machines that share the folder. The process
of a job locks the job's log, so that no other process does the job. Others wait until it is done.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.executors import Executor, Task, Work, executor_of, require_executor, threads_each
from twinrank.core.locks import is_locked
from twinrank.core.messages import counted
from twinrank.data.judgements import load_pairs
from twinrank.data.stream import digest_of
from twinrank.errors import InputError, Interrupted
from twinrank.runs import RunFolder, teacher_folders
from twinrank.training.checks import finished, holds
from twinrank.training.hooks import Hooks

_POLL_SECONDS = 0.5
_MOST_LOSSES = 3
"""Machines that a job may be lost with. It may be the job that takes them down."""


@dataclass(frozen=True)
class Job:
    """One of many trainings.

    Attributes:
        folder: Run folder.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs that choose the epoch; None for a head that is cross-validated.
        spec: Network, options and training values; the teachers are those below.
        teachers: Run folders of other jobs, which have to be finished before this one begins.
    """

    folder: Path
    train_file: Path
    val_file: Path | None
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
        running: Jobs under way, those that another command trains among them.
        finished: Jobs that are done.
        failed: Reasons by name of the job.
    """

    waiting: list[Job]
    running: list[Job]
    finished: list[Job]
    failed: dict[str, str]


Begin = Callable[[Job, Context], None]
"""What does a job in this process; it can be pickled."""


def run_jobs(jobs: Sequence[Job], begin: Begin | None = None, *, context: Context = Context()) -> dict[str, str]:
    """Train all jobs; those that are finished are skipped, those that were stopped go on.

    A job that fails does not stop the others, but for those that it was to teach. Since each has its own process,
    memory (a GPU's, too) is free again after each. A job whose machine is lost is done again on another one.

    Args:
        jobs: Jobs of different folders.
        begin: What does a job, in a process of its own; :func:`train_job` if None.
        context: Listeners, command, and where the jobs run.

    Returns:
        Reasons of failures by job name; empty if nothing failed.

    Raises:
        InputError: The executor is impossible, a folder holds another run, or a teacher is not among the jobs.
        Interrupted: Ctrl-C stopped the jobs; every job keeps its finished epochs.
    """
    require_executor(context)
    refuse_other_runs(jobs)
    for job in jobs:
        if untrained := {*job.teachers} - {each.folder for each in jobs}:
            raise InputError(f"{job.folder}: its teacher {min(untrained)} is not trained beside it")
    waiting = [job for job in jobs if not finished(job.folder)]
    if not waiting:
        context.show(JobStates([], [], [*jobs], {}))
        return {}
    with executor_of(context, waiting[0].folder.parent) as executor:
        return _Queue(jobs, waiting, begin or train_job, executor, context).work()


class _Queue:
    """Jobs on their way through an executor."""

    def __init__(
        self, jobs: Sequence[Job], waiting: list[Job], begin: Begin, executor: Executor, context: Context
    ) -> None:
        self._finished = [job for job in jobs if job not in waiting]
        self._waiting = waiting
        self._running: dict[Task, Job] = {}
        self._failed: dict[str, str] = {}
        self._elsewhere: set[str] = set()
        self._lost = Counter[str]()
        self._begin = begin
        self._executor = executor
        self._context = context
        self._child = context.for_worker(threads_each(context, len(waiting)))

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
            raise Interrupted("stopped; finished epochs are kept. Go on by running the same command again") from error
        finally:
            for task in self._running:
                task.stop()
        self._show()
        return self._failed

    def _show(self) -> None:
        elsewhere = [job for job in self._waiting if job.name in self._elsewhere]
        waiting = [job for job in self._waiting if job not in elsewhere]
        running = [*self._running.values(), *elsewhere]
        self._context.show(JobStates(waiting, running, [*self._finished], dict(self._failed)))

    def _drop_untaught(self) -> None:
        for job in list(self._waiting):
            if missing := next((each for each in job.teachers if each.name in self._failed), None):
                self._waiting.remove(job)
                self._failed[job.name] = f"its teacher {missing} failed"

    def _start_ready(self) -> None:
        taught, workers = {each.folder for each in self._finished}, self._executor.workers
        for job in [each for each in self._waiting if taught.issuperset(each.teachers)]:
            if len(self._running) >= workers:
                return
            if is_locked(job.log):
                self._say_elsewhere(job)
                continue
            self._waiting.remove(job)
            if job.name in self._elsewhere and finished(job.folder):
                self._finished.append(job)
                continue
            self._elsewhere.discard(job.name)
            work = Work(_unless_finished, (self._begin, job, self._child), job.log)
            self._running[self._executor.start(work)] = job

    def _say_elsewhere(self, job: Job) -> None:
        if job.name not in self._elsewhere:
            self._elsewhere.add(job.name)
            self._context.say(f"{job.name}: another process trains it; waiting for it")

    def _collect(self) -> None:
        for task in [each for each in self._running if each.ended()]:
            job, (kind, reason) = self._running.pop(task), task.outcome()
            self._lost[job.name] += kind == "lost"
            if kind == "done":
                self._finished.append(job)
            elif kind == "taken":
                self._waiting.insert(0, job)
            elif kind == "lost" and self._lost[job.name] < _MOST_LOSSES:
                self._context.say(f"{job.name}: {reason}; it goes on elsewhere")
                self._waiting.insert(0, job)
            else:
                self._failed[job.name] = reason


def require_all_done(failed: Mapping[str, str]) -> None:
    """Make sure that no training failed.

    Args:
        failed: Reasons as :func:`run_jobs` returns them.

    Raises:
        InputError: Some failed; the message has their names and reasons.
    """
    if failed:
        lines = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        many = counted(len(failed), "training", "trainings")
        raise InputError(f"{many} failed; those that are done are kept. {lines}")


def refuse_other_runs(jobs: Sequence[Job]) -> None:
    """Make sure that each folder is new or holds its job's run.

    Pairs that are not there yet are not compared.

    Raises:
        InputError: One holds a run with other settings, or of other pairs.
    """
    digest = cache(digest_of)
    for job in jobs:
        run = RunFolder(job.folder)
        if not run.config.is_file():
            continue
        config, taught_by = run.read_config(), [each.name for each in job.teachers]
        if [each.name for each in teacher_folders(config)] != taught_by or not holds(run, job.spec):
            raise InputError(f"{job.folder}: holds a run with other settings; choose another folder with `out`")
        for part, file in (("train", job.train_file), ("val", job.val_file)):
            known = config["data"].get(part)
            if known is None or file is None or not file.exists() or digest(file) == known["sha256"]:
                continue
            if load_pairs(file).content_sha256 != known.get("content_sha256"):
                raise InputError(
                    f"{job.folder}: holds a run of other pairs than {file}; choose another folder with `out`"
                )


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


def _unless_finished(begin: Begin, job: Job, context: Context) -> None:
    """Do a job that no other command has done meanwhile."""
    if not finished(job.folder):
        begin(job, context)
