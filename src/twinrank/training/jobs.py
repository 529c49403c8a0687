"""Many trainings: each in a process and a run folder of its own, so many at a time."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from twinrank.config import TrainConfig
from twinrank.core.device import available_threads
from twinrank.errors import InputError, Interrupted
from twinrank.runs import RunFolder, teacher_folders
from twinrank.training import train as training
from twinrank.training.progress import EpochProgress

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One training of a grid.

    Attributes:
        folder: run folder.
        train_file: labelled pairs that are fitted.
        val_file: labelled pairs that choose the epoch.
        model: name of the network.
        config: of the training.
        options: of the network, where they differ from its defaults.
        teachers: run folders of other jobs, which have to be finished before this one begins.
    """

    folder: Path
    train_file: Path
    val_file: Path
    model: str
    config: TrainConfig
    options: dict[str, Any] = field(default_factory=dict)
    teachers: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    @property
    def log(self) -> Path:
        """What its process prints: beside the folder, since the folder may not come to be."""
        return self.folder.with_name(f"{self.folder.name}.log")


@dataclass(frozen=True)
class Progress:
    """How a grid stands.

    Attributes:
        waiting: jobs that have not begun.
        running: jobs under way.
        finished: jobs that are done.
        failed: what was wrong, by name of the job.
    """

    waiting: list[Job]
    running: list[Job]
    finished: list[Job]
    failed: dict[str, str]


Begin = Callable[[Job, int | None, str], None]
"""Does a job with so many threads; the command is recorded."""


def run_grid(
    jobs: Sequence[Job],
    workers: int = 1,
    threads: int | None = None,
    command: str = "",
    show: Callable[[Progress], None] = lambda progress: None,
    begin: Begin | None = None,
) -> dict[str, str]:
    """Train all jobs; those that are finished are skipped, those that were stopped go on.

    A job that fails does not stop the others, but for those that it was to teach. Since each has its own process,
    memory (a GPU's, too) is free again after each.

    Args:
        jobs: of different folders.
        workers: processes at a time; the threads are divided among them.
        threads: of the CPU; all cores by default.
        command: recorded.
        show: called whenever something may have changed.
        begin: does a job, in a process of its own; :func:`train_job` if None.

    Returns:
        What was wrong, by job name; empty if nothing was.

    Raises:
        InputError: ``workers`` is impossible, a folder holds a run with other settings, or a teacher is not among the
            jobs.
        Interrupted: stopped by Ctrl-C; every job keeps its finished epochs.
    """
    require_workers(workers)
    for job in jobs:
        refuse_other_settings(job)
        if untrained := {*job.teachers} - {each.folder for each in jobs}:
            raise InputError(f"{job.folder}: its teacher {min(untrained)} is not trained beside it")
    finished = [job for job in jobs if training.finished(job.folder)]
    waiting = [job for job in jobs if job not in finished]
    share = divided(threads, min(workers, len(waiting)))
    running: dict[BaseProcess, Job] = {}
    failed: dict[str, str] = {}
    context = multiprocessing.get_context("spawn")
    try:
        while waiting or running:
            for job in list(waiting):
                if missing := next((each for each in job.teachers if each.name in failed), None):
                    waiting.remove(job)
                    failed[job.name] = f"its teacher {missing} failed"
            taught = {each.folder for each in finished}
            ready = [each for each in waiting if taught.issuperset(each.teachers)]
            while ready and len(running) < workers:
                job = ready.pop(0)
                waiting.remove(job)
                process = context.Process(target=_work, args=(begin or train_job, job, share, command))
                process.start()
                running[process] = job
            show(Progress(waiting, list(running.values()), finished, failed))
            time.sleep(_POLL_SECONDS)
            for process in [each for each in running if not each.is_alive()]:
                job = running.pop(process)
                if process.exitcode == 0:
                    finished.append(job)
                else:
                    failed[job.name] = _reason(job, process.exitcode)
    except KeyboardInterrupt as error:
        for process in running:
            process.terminate()
        for process in running:
            process.join()
        raise Interrupted("stopped; finished epochs are kept. Go on by running the same command again") from error
    show(Progress(waiting, [], finished, failed))
    return failed


def require_all_done(failed: Mapping[str, str]) -> None:
    """Make sure that no training failed.

    Args:
        failed: as :func:`run_grid` returns it.

    Raises:
        InputError: some did; says which and why.
    """
    if failed:
        lines = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(f"{len(failed)} training{'s' * (len(failed) > 1)} failed; the others are done. {lines}")


def require_workers(workers: int) -> None:
    """Make sure that so many trainings at a time are possible.

    Raises:
        InputError: they are not.
    """
    if workers < 1:
        raise InputError(f"--workers: {workers} is not possible; use 1 or more")


def divided(threads: int | None, workers: int) -> int:
    """Threads for each of some processes.

    Args:
        threads: for all of them; all cores by default.
        workers: how many there are.

    Raises:
        InputError: so many threads are impossible.
    """
    threads = available_threads() if threads is None else threads
    training.require_threads(threads)
    return max(1, threads // max(1, workers))


def refuse_other_settings(job: Job) -> None:
    """Make sure that a folder is new or holds this job's run.

    Raises:
        InputError: it holds another one.
    """
    run = RunFolder(job.folder)
    if not run.config.is_file():
        return
    same_teachers = [each.name for each in teacher_folders(run.read_config())] == [each.name for each in job.teachers]
    if not (same_teachers and training.holds(run, job.model, job.options, job.config)):
        raise InputError(f"{job.folder}: holds a run with other settings; choose another folder with --out")


def train_job(job: Job, threads: int | None = None, command: str = "", progress: EpochProgress | None = None) -> None:
    """Begin a job in this process, or go on with it.

    Args:
        job: whose folder is new or holds its run.
        threads: of the CPU; all cores by default.
        command: recorded.
        progress: is told of the epochs; by default they are shown.

    Raises:
        InputError: as :func:`twinrank.training.train.train`.
        Interrupted: stopped by Ctrl-C.
    """
    if RunFolder(job.folder).config.is_file():
        training.resume(job.folder, progress)
    else:
        files = job.train_file, job.val_file
        training.train(job.model, *files, job.folder, job.config, job.options, threads, command, progress=progress)


def _work(begin: Begin, job: Job, threads: int, command: str) -> None:
    """A process of its own: errors go to its log, and its exit code tells."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8", buffering=1) as log:
        sys.stdout = sys.stderr = log
        os.dup2(log.fileno(), 2)
        try:
            begin(job, threads, command)
        except (InputError, Interrupted) as error:
            print(error)
            sys.exit(2)


def _reason(job: Job, exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by signal {-exitcode} (out of memory?); run the same command again. Log: {job.log}"
    lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines() if job.log.is_file() else []
    return lines[-1] if lines else f"exit code {exitcode}"
