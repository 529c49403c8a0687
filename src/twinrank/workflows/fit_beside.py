"""What ``twinrank fit`` fits beside each other, each in a process of its own, where there is room for several."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.executors import executor_of, workers_of
from twinrank.data.source import Source
from twinrank.runs import RunFolder
from twinrank.training.jobs import Job, require_all_done, run_jobs
from twinrank.training.train import load_data, resume, train
from twinrank.workflows.fit_epochs import train_until


class Head(NamedTuple):
    """A head that is fitted at once.

    Attributes:
        run: Run folder, new or begun.
        part: File of the judgements that are fitted.
        spec: Network, options and training values.
        source: How the images are read.
    """

    run: Path
    part: Path
    spec: RunSpec
    source: Source


class Fold(NamedTuple):
    """A network that is trained without a fold.

    Attributes:
        run: Run folder, new or begun.
        fitted: File of the judgements that are fitted.
        stop: File of those that choose the epoch.
    """

    run: Path
    fitted: Path
    stop: Path


def spreads(context: Context) -> bool:
    """Whether there is room for several trainings at a time, or another machine is to do them."""
    return context.executor != "local" or workers_of(context) > 1


def rounds(count: int, folder: Path, context: Context) -> int:
    """How many trainings of this number have to follow each other.

    Args:
        count: Number of trainings of equal length.
        folder: Folder that they write to.
        context: Where they run.

    Raises:
        InputError: The executor is impossible.
    """
    if not spreads(context):
        return count
    with executor_of(context, folder) as executor:
        return math.ceil(count / executor.workers)


def fit_heads(heads: Sequence[Head], context: Context) -> float:
    """Fit heads beside each other.

    Args:
        heads: Heads.
        context: Listener, and where they are fitted.

    Returns:
        Seconds that it took.

    Raises:
        InputError: One could not be fitted.
    """
    began = time.monotonic()
    jobs = [Job(each.run, each.part, None, each.spec) for each in heads]
    require_all_done(run_jobs(jobs, _FitHead({each.run: each.source for each in heads}), context=context))
    seconds = time.monotonic() - began
    context.say(f"{', '.join(each.run.name for each in heads)}: fitted beside each other in {seconds:.0f} s")
    return seconds


def train_folds(folds: Sequence[Fold], spec: RunSpec, source: Source, seconds: float, context: Context) -> None:
    """Train the networks of a cross-validation beside each other.

    Args:
        folds: Folds.
        spec: Network, options and training values.
        source: How the images are read.
        seconds: Time for each, after which its best epoch counts.
        context: Listener, and where they are trained.

    Raises:
        InputError: One could not be trained.
    """
    jobs = [Job(each.run, each.fitted, each.stop, spec) for each in folds]
    require_all_done(run_jobs(jobs, _TrainFold(source, seconds), context=context))


@dataclass(frozen=True)
class _FitHead:
    """Fits a head.

    Attributes:
        sources: How the images of each run are read.
    """

    sources: Mapping[Path, Source]

    def __call__(self, job: Job, context: Context) -> None:
        if RunFolder(job.folder).config.is_file():
            resume(job.folder, context=context)
        else:
            source = self.sources[job.folder]
            train(job.spec, job.train_file, None, job.folder, source=source, context=context)


@dataclass(frozen=True)
class _TrainFold:
    """Trains the network of a fold.

    Attributes:
        source: How the images are read.
        seconds: Time for it.
    """

    source: Source
    seconds: float

    def __call__(self, job: Job, context: Context) -> None:
        assert job.val_file is not None
        until = time.monotonic() + self.seconds
        pairs = load_data(job.train_file, job.val_file, self.source, context)
        train_until(job.spec, pairs, job.folder, until, context)
