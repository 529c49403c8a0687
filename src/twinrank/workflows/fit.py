"""``twinrank fit``: from a table of judgements to a network, a ranking and a page, without an option."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.files import read_json, write_json
from twinrank.core.provenance import provenance
from twinrank.core.records import as_record
from twinrank.data.images.files import image_files as found_images
from twinrank.data.images.store import ImageStore
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.inference.evaluate import evaluate
from twinrank.models.registry import entry
from twinrank.runs import FIT, FITTED, RunFolder
from twinrank.training.checks import finished, require_threads
from twinrank.training.progress import EpochProgress
from twinrank.training.train import resume, train
from twinrank.workflows.fit_parts import ALL, DEVELOPMENT, HALF, TEST, Parts, divided_into_parts
from twinrank.workflows.fit_plan import MODEL, Candidate, affordable, candidates
from twinrank.workflows.fit_words import sentences
from twinrank.workflows.rank import ScoredImages, rank
from twinrank.workflows.report import report

_TRIED, _PLAN = "tried", "plan.json"
_FEATURES = 0.5
"""Share of the time that the features of all images may take in one way of reading them."""
_LEAST_HALF = 200
"""Judgements from which on half of them are fitted, too."""


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """What ``twinrank fit`` has made.

    Attributes:
        folder: Its folder.
        model: Run folder of the network that was fitted to all judgements.
        ranking: All images, ranked.
        found: What was found: content of ``fit.json``.
    """

    folder: Path
    model: Path
    ranking: ScoredImages
    found: dict[str, Any]

    def __repr__(self) -> str:
        return f"Fitted({self.folder}: {len(self.ranking.names):,} images ranked)"


def fit(
    table: Path,
    out: Path,
    source: Source | None = None,
    *,
    minutes: float = 15.0,
    seed: int = 0,
    groups: str | None = None,
    context: Context = Context(),
) -> Fitted:
    """Fit what suits the judgements of a table, and rank all images.

    Images are divided: some are held out as a test. The judgements of the others are fitted by heads on a frozen
    backbone, one for each way of reading the images. The way with the least log-loss in a cross-validation over images
    is evaluated on the test, once. Then the same is fitted to all judgements, and ranks all images. What is done
    already is not done again, so a command that was stopped goes on when it is given again.

    Args:
        table: Table of judgements, or a folder with one.
        out: Folder of everything that is made.
        source: Where the images are, and how the table is read.
        minutes: Time for trying; what is tried first is always finished.
        seed: Root seed.
        groups: Column of groups of images, which are held out whole; or two, separated by a comma. Without any, images
            that lie in several folders are held out by folder. :data:`twinrank.workflows.fit_parts.NO_GROUPS` holds out
            single images.
        context: Listeners and command.

    Raises:
        InputError: The table or the images are refused, there are too few judgements, or the folder holds something
            else.
    """
    if not 0 <= minutes < math.inf:
        raise InputError(f"`minutes` is {minutes}; it must be a number of at least 0")
    if context.threads is not None:
        require_threads(context.threads)
    began, out = time.monotonic(), Path(out)
    parts = divided_into_parts(Path(table), out, source or Source(), seed, groups, context)
    work = _Fit(parts, _planned(parts, out, 60 * minutes, context), out, seed, context)
    best = work.tried(began + 60 * minutes)
    test = evaluate(RunFolder(best), [parts.part(TEST)], source=work.source_of(best), context=work.quiet)[TEST]
    halved = work.halved(best)
    model = work.trained(out / FITTED, ALL, work.source_of(best))
    found = _found(work, best, test, halved)
    write_json(out / FIT, found | provenance(context.command))
    ranking = rank(
        [model],
        parts.images,
        out / "ranking.csv",
        parts.part(ALL),
        seed=seed,
        notes=found["said"],
        context=work.quiet,
    )
    report(best, out / "report.html")
    return Fitted(out, model, ranking, found)


class _Fit:
    """What is fitted to parts of the judgements, in ``out``.

    Args:
        parts: The judgements.
        plan: Candidates, the most promising first.
        out: Folder.
        seed: Root seed.
        context: Listeners and threads.
    """

    def __init__(self, parts: Parts, plan: Sequence[Candidate], out: Path, seed: int, context: Context) -> None:
        self.parts, self.plan, self.out, self.seed, self.context = parts, plan, out, seed, context
        # The lines about a table are said once.
        self.quiet = replace(context, say=_nothing)

    def source_of(self, run: Path) -> Source:
        """How a run reads its images."""
        chosen = next((each for each in self.plan if each.name == run.name), self.plan[0])
        return replace(self.parts.source, reading=chosen.reading(self.parts.source.reading))

    def tried(self, until: float) -> Path:
        """The run of the candidate with the least out-of-fold log-loss.

        Args:
            until: Time after which nothing new is begun, on the monotonic clock, in seconds. A candidate is left out if
                it would take longer than what is left, as the last one did.
        """
        losses: dict[Path, float] = {}
        seconds = 0.0
        for candidate in self.plan:
            run = self.out / _TRIED / candidate.name
            if losses and not finished(run) and time.monotonic() + seconds > until:
                self.context.say(f"{candidate.name}: left out for want of time; give more `minutes` to try it")
                continue
            began = time.monotonic()
            self.trained(run, DEVELOPMENT, self.source_of(run))
            seconds = time.monotonic() - began
            losses[run] = self.log_loss(run)
            self.context.say(f"{candidate.name} ({_words(candidate)}): out-of-fold log-loss {losses[run]:.4f}")
        return min(losses, key=lambda run: losses[run])

    def log_loss(self, run: Path) -> float:
        """Out-of-fold log-loss of a run."""
        return RunFolder(run).best_epoch()["train"]["loss"]

    def halved(self, best: Path) -> Path | None:
        """The run of half of the judgements, read as the best run does; None where they are few."""
        if self.parts.counts[HALF] < _LEAST_HALF:
            return None
        return self.trained(self.out / _TRIED / HALF, HALF, self.source_of(best))

    def trained(self, run: Path, part: str, source: Source) -> Path:
        """A run that was fitted to a part of the judgements."""
        if finished(run):
            self.context.say(f"{run}: done before")
            return run
        if RunFolder(run).config.is_file():
            resume(run, hooks=_Progress(1), context=self.quiet)
            return run
        spec = RunSpec(MODEL, replace(entry(MODEL).train, seed=self.seed))
        train(spec, self.parts.part(part), None, run, source=source, hooks=_Progress(1), context=self.quiet)
        self.context.say(f"{run}: fitted to {self.parts.counts[part]:,} judgements")
        return run


def _planned(parts: Parts, out: Path, seconds: float, context: Context) -> list[Candidate]:
    """What is tried, at sizes for which there is time; kept for the next call, which may have other time.

    Args:
        parts: The judgements.
        out: Folder in which the plan is kept.
        seconds: Time for everything.
        context: Listeners and threads.
    """
    kept, given, images = out / _PLAN, parts.source.reading, parts.images
    if not kept.exists():
        if isinstance(images, ImageStore):
            count, wanted = len(images), [Candidate("arrays", "resize", min(images.shape[1:]))]
        else:
            count = max(len(parts.files), len(found_images(images)))
            wanted = candidates(parts.files, given)
        fitting = [affordable(each, count, _FEATURES * seconds, context) for each in wanted]
        write_json(kept, [asdict(each) for each in fitting])
    read: Any = as_record(read_json(kept), list[Candidate], str(kept), "a plan of fit")
    plan = [Candidate(**each) for each in read]
    if not isinstance(images, ImageStore):
        # Images that nobody judged are ranked, too: what cannot be used is said before anything is fitted.
        ImageStore.from_folder(images, plan[0].reading(given), context.progress, context.threads)
    return plan


class _Progress(EpochProgress):
    """How far the features are; what was fitted is said by the command itself."""

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Nothing: the only epoch is no news."""


