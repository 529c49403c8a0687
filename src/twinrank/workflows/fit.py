"""``twinrank fit``: from a table of judgements to a network, a ranking and a page, without an option."""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.files import read_json, write_json
from twinrank.core.provenance import provenance
from twinrank.core.randomness import numpy_generator
from twinrank.core.records import as_record
from twinrank.data.formats.votes.files import image_files
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.write import votes_as_csv
from twinrank.data.images.files import image_files as found_images
from twinrank.data.images.store import ImageStore
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.agreement import agreement
from twinrank.inference.evaluate import evaluate
from twinrank.models.registry import entry
from twinrank.runs import FIT, FITTED, RunFolder
from twinrank.training.checks import finished, require_threads
from twinrank.training.progress import EpochProgress
from twinrank.training.train import resume, train
from twinrank.workflows.fit_plan import MODEL, Candidate, affordable, candidates, divided
from twinrank.workflows.fit_words import sentences
from twinrank.workflows.rank import ScoredImages, rank
from twinrank.workflows.report import report
from twinrank.workflows.split import write_parts

NO_GROUPS = "none"
"""In place of a column of groups: images are held out, whatever their folders are."""
_TRIED, _SPLIT, _HALF = "tried", "split", "half"
_FITTED_ALL, _DEVELOPMENT, _TEST = "judgements", "development", "test"
_REQUESTED, _PLAN = "requested.json", "plan.json"
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
    groups: bool = True,
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
        source: Where the images are, and how the table is read. Groups of its columns are held out whole.
        minutes: Time for trying; what is tried first is always finished.
        seed: Root seed.
        groups: Whether images that lie in several folders are held out by folder, where the table has no groups.
        context: Listeners and command.

    Raises:
        InputError: The table or the images are refused, there are too few judgements, or the folder holds something
            else.
    """
    if not 0 <= minutes < math.inf:
        raise InputError(f"`minutes` is {minutes}; it must be a number of at least 0")
    if context.threads is not None:
        require_threads(context.threads)
    began, source = time.monotonic(), source or Source()
    work = _Fit(Path(table), Path(out), source, seed, groups, context)
    best = work.tried(work.planned(60 * minutes), began + 60 * minutes)
    test = evaluate(RunFolder(best), [work.part(_TEST)], source=work.source_of(best), context=work.quiet)[_TEST]
    halved = work.halved(best)
    model = work.trained(out / FITTED, _FITTED_ALL, work.source_of(best))
    found = _found(work, best, test, halved)
    write_json(out / FIT, found | provenance(context.command))
    ranking = rank(
        [model],
        work.images,
        out / "ranking.csv",
        work.part(_FITTED_ALL),
        seed=seed,
        notes=found["said"],
        context=work.quiet,
    )
    report(best, out / "report.html")
    return Fitted(out, model, ranking, found)


class _Fit:
    """Judgements of a table, divided into parts that lie in ``out``."""

    def __init__(self, table: Path, out: Path, source: Source, seed: int, groups: bool, context: Context) -> None:
        self.out, self.seed, self.context = out, seed, context
        # The lines about a table are said once.
        self.quiet = replace(context, say=_nothing)
        votes = read_votes(table, source.columns)
        files = image_files(votes, source.images, context.say)
        if votes.y is None:
            raise InputError(f"{votes.path}: has no outcomes; name their column with `columns`, such as winner=COLUMN")
        if votes.tie.all():
            raise InputError(f"{votes.path}: every judgement is a tie, so nothing can be learned; judge other pairs")
        self.images = source.images or (votes.path if votes.path.is_dir() else votes.path.parent)
        sides = files[: len(votes)], files[len(votes) :]
        requested = {"judgements": hashlib.sha256(votes_as_csv(votes).encode()).hexdigest(), "seed": seed}
        requested |= {"images": str(self.images.resolve()), "groups": groups, **source.reading.to_json()}
        votes, split = divided(votes, sides, self.images, seed, context.say, by_folder=groups)
        _require_same(out / _REQUESTED, requested)
        tested = (split.sides == 2).sum(0)
        half = numpy_generator(seed, _HALF).permutation(np.flatnonzero(tested == 0))
        rows = {
            _FITTED_ALL: np.arange(len(votes)),
            _DEVELOPMENT: np.flatnonzero(tested == 0),
            _TEST: np.flatnonzero(tested == 2),
            _HALF: np.sort(half[: len(half) // 2]),
        }
        self.counts = {name: len(places) for name, places in rows.items()}
        self.counts["one_unseen"] = int((tested == 1).sum())
        self.counts["images"] = len(set(files))
        write_parts(votes, sides, self.images, out / _SPLIT, rows)
        pairs = np.unique(np.array([str(file) for file in files]), return_inverse=True)[1].reshape(2, -1).T
        rater = None if votes.rater is None else np.array(votes.rater)
        assert votes.y is not None
        self.agreement = agreement(votes.y, pairs, tie=votes.tie, weight=votes.weight, rater=rater)
        self._source = Source(images=self.images, reading=source.reading)
        self._files, self._plan = files, list[Candidate]()

    def part(self, name: str) -> Path:
        """Table of some judgements."""
        return self.out / _SPLIT / f"{name}.csv"

    def source_of(self, run: Path) -> Source:
        """How a run reads its images."""
        chosen = next((each for each in self._plan if each.name == run.name), self._plan[0])
        return replace(self._source, reading=chosen.reading(self._source.reading))

    def planned(self, seconds: float) -> list[Candidate]:
        """What is tried, at sizes for which there is time; kept for the next call, which may have other time.

        Args:
            seconds: Time for everything.
        """
        kept = self.out / _PLAN
        if not kept.exists():
            images = max(len(set(self._files)), len(found_images(self.images)))
            wanted = candidates(self._files, self._source.reading)
            fitting = [affordable(each, images, _FEATURES * seconds, self.context) for each in wanted]
            write_json(kept, [asdict(each) for each in fitting])
        plan: Any = as_record(read_json(kept), list[Candidate], str(kept), "a plan of fit")
        self._plan = [Candidate(**each) for each in plan]
        # Images that nobody judged are ranked, too: what cannot be used is said before anything is fitted.
        reading = self._plan[0].reading(self._source.reading)
        ImageStore.from_folder(self.images, reading, self.context.progress, self.context.threads)
        return self._plan

    def tried(self, plan: Sequence[Candidate], until: float) -> Path:
        """The run of the candidate with the least out-of-fold log-loss.

        Args:
            plan: Candidates, the most promising first.
            until: Time after which nothing new is begun, on the monotonic clock, in seconds. A candidate is left out if
                it would take longer than what is left, as the last one did.
        """
        losses: dict[Path, float] = {}
        seconds = 0.0
        for candidate in plan:
            run = self.out / _TRIED / candidate.name
            if losses and not finished(run) and time.monotonic() + seconds > until:
                self.context.say(f"{candidate.name}: left out for want of time; give more `minutes` to try it")
                continue
            began = time.monotonic()
            self.trained(run, _DEVELOPMENT, self.source_of(run))
            seconds = time.monotonic() - began
            losses[run] = self.log_loss(run)
            self.context.say(f"{candidate.name} ({_words(candidate)}): out-of-fold log-loss {losses[run]:.4f}")
        return min(losses, key=lambda run: losses[run])

    def log_loss(self, run: Path) -> float:
        """Out-of-fold log-loss of a run."""
        return RunFolder(run).best_epoch()["train"]["loss"]

    def halved(self, best: Path) -> Path | None:
        """The run of half of the judgements, read as the best run does; None where they are few."""
        if self.counts[_HALF] < _LEAST_HALF:
            return None
        return self.trained(self.out / _TRIED / _HALF, _HALF, self.source_of(best))

    def trained(self, run: Path, part: str, source: Source) -> Path:
        """A run that was fitted to a part of the judgements."""
        if finished(run):
            self.context.say(f"{run}: done before")
            return run
        if RunFolder(run).config.is_file():
            resume(run, hooks=_Progress(1), context=self.quiet)
            return run
        spec = RunSpec(MODEL, replace(entry(MODEL).train, seed=self.seed))
        train(spec, self.part(part), None, run, source=source, hooks=_Progress(1), context=self.quiet)
        self.context.say(f"{run}: fitted to {self.counts[part]:,} judgements")
        return run


def group_columns(groups: str | None) -> dict[str, str]:
    """What a name of a column of groups, or two such names, states about the columns of a table."""
    if groups is None or groups == NO_GROUPS:
        return {}
    left, comma, right = groups.partition(",")
    return {"left_group": left.strip(), "right_group": right.strip()} if comma else {"group": groups}


class _Progress(EpochProgress):
    """How far the features are; what was fitted is said by the command itself."""

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Nothing: the only epoch is no news."""


