"""What ``twinrank fit`` fits to parts of the judgements: candidates, then the best of them again."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twinrank.core.context import Context
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.vote_calibration import VoteCalibration
from twinrank.inference.network import Network
from twinrank.inference.out_of_fold import OutOfFold
from twinrank.runs import FIT, FITTED, RunFolder
from twinrank.training.checks import finished
from twinrank.training.progress import EpochProgress
from twinrank.training.train import load_data, resume, train
from twinrank.workflows.fit_beside import Head, fit_heads, spreads
from twinrank.workflows.fit_epochs import copy_run, fitted_to, most_epochs, paced, spec_of, train_in_time, train_until
from twinrank.workflows.fit_folds import HELD_OUT, Folded
from twinrank.workflows.fit_judged import HeldOut, compared
from twinrank.workflows.fit_parts import ALL, ALL_BUT_VAL, DEVELOPMENT, HALF, TRAIN, VAL, Parts
from twinrank.workflows.fit_plan import LEAST_VAL, Candidate, keep_plan
from twinrank.workflows.fit_words import table_row
from twinrank.workflows.rank import ScoredImages, rank

TRIED = "tried"
"""Name of the folder of candidates."""
_LEAST_HALF = 200
"""Judgements from which on half of them are fitted, too."""
_WITH_THE_REST = 2
"""Time of a head and of what is fitted after it, as a multiple of that of the head."""
_AGAIN = 1.1
"""Time for fitting a network again, as a multiple of what its size suggests."""


class Trials:
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
        self._warned = dict[Path, list[str]]()

    @property
    def closed(self) -> bool:
        """Whether the test has been evaluated and the result is written: then nothing else is tried."""
        return (self.out / FIT).is_file()

    def candidate(self, run: Path) -> Candidate:
        """What a run that was tried is of."""
        return next(each for each in self.plan if each.name == run.name)

    def source_of(self, run: Path) -> Source:
        """How a run that was tried reads its images."""
        return self.source(self.candidate(run))

    def source(self, candidate: Candidate) -> Source:
        """How a candidate reads its images."""
        return replace(self.parts.source, reading=candidate.reading(self.parts.source.reading))

    def tried(self, until: float) -> Path:
        """The run of the candidate with the least log-loss on images that it was not fitted to.

        Args:
            until: Time after which nothing new is begun, on the monotonic clock, in seconds. A head is left out if it
                would take longer than what is left, as the last one did.
        """
        runs = list[Path]()
        at_first = [each for each in self.plan if not (each.by_epochs or each.beside or self.closed)]
        beside, seconds = self.fitted_beside([(self.out / TRIED / each.name, DEVELOPMENT, each) for each in at_first])
        self.context.say(table_row("candidate", "log-loss", "accuracy", "seconds", "what"))
        for candidate in self.plan:
            run, began = self.out / TRIED / candidate.name, time.monotonic()
            if candidate.beside and (not runs or self.best(runs).name != candidate.beside):
                continue
            if done := self.done(run) and (not candidate.folds or (_folds_of(run) / HELD_OUT).is_file()):
                tried = True
            elif candidate.by_epochs:
                tried = self.trained_by_epochs(run, candidate, until - seconds, least=0 if runs else 1)
            elif tried := not runs or (began + _WITH_THE_REST * seconds <= until and not self.closed):
                self.trained(run, DEVELOPMENT, candidate)
                seconds = time.monotonic() - began
            if not tried:
                self.context.say(f"{candidate.name}: left out for want of time; give more `minutes` and another `out`")
                continue
            runs.append(run)
            took = seconds if run in beside else time.monotonic() - began
            judged, took = self.judged(run), "done before" if done and run not in beside else f"{took:.0f}"
            numbers = f"{judged['log_loss']:.4f}", f"{judged['accuracy']:.1%}"
            self.context.say(table_row(candidate.name, *numbers, took, candidate.words))
        return self.best(runs, self.context)

    def fitted_beside(self, wanted: Sequence[tuple[Path, str, Candidate]]) -> tuple[set[Path], float]:
        """Fit heads beside each other, where there are several and room for them.

        Args:
            wanted: Run folder, part and candidate of each.

        Returns:
            The runs that were fitted, and the seconds that it took.
        """
        todo = [each for each in wanted if not self.done(each[0])]
        if len(todo) < 2 or not spreads(self.context):
            return set(), 0.0
        heads = [Head(run, self.parts.part(part), one.spec(self.seed), self.source(one)) for run, part, one in todo]
        return {each.run for each in heads}, fit_heads(heads, self.context)

    def best(self, runs: Sequence[Path], context: Context = Context()) -> Path:
        """The run with the least log-loss.

        Args:
            runs: Runs that were tried.
            context: Listener for the log-losses of runs that are judged otherwise by themselves.
        """
        losses = self.losses(runs, context)
        return min(losses, key=lambda run: losses[run])

    def done(self, run: Path) -> bool:
        """Whether nothing is left to do. Once the result is written, a training that was cut short stays so."""
        return finished(run) or (self.closed and RunFolder(run).weights.is_file())

    def judged(self, run: Path) -> dict[str, Any]:
        """Accuracy, log-loss and number of the judgements that judge a run: out-of-fold, or those of its epoch."""
        candidate = self.candidate(run)
        if not candidate.by_epochs:
            return self.judged_head(run, DEVELOPMENT)
        if candidate.folds:
            return self.held_out(run).judged(self.parts.votes)
        val = RunFolder(run).best_epoch()["val"]
        return {name: val[name] for name in ("accuracy", "log_loss")} | {"n": self.parts.counts[VAL]}

    def judged_head(self, run: Path, part: str) -> dict[str, Any]:
        """The same of a head that is fitted at once, by out-of-fold predictions of the part that it is fitted to."""
        entry = RunFolder(run).best_epoch()
        found = {"accuracy": entry["val"]["accuracy"], "log_loss": entry["train"]["loss"]}
        return found | {"n": self.parts.counts[part]}

    def losses(self, runs: Sequence[Path], context: Context) -> dict[Path, float]:
        """Log-loss of each run, on the same judgements."""
        if not any(self.candidate(run).by_epochs for run in runs) or len(runs) == 1:
            return {run: self.judged(run)["log_loss"] for run in runs}
        losses, rows = compared({run: self.held_out(run) for run in runs}, self.parts.votes)
        for run, loss in losses.items():
            context.say(f"{run.name}: log-loss {loss:.4f} on {rows:,} judgements that judge all candidates")
        return losses

    def held_out(self, run: Path) -> HeldOut:
        """Predictions of a tried run for images that it was not fitted to."""
        folder, candidate = RunFolder(run), self.candidate(run)
        by_epochs = candidate.by_epochs
        if candidate.folds:
            kept = Predictions.load(_folds_of(run) / HELD_OUT)
            return HeldOut(self.parts.rows[DEVELOPMENT], kept.logit, kept.meta["nu"])
        if by_epochs:
            network = Network(folder)
            val = network.form.load(self.parts.part(VAL), None, self.source_of(run), self.quiet)
            logit = network.logits(val)
        else:
            logit = OutOfFold.load(folder.out_of_fold).logit
        rows, kept = self.parts.rows[VAL if by_epochs else DEVELOPMENT], folder.calibration
        if not kept.is_file():
            return HeldOut(rows, logit)
        calibration = VoteCalibration.load(kept)
        return HeldOut(rows, calibration.logits(logit), calibration.nu)

    def fitted_again_beside(self, best: Path) -> None:
        """Do what :meth:`halved` and :meth:`final` do for a head, where there is room for both; they find it done."""
        if not (candidate := self.candidate(best)).by_epochs:
            half = [(self.out / TRIED / HALF, HALF, candidate)] if self.parts.counts[HALF] >= _LEAST_HALF else []
            self.fitted_beside([*half, (self.out / FITTED, ALL, candidate)])

    def halved(self, best: Path) -> Path | None:
        """The run of half of the judgements, read as the best run does; None where they are few, or it takes long."""
        candidate = self.candidate(best)
        if self.parts.counts[HALF] < _LEAST_HALF or candidate.by_epochs:
            return None
        return self.trained_again(self.out / TRIED / HALF, HALF, candidate)

    def trained_again(self, run: Path, part: str, candidate: Candidate) -> Path:
        """A head like the best one, that was fitted to another part of the judgements."""
        if self.done(run):
            self.context.say(f"{run}: done before")
        else:
            self.trained(run, part, candidate)
            self.context.say(f"{run}: fitted to {self.parts.counts[part]:,} judgements")
        return run

    def warnings(self, model: Path, best: Path) -> list[str]:
        """What the training of the model warned of, or that of the best candidate, where the model is a copy of it."""
        return self._warned.get(model, self._warned.get(best, []))

    def trained(self, run: Path, part: str, candidate: Candidate) -> None:
        """Fit a head to a part of the judgements, or go on with it."""
        given, source, hooks = self.parts.part(part), self.source(candidate), _Progress()
        self._warned[run] = hooks.warnings
        if RunFolder(run).config.is_file():
            # The images, or the whole folder, may have moved since.
            images = None if isinstance(self.parts.images, ImageStore) else self.parts.images
            there = Path(RunFolder(run).read_config()["data"]["train"]["path"]).exists()
            moved = None if there else given
            resume(run, train=moved, images=images, hooks=hooks, context=self.quiet)
            return
        train(candidate.spec(self.seed), given, None, run, source=source, hooks=hooks, context=self.quiet)

    def trained_by_epochs(self, run: Path, candidate: Candidate, until: float, least: int) -> bool:
        """Train a network with as many epochs as there is time for.

        Args:
            run: Run folder.
            candidate: Network.
            until: Time for everything, on the monotonic clock, in seconds.
            least: Epochs at least, however long they take.

        Returns:
            Whether there is a run.
        """
        if self.closed:
            return False
        if not candidate.folds:
            return self.trained_alone(run, candidate, until, least)
        try:
            folded = self.folded(run, DEVELOPMENT)
        except InputError as error:
            if least:
                raise
            self.context.say(f"{candidate.name}: {error}")
            return False
        if not RunFolder(run).config.is_file() and not self.time_for_folds(run, candidate, folded, until):
            candidate = self.replanned(replace(candidate, folds=0))
            self.context.say(f"{run}: no time to cross-validate it, so the images that choose its epoch judge it")
            return self.trained_alone(run, candidate, until, least)
        times = 1 + folded.cost(_folds_of(run), self.context)
        if not train_in_time(candidate, folded.pairs(), run, until, self.seed, self.context, least, times):
            return False
        folded.cross_validate(spec_of(run), _folds_of(run), until, self.context)
        return True

    def trained_alone(self, run: Path, candidate: Candidate, until: float, least: int) -> bool:
        """The same without a cross-validation."""
        return train_in_time(candidate, self.pairs(run, TRAIN), run, until, self.seed, self.context, least)

    def time_for_folds(self, run: Path, candidate: Candidate, folded: Folded, until: float) -> bool:
        """Whether a cross-validation leaves enough epochs, or only it can judge a network.

        Args:
            run: Run folder.
            candidate: Network.
            folded: Judgements in folds.
            until: Time for everything, on the monotonic clock, in seconds.
        """
        if self.parts.counts[VAL] < LEAST_VAL:
            return True
        times = 1 + folded.cost(_folds_of(run), self.context)
        pairs, left = folded.pairs(), (until - time.monotonic()) / times
        found = paced(candidate, *pairs, left, self.seed, self.context.threads)
        return found.candidate.options == candidate.options and found.epochs >= most_epochs(len(pairs[0])) / 2

    def replanned(self, candidate: Candidate) -> Candidate:
        """A candidate in place of the one of its name; a command that goes on does the same."""
        self.plan = [candidate if each.name == candidate.name else each for each in self.plan]
        keep_plan(self.plan, self.out)
        return candidate

    def folded(self, run: Path, part: str) -> Folded:
        """A part in folds, read as a run does."""
        return Folded(self.parts, part, self.candidate(run).folds, self.source_of(run), self.seed, self.quiet)

    def pairs(self, run: Path, part: str) -> tuple[Judgements, Judgements]:
        """A part that is fitted, and the judgements that choose the epoch, read as a run does."""
        return load_data(self.parts.part(part), self.parts.part(VAL), self.source_of(run), self.quiet)

    def final(self, best: Path, until: float) -> Path:
        """The run that is used from now on: like the best one, but fitted to all judgements.

        Training by epochs needs those that choose the epoch, and is done again only where there is time. Else the best
        run itself is used.

        Args:
            best: Run that was chosen.
            until: Time for everything, on the monotonic clock, in seconds.
        """
        run, candidate = self.out / FITTED, self.candidate(best)
        if not candidate.by_epochs:
            return self.trained_again(run, ALL, candidate)
        if self.done(run) or (RunFolder(run).config.is_file() and fitted_to(run) == fitted_to(best)):
            # It is fitted again, or a copy.
            return run
        if not RunFolder(run).config.is_file():
            each = self.parts.counts[ALL] / self.parts.counts[DEVELOPMENT]
            needed = each * sum(entry["seconds"] for entry in RunFolder(best).read_history())
            if time.monotonic() + _AGAIN * needed > until:
                copy_run(best, run)
                return run
        pairs = self.folded(best, ALL).pairs() if candidate.folds else self.pairs(best, ALL_BUT_VAL)
        train_until(spec_of(best), pairs, run, until, self.context)
        return run

    def ranked(self, model: Path, notes: Sequence[str]) -> ScoredImages | None:
        """All images, ranked; None of arrays whose images occur once each, so that no judgement connects them."""
        judgements, arrays = self.parts.part(ALL), isinstance(self.parts.images, ImageStore)
        if arrays and not self.parts.recurring:
            self.context.say("no ranking, since each image occurs once; `twinrank rank` ranks a folder of images")
            return None
        given = load_pairs(judgements) if arrays else judgements
        out = self.out / "ranking.csv"
        return rank([model], self.parts.images, out, given, seed=self.seed, notes=notes, context=self.quiet)


def _folds_of(run: Path) -> Path:
    """Folder of the networks of a cross-validation."""
    return run.with_name(f"{run.name}_folds")


class _Progress(EpochProgress):
    """How far the features are; what was fitted is said by the command itself.

    Attributes:
        warnings: What the training warned of. The same would be said of each candidate.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.warnings = list[str]()

    def say(self, line: str) -> None:
        """Keep a warning, and show any other line."""
        if line.startswith("warning: "):
            self.warnings.append(line)
        else:
            super().say(line)

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Nothing: the only epoch is no news."""


def _nothing(line: str) -> None:
    pass
