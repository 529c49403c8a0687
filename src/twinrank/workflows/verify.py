"""Compute every figure of a report again from its source files, and compare."""

import math
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import read_json, read_text, sha256
from twinrank.core.messages import counted
from twinrank.ensembling.figures import stack_figures
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack import stack
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import CheckFailed, InputError
from twinrank.evaluation.metrics_record import metrics_record, pooled_record, read_metrics
from twinrank.inference.simple_feature import add_simple_rule, compared_with_rule
from twinrank.reporting.contents import FileMetrics, RunContents, read_run
from twinrank.reporting.leaderboard import leaderboard_values, read_field
from twinrank.runs import RunFolder, board_files
from twinrank.workflows.report import report, unchanged
from twinrank.workflows.stack import submit_stack

_CLOSE = 1e-9
_CLOSE_LOGITS = 1e-4
"""Largest difference that rounding makes in trees and regressions."""
_TIMED = "milliseconds"
_OF_IMAGES = {"simple", "warnings"}
"""What depends on the images, too, where predictions were compared with a simple rule."""
_MOST_SHOWN = 3
"""Differences shown for each file."""
_NOT_FIGURES = re.compile(r"<svg.*?</svg>|<img[^>]*>|<caption>Time and memory.*?</table>", re.DOTALL)
"""Parts of a page that are not compared. Pictures differ with the version of their library; times are not computed."""


def verify(path: Path, *, context: Context = Context()) -> None:
    """Compute every figure of a run or a stack again, and compare it with what is written.

    For a run, these are the metrics, from the stored predictions, and the page. For a stack, these are the
    meta-learners, from the ledger and its digests; their predictions; the leaderboard and all other figures; the
    submission, and the page.

    Args:
        path: Run folder or stack folder.
        context: Listener for each comparison.

    Raises:
        InputError: Something is missing or damaged.
        CheckFailed: Something differs.
    """
    folder = StackFolder(Path(path))
    wrong = list(_stack(folder, context.say) if folder.config.is_file() else _run(RunFolder(Path(path)), context.say))
    if wrong:
        raise CheckFailed("\n".join(_few_of_each(wrong)))


def _stack(folder: StackFolder, say: Callable[[str], None]) -> Iterator[str]:
    config = folder.read_config()
    ledger = Ledger(folder.path / config["ledger"])
    if ledger.sha256 != config["ledger_sha256"]:
        yield f"{folder.config}: was made from a ledger that differs from {ledger.path} now"
    matrix = ledger.read(config["models"])
    say(f"{ledger.path}: nothing in it has changed, and every prediction in it is out-of-fold")
    written, again = folder.read_stack(), stack(matrix, config["learners"])
    stored = {each.name: each.logits for each in written.entrants}
    for each in again.entrants:
        for stem, logit in each.logits.items():
            own = stored.get(each.name, {}).get(stem, np.empty(0))
            if len(own) != len(logit):
                yield f"{folder.entrants}: has no prediction of {each.name} for all rows of {stem}"
            elif len(other := np.flatnonzero(~(np.abs(own - logit) <= _CLOSE_LOGITS))):
                row = f"row '{matrix.by_stem[stem].id[other[0]]}' of {stem}"
                yield (
                    f"{folder.entrants}: {each.name} predicts {own[other[0]]:.4f} for {row}, but"
                    f" {logit[other[0]]:.4f} when fitted again ({len(other):,} rows)"
                )
    states = {name: fitted.state() for name, fitted in again.fitted.items()}
    kept = {name: fitted.state() for name, fitted in written.fitted.items()}
    yield from _differences(folder.learners, kept, states, _CLOSE_LOGITS)
    say(f"{folder.entrants}: compared with meta-learners fitted again")
    field = read_field([folder.path])
    board = next(path for path in board_files(folder.path) if path.suffix == ".json")
    yield from _differences(board, read_json(board), leaderboard_values(field.rank()))
    yield from _differences(folder.figures, read_json(folder.figures), stack_figures(matrix, written))
    say(f"{board}, {folder.figures}: computed again")
    submission = folder.submission(matrix)
    if submission is not None:
        yield from _made_again(submission, lambda out: submit_stack(folder, matrix, written, out))
    yield from _made_again(folder.report, lambda out: report(folder.path, out))
    say(f"{', '.join(map(str, filter(None, (submission, folder.report))))}: made again")


