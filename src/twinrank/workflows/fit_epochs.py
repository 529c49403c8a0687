"""Candidates of ``twinrank fit`` that are trained by epochs: as many as there is time for."""

import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.data.judgements import Judgements
from twinrank.runs import RunFolder
from twinrank.training.defaults import suited
from twinrank.training.finish import finish
from twinrank.training.hooks import Hooks, Item
from twinrank.training.progress import EpochProgress
from twinrank.training.train import resume, train
from twinrank.workflows.fit_plan import Candidate

_ENOUGH_EPOCHS = 10
"""Epochs from which on a network is taken; of fewer epochs, a cheaper one makes more."""
_MOST_PAIRS, _MOST_EPOCHS, _LEAST_EPOCHS = 1_600_000, 100, 32
"""Pairs in all epochs together from which on more time brings little, and bounds of the epochs that these make."""
_WARM, _STEPS, _SHARE = 3, 40, 0.02
"""Steps that are not timed, steps that are timed at most, and share of the time that they may take."""
_VALIDATION, _VIEWS = 0.4, 5
"""Time of the prediction of a pair from one view, as a share of that of its training; and views at the end."""
_PLANNED = 0.9
"""Share of the time that is planned. The rest is for the test and the pages, and for epochs that other processes slow
down."""


class Paced(NamedTuple):
    """A candidate that fits into the time.

    Attributes:
        candidate: Candidate, in one of its forms.
        epochs: Number of epochs; 0 where one would take too long.
        seconds: Time of an epoch.
    """

    candidate: Candidate
    epochs: int
    seconds: float


def most_epochs(count: int) -> int:
    """Epochs from which on more bring little.

    Args:
        count: Number of judgements that are fitted.
    """
    return math.ceil(min(_MOST_EPOCHS, max(_LEAST_EPOCHS, _MOST_PAIRS / count)))


def paced(
    candidate: Candidate, train: Judgements, val: Judgements, seconds: float, seed: int, threads: int | None
) -> Paced:
    """The dearest form of a candidate for which there are enough epochs, else the cheapest; it may have none.

    Some steps of a training are timed for it.

    Args:
        candidate: Candidate.
        train: Judgements that will be fitted.
        val: Judgements that will choose the epoch.
        seconds: Time for the training.
        seed: Root seed.
        threads: Threads of the CPU; None is all cores.
    """
    most = most_epochs(len(train))
    until, forms = time.monotonic() + seconds, [candidate.options, *candidate.cheaper]
    # At the end, the best epoch predicts val from all views.
    last = _VIEWS * _VALIDATION * len(val) / len(train)
    needed, epochs = math.inf, 0
    for options in forms:
        candidate = replace(candidate, options=options)
        needed = _epoch_seconds(_suited(candidate, seed, train)[0], train, val, _SHARE * seconds, threads)
        epochs = int(_PLANNED * (until - time.monotonic()) / needed - last)
        if epochs >= min(_ENOUGH_EPOCHS, most):
            break
    return Paced(candidate, max(0, min(most, epochs)), needed)


def train_in_time(
    candidate: Candidate,
    pairs: tuple[Judgements, Judgements],
    run: Path,
    until: float,
    seed: int,
    context: Context = Context(),
    least: int = 1,
    times: float = 1.0,
) -> bool:
    """Train a candidate with as many epochs as there is time for, or go on with its training.

    Args:
        candidate: Candidate.
        pairs: Judgements that are fitted, and those that choose the epoch.
        run: Run folder, new or begun.
        until: Time at which the training must be over, on the monotonic clock, in seconds.
        seed: Root seed.
        context: Listener, threads and command.
        least: Epochs at least, however long they take.
        times: Time for everything that is trained like this, as a multiple of the time of this training.

    Returns:
        Whether there is a run: where one epoch takes too long, and ``least`` is 0, there is none.
    """
    spec, left = candidate.spec(seed), (until - time.monotonic()) / times
    if not RunFolder(run).config.is_file():
        found = paced(candidate, *pairs, left, seed, context.threads)
        if not (epochs := max(least, found.epochs)):
            return False
        candidate = replace(found.candidate, train=candidate.train | {"epochs": epochs})
        spec, lines = _suited(candidate, seed, pairs[0])
        options = "".join(f", {name} {value}" for name, value in spec.options.items())
        context.say(f"{run}: {spec.model}{options}; {epochs} epochs of about {found.seconds:.0f} s")
        for line in lines:
            context.say(line)
    train_until(spec, pairs, run, until - (times - 1) * left, context)
    return True


