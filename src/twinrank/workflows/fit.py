"""``twinrank fit``: from judgements to a network, a ranking and a page, without an option."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinrank.core.context import Context
from twinrank.core.executors import require_executor
from twinrank.core.files import write_json
from twinrank.core.locks import one_at_a_time
from twinrank.core.provenance import provenance
from twinrank.data.source import Source
from twinrank.errors import InputError, Interrupted
from twinrank.inference.evaluate import evaluate
from twinrank.runs import FIT, RunFolder
from twinrank.workflows.fit_epochs import fitted_to
from twinrank.workflows.fit_parts import HALF, TEST, divided_into_parts
from twinrank.workflows.fit_plan import kept_plan
from twinrank.workflows.fit_trials import TRIED, Trials
from twinrank.workflows.fit_words import sentences
from twinrank.workflows.rank import ScoredImages
from twinrank.workflows.report import report

_LOCK = "fit.lock"


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """What ``twinrank fit`` has made.

    Attributes:
        folder: Its folder.
        model: Run folder of the network that was fitted to all judgements, or to most of them: ``found["model"]`` has
            their number.
        ranking: All images, ranked; None of arrays whose images occur once each.
        found: What was found: content of ``fit.json``.
    """

    folder: Path
    model: Path
    ranking: ScoredImages | None
    found: dict[str, Any]

    def __repr__(self) -> str:
        ranked = "" if self.ranking is None else f": {len(self.ranking.names):,} images ranked"
        return f"Fitted({self.folder}{ranked})"


def fit(
    judgements: Path,
    out: Path,
    source: Source | None = None,
    *,
    minutes: float = 15.0,
    seed: int = 0,
    groups: str | None = None,
    context: Context = Context(),
) -> Fitted:
    """Fit what suits judgements, and rank all images.

    Images are divided: some are held out as a test. The judgements of the others are fitted by heads on a frozen
    backbone, one for each way of reading the images. Where images are small or many, a network is trained from scratch,
    too. What has the least log-loss on images that it was not fitted to is evaluated on the test, once. Then the same
    is fitted to all judgements where there is time, and ranks all images. What is done already is not done again, so a
    command that was stopped goes on when it is given again. Another one with the same folder waits for the first.

    Args:
        judgements: Anything that :func:`twinrank.data.judgements.load_pairs` reads, such as a table.
        out: Folder of everything that is made.
        source: Where the images of a table are, and how it is read.
        minutes: Time for everything, but heads that are tried first are always finished.
        seed: Root seed.
        groups: Column of groups of images, which are held out whole; or two, separated by a comma. Without any, images
            that lie in several folders are held out by folder. :data:`twinrank.workflows.fit_parts.NO_GROUPS` holds out
            single images.
        context: Listeners, command, and where networks are fitted where several may be at a time.

    Raises:
        InputError: The judgements or the images are refused, there are too few of them, or the folder holds something
            else.
    """
    if not 0 <= minutes < math.inf:
        raise InputError(f"`minutes` is {minutes}; it must be a number of at least 0")
    require_executor(context)
    out, began = Path(out), time.monotonic()
    with _going_on_with_the_same_command():
        parts = divided_into_parts(Path(judgements), out, source or Source(), seed, groups, context)
        dividing = time.monotonic() - began
        with one_at_a_time(out / _LOCK, context.say, "fits these judgements"):
            # Time in which another command was waited for does not count.
            until = time.monotonic() + 60 * minutes - dividing
            work = Trials(parts, kept_plan(parts, out, 60 * minutes, context), out, seed, context)
            best = work.tried(until)
            (test,) = evaluate(
                RunFolder(best), [parts.part(TEST)], source=work.source_of(best), context=work.quiet
            ).values()
            work.fitted_again_beside(best)
            halved = work.halved(best)
            model = work.final(best, until)
            for line in work.warnings(model, best):
                context.say(line)
            found = _found(work, best, test, halved, model)
            write_json(out / FIT, found | provenance(context.command))
            ranking = work.ranked(model, found["said"])
            shown = found | {"name": out.resolve().name, "ranked": ranking is not None}
            report(best, out / "report.html", found=shown)
    return Fitted(out, model, ranking, found)


@contextmanager
def _going_on_with_the_same_command() -> Iterator[None]:
    """A block of which nothing that is finished is done again."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        raise Interrupted("stopped. Give the same command again to go on") from error


def _found(work: Trials, best: Path, test: Mapping[str, Any], halved: Path | None, model: Path) -> dict[str, Any]:
    """What was found, for ``fit.json``."""
    candidate, runs = work.candidate(best), [work.out / TRIED / each.name for each in work.plan]
    tried = {run.name: work.judged(run)["log_loss"] for run in runs if work.done(run)}
    by_val = candidate.by_epochs and not candidate.folds
    found: dict[str, Any] = {
        "judgements": dict(work.parts.counts),
        "tried": {
            "log_loss": tried,
            "what": {name: work.candidate(Path(name)).words for name in tried},
            "best": best.name,
        },
        "chose_epoch" if by_val else "out_of_fold": work.judged(best),
        "test": test,
        "model": {"n": fitted_to(model), "by_epochs": candidate.by_epochs},
    }
    if halved is not None:
        found["half"] = work.judged_head(halved, HALF)
    if (people := work.parts.agreement) is not None:
        found["agreement"] = {
            "agreement": people.agreement.record(),
            "ceiling": people.ceiling.record(),
            **({"own": True} if people.own else {}),
            **({} if people.with_ties is None else {"with_ties": people.with_ties.record()}),
        }
    return found | {"said": sentences(found)}