def _nothing(line: str) -> None:
    pass


def _require_same(path: Path, requested: dict[str, Any]) -> None:
    """Keep what was requested, or make sure that it is what the folder was begun with."""
    if not path.exists():
        if path.parent.exists() and (not path.parent.is_dir() or any(path.parent.iterdir())):
            raise InputError(f"{path.parent}: holds other files; choose a new folder with `out`")
        write_json(path, requested)
        return
    before = read_json(path)
    before = before if isinstance(before, dict) else {}
    if changed := [name for name, value in requested.items() if before.get(name) != value]:
        names = ", ".join(f"`{name}`" for name in changed)
        raise InputError(
            f"{path.parent}: was begun with other {names}; choose another folder with `out` (features that were"
            " computed are found again)"
        )


def _words(candidate: Candidate) -> str:
    ways = {"resize": "whole images", "pad": "whole images, padded", "native": "the middle at its own resolution"}
    return f"{ways.get(candidate.fit, candidate.fit)}, {candidate.size} pixels"


def _found(work: _Fit, best: Path, test: Mapping[str, Any], halved: Path | None) -> dict[str, Any]:
    """What was found, for ``fit.json``."""
    tried = {run.name: work.log_loss(run) for run in sorted((work.out / _TRIED).iterdir()) if run.name != _HALF}
    accuracy = {run: RunFolder(run).best_epoch()["val"]["accuracy"] for run in (best, halved) if run is not None}
    found: dict[str, Any] = {
        "judgements": work.counts,
        "tried": {"out_of_fold_log_loss": tried, "best": best.name},
        "out_of_fold": {"accuracy": accuracy[best], "log_loss": work.log_loss(best), "n": work.counts[_DEVELOPMENT]},
        "test": test,
    }
    if halved is not None:
        found["half"] = {"accuracy": accuracy[halved], "log_loss": work.log_loss(halved), "n": work.counts[_HALF]}
    if work.agreement is not None:
        found["agreement"] = {
            "agreement": work.agreement.agreement.record(),
            "ceiling": work.agreement.ceiling.record(),
        }
    return found | {"said": sentences(found)}