def spec_of(run: Path) -> RunSpec:
    """What was trained in a run.

    Args:
        run: Run folder.
    """
    config = RunFolder(run).read_config()
    return RunSpec(config["model"]["name"], RunFolder(run).train_config(), config["model"]["options"])


def fitted_to(run: Path) -> int:
    """Number of judgements that a run was fitted to.

    Args:
        run: Run folder.
    """
    return RunFolder(run).read_config()["data"]["train"]["n"]


def copy_run(run: Path, out: Path) -> None:
    """Copy a run with its results, all or nothing.

    Args:
        run: Run folder.
        out: Folder of the copy, new.
    """
    new = out.with_name(f".{out.name}")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(run, new, ignore=shutil.ignore_patterns("lock", ".*"))
    new.rename(out)


def _suited(candidate: Candidate, seed: int, pairs: Judgements) -> tuple[RunSpec, list[str]]:
    """What is trained, with values that suit the pairs, and a line on each that differs."""
    spec = candidate.spec(seed)
    config, lines = suited(spec, {*candidate.train, "seed"}, pairs)
    return replace(spec, train=config), lines


def train_until(
    spec: RunSpec,
    pairs: tuple[Judgements, Judgements],
    run: Path,
    until: float,
    context: Context = Context(),
    shown: bool = True,
) -> None:
    """Train a network, or go on with its training.

    Where its next epoch would end too late, the training ends before it, and the best epoch so far counts.

    Args:
        spec: Network, options and training values; those of a run that has begun stay.
        pairs: Judgements that are fitted, and those that choose the epoch.
        run: Run folder, new or begun.
        until: Time at which the training must be over, on the monotonic clock, in seconds.
        context: Listener, threads and command.
        shown: Whether each epoch is shown.
    """
    folder = RunFolder(run)
    try:
        if folder.config.is_file():
            hooks = _Timed(folder.train_config().epochs, until, shown)
            resume(run, train=pairs[0], val=pairs[1], hooks=hooks, context=context)
        else:
            train(spec, *pairs, run, hooks=_Timed(spec.train.epochs, until, shown), context=context)
    except _OutOfTimeError as error:
        context.say(f"{run}: {error}")
        finish(folder, *pairs, folder.train_config())


class _OutOfTimeError(Exception):
    """There is no time for another epoch."""


class _Timed(EpochProgress):
    """Shows a training, and ends it where the next epoch would be too late.

    Args:
        epochs: Epochs of the whole run.
        until: Time at which the training must be over, on the monotonic clock, in seconds.
        shown: Whether lines are shown.
    """

    def __init__(self, epochs: int, until: float, shown: bool) -> None:
        super().__init__(epochs)
        self._shown, self._until, self._began, self._done = shown, until, time.monotonic(), 0

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Show one line about an epoch, and end the training where there is no time for the next."""
        if self._shown:
            super().epoch_ended(entry, best)
        self._done += 1
        now = time.monotonic()
        if entry["epoch"] < self._epochs and now + (now - self._began) / self._done > self._until:
            raise _OutOfTimeError(
                f"slower than planned; it ends after {entry['epoch']} of {self._epochs} epochs, and the best counts"
            )

    def say(self, line: str) -> None:
        """Show a line of its own."""
        if self._shown:
            super().say(line)


class _EnoughError(Exception):
    """Enough steps have been timed."""


class _Pilot(Hooks):
    """Times the first steps of a training, and ends it.

    Args:
        most: Time for these steps, in seconds.
    """

    def __init__(self, most: float) -> None:
        self._most, self._total, self._times = most, 0, list[float]()

    @property
    def epoch_seconds(self) -> float:
        """Time of the steps of an epoch."""
        times = np.diff(self._times)
        return float(np.median(times[_WARM:] if len(times) > _WARM else times)) * self._total

    def steps(self, epoch: int, batches: Iterable[Item], total: int) -> Iterator[Item]:
        """Some batches of an epoch."""
        self._total = total
        self._times.append(time.perf_counter())
        for batch in batches:
            yield batch
            self._times.append(time.perf_counter())
            late = self._times[-1] - self._times[0] > self._most and len(self._times) > 2 * _WARM
            if late or len(self._times) > _STEPS:
                break
        raise _EnoughError


def _epoch_seconds(spec: RunSpec, pairs: Judgements, val: Judgements, most: float, threads: int | None) -> float:
    """Time of an epoch and of its validation, in seconds; all augmentation and all pairs are in use."""
    pilot = _Pilot(most)
    spec = replace(spec, train=replace(spec.train, augment_from=0.0, easy_share=1.0))
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        train(spec, pairs, val, Path(folder) / "run", hooks=pilot, context=Context(threads=threads))
    return pilot.epoch_seconds * (1 + _VALIDATION * len(val) / len(pairs))