def _run(run: RunFolder, say: Callable[[str], None]) -> Iterator[str]:
    contents = read_run(run.path, current=False)
    if not contents.metrics:
        raise InputError(f"{run.path}: has no figures to verify; run 'twinrank evaluate {run.path} FILE' first")
    weights = sha256(run.weights) if run.weights.is_file() else None
    stale = [
        run.predictions(key)
        for key, predictions in contents.predictions.items()
        if weights is not None and predictions.meta.get("weights_sha256") != weights
    ]
    yield from (f"{path}: is of other weights than {run.weights}" for path in stale)
    data = {key: unchanged(each) for key, each in contents.predictions.items()}
    for key, metrics in contents.metrics.items():
        if (computed := _computed(contents, metrics)) is None:
            yield f"{run.metrics(key)}: cannot be computed again, its predictions are not there"
            continue
        written, skipped = dict(read_metrics(run.metrics(key))), {_TIMED}
        if (pairs := data.get(key)) is not None:
            made = contents.predictions[key]
            judged = replace(pairs, y=made.y, tie=made.tie, weight=made.weight)
            add_simple_rule(computed, compared_with_rule(run, judged, made.logit))
        elif "simple" in written:
            skipped |= _OF_IMAGES
        first, second = ({name: each[name] for name in each if name not in skipped} for each in (written, computed))
        yield from _differences(run.metrics(key), first, second)
    say(f"{run.path}: metrics of {counted(len(contents.predictions), 'file', 'files')} computed again from predictions")
    gone = [key for key, each in data.items() if each is None]
    if stale:
        say(f"{run.report}: not made again, since {stale[0]} is of other weights")
    elif gone:
        say(f"{run.report}: not made again, since the data file of {run.predictions(gone[0])} is not there as it was")
    elif run.report.is_file():
        yield from _made_again(run.report, lambda out: report(run.path, out))
        say(f"{run.report}: made again")


def _computed(contents: RunContents, metrics: FileMetrics) -> dict[str, Any] | None:
    """Metrics computed again from predictions, of several files in the order in which they were pooled."""
    by_digest = {each.data_sha256: each for each in contents.predictions.values() if each.y is not None}
    parts = [by_digest[file["sha256"]] for file in metrics.files if file["sha256"] in by_digest]
    if len(parts) < len(metrics.files):
        return None
    try:
        return pooled_record(parts) if metrics.is_pooled else metrics_record(parts[0])
    except InputError as error:
        raise InputError(f"{contents.path / 'predictions'}: {error}") from error


def _made_again(path: Path, make: Callable[[Path], Any]) -> Iterator[str]:
    """Where the text of a page or a table differs from what is written now."""
    with tempfile.TemporaryDirectory() as temporary:
        again = Path(temporary) / path.name
        make(again)
        first, second = (_NOT_FIGURES.sub("", read_text(file)) for file in (path, again))
    if first != second:
        pairs = zip(first.splitlines(), second.splitlines(), strict=False)
        one, other = next(((a, b) for a, b in pairs if a != b), ("its end", "another end"))
        yield f"{path}: has '{_short(one)}', but made again it has '{_short(other)}'"


def _differences(path: Path, written: Any, computed: Any, close: float = _CLOSE, where: str = "") -> Iterator[str]:
    """Where two JSON values differ by more than rounding."""
    if isinstance(written, dict) and isinstance(computed, dict):
        for key in {**computed, **written}:
            yield from _differences(path, written.get(key), computed.get(key), close, f"{where}.{key}")
    elif isinstance(written, list) and isinstance(computed, list | tuple) and len(written) == len(computed):
        for place, (one, other) in enumerate(zip(written, computed, strict=True)):
            name = one.get("name", place) if isinstance(one, dict) else place
            yield from _differences(path, one, other, close, f"{where}[{name}]")
    elif isinstance(written, float) and isinstance(computed, float):
        if not math.isclose(written, computed, rel_tol=close, abs_tol=close):
            yield f"{path}: {where.removeprefix('.')} is {written!r}, but {computed!r} when computed again"
    elif written != computed:
        shown = _short(repr(written)), _short(repr(computed))
        yield f"{path}: {where.removeprefix('.')} is {shown[0]}, but {shown[1]} when computed again"


def _few_of_each(wrong: list[str]) -> Iterator[str]:
    by_file: dict[str, list[str]] = {}
    for line in wrong:
        by_file.setdefault(line.partition(": ")[0], []).append(line)
    for file, lines in by_file.items():
        yield from lines[:_MOST_SHOWN]
        if len(lines) > _MOST_SHOWN:
            yield f"{file}: and {len(lines) - _MOST_SHOWN:,} more"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."