def _nothing(line: str) -> None:
    pass


def _words(candidate: Candidate) -> str:
    ways = {"resize": "whole images", "pad": "whole images, padded", "native": "the middle at its own resolution"}
    return f"{ways.get(candidate.fit, candidate.fit)}, {candidate.size} pixels"


def _found(work: _Fit, best: Path, test: Mapping[str, Any], halved: Path | None) -> dict[str, Any]:
    """What was found, for ``fit.json``."""
    tried = {run.name: work.log_loss(run) for run in sorted((work.out / _TRIED).iterdir()) if run.name != HALF}
    accuracy = {run: RunFolder(run).best_epoch()["val"]["accuracy"] for run in (best, halved) if run is not None}
    counts = work.parts.counts
    found: dict[str, Any] = {
        "judgements": counts,
        "tried": {"out_of_fold_log_loss": tried, "best": best.name},
        "out_of_fold": {
            "accuracy": accuracy[best],
            "log_loss": work.log_loss(best),
            "n": work.parts.counts[DEVELOPMENT],
        },
        "test": test,
    }
    if halved is not None:
        found["half"] = {"accuracy": accuracy[halved], "log_loss": work.log_loss(halved), "n": counts[HALF]}
    if work.parts.agreement is not None:
        found["agreement"] = {
            "agreement": work.parts.agreement.agreement.record(),
            "ceiling": work.parts.agreement.ceiling.record(),
        }
    return found | {"said": sentences(found)}
