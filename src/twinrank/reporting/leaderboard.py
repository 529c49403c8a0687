"""Runs and stacks in one table: ranked by val or the stacked rows, compared on the tests."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.benchmark.generator import is_benchmark
from twinrank.config import PAIRS_ONLY
from twinrank.core.files import write_json, write_text
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.entrants import load_entrants
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.ranking import Entrant, Leaderboard, rank
from twinrank.reporting.canvas import save_picture
from twinrank.reporting.contents import read_run, trainings
from twinrank.reporting.files import Evaluated, EvaluatedFile, common_files
from twinrank.reporting.formats import count, distinct, duration, interval, markdown, p_value, table_line, value
from twinrank.reporting.plots import accuracy_table
from twinrank.reporting.published import FOOTNOTES, PUBLISHED
from twinrank.runs import board_files, distinct_runs

_ABOUT = ("name", "kind", "track", "parameters", "seconds", "milliseconds")
_EXTRA = ("log_loss", "expected_calibration_error")


@dataclass(frozen=True)
class Field:
    """The entrants of a leaderboard.

    Attributes:
        entrants: Entrants of all folders.
        rows: Rows by name of the file: first those that rank, then the tests.
        benchmark: Whether all of it is of the benchmark proper.
        chosen: Whether the rows that rank also chose epochs; they then read slightly too well.
        uncounted: Paths of teachers that are not here with the weights that taught. Their training is not in the
            seconds.
        left_out: Names of evaluated files that a training used, and that are no val file.
    """

    entrants: tuple[Entrant, ...]
    rows: dict[str, LabelledRows]
    benchmark: bool
    chosen: bool
    uncounted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def rank(self) -> Leaderboard:
        """The leaderboard.

        Raises:
            InputError: As :func:`twinrank.evaluation.ranking.rank`.
        """
        return rank(self.entrants, self.rows, next(iter(self.rows)))


@dataclass(frozen=True)
class _Part:
    """One folder's part of a field; logits and rows by the folder's own keys."""

    files: Evaluated
    entrants: tuple[Entrant, ...]
    rows: dict[str, LabelledRows]
    benchmark: bool
    chosen: bool
    uncounted: tuple[str, ...] = ()


def read_field(folders: Sequence[Path]) -> Field:
    """Predictions of runs and stacks for the same rows.

    Args:
        folders: Evaluated run folders, and stack folders.

    Raises:
        InputError: A folder is neither or is given twice, a file in it is damaged, or the rows differ.
    """
    parts = [
        _stack(folder) if StackFolder(folder).config.is_file() else _run(folder) for folder in distinct_runs(folders)
    ]
    if not parts:
        raise InputError("nothing to compare; give one run or more")
    common = common_files([part.files for part in parts])
    rows: dict[str, LabelledRows] = {}
    entrants: list[tuple[Path, Entrant]] = []
    for part in parts:
        keys = {name: part.files.require(digest, name).key for digest, name in common.names.items()}
        for name, key in keys.items():
            own = part.rows[key]
            if not np.array_equal(rows.setdefault(name, own).id, own.id):
                raise InputError(
                    f"{part.files.folder}: has other rows of '{name}' than {parts[0].files.folder}; evaluate again"
                )
        place = part.files.folder.resolve()
        for each in part.entrants:
            renamed = replace(each, logits={name: each.logits[key] for name, key in keys.items()})
            entrants.append((place.parent if each.name == place.name else place, renamed))
    left_out = [file.key for part in parts for file in part.files.files if file.sha256 not in common.names]
    return Field(
        tuple(_renamed(entrants)),
        rows,
        benchmark=all(part.benchmark for part in parts),
        chosen=any(part.chosen for part in parts),
        uncounted=tuple(dict.fromkeys(path for part in parts for path in part.uncounted)),
        left_out=tuple(dict.fromkeys(left_out)),
    )


def _renamed(places: Sequence[tuple[Path, Entrant]]) -> Iterator[Entrant]:
    """Entrants of folders, each with a name of its own: equal names get as much of the path as differs, or a number."""
    names = [each.name for _, each in places]
    for depth in range(1, 1 + max((len(place.parts) for place, _ in places), default=0)):
        twice = {name for name, times in Counter(names).items() if times > 1}
        if not twice:
            break
        names = [
            "/".join((*place.parts[-depth:], each.name)).replace("//", "/", 1) if name in twice else name
            for name, (place, each) in zip(names, places, strict=True)
        ]
    return (replace(each, name=name) for name, (_, each) in zip(distinct(names), places, strict=True))


def leaderboard_values(board: Leaderboard) -> list[dict[str, Any]]:
    """The leaderboard as JSON values, an object for each row, the best first.

    Each file has ``accuracy``, ``low``, ``high`` and ``n``, with log-loss and calibration error beside them.
    ``p_vs_best_model`` is the p of a paired test against the best single model, ``p_vs_first`` that against the first;
    ``p_vs_first_holm`` is the latter after Holm's correction.
    """
    lines = []
    for place, row in enumerate(board.rows, start=1):
        line: dict[str, Any] = {"place": place, "tied_for_first": row.tied}
        line |= {key: getattr(row.entrant, key) for key in _ABOUT}
        for stem, metrics in row.metrics.items():
            accuracy = metrics["accuracy"]
            line[stem] = {"accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high, "n": accuracy.n}
            line[stem] |= {key: metrics[key].record() for key in _EXTRA}
        line["p_vs_best_model"] = row.against_best_model.p if row.against_best_model else None
        line["p_vs_first"] = row.against_first.p if row.against_first else None
        line["p_vs_first_holm"] = row.adjusted
        lines.append(line)
    return lines


def leaderboard_notes(board: Leaderboard, field: Field, name: Callable[[str], str] = str) -> list[str]:
    """Sentences that a reader must know.

    Args:
        board: Leaderboard.
        field: Its entrants.
        name: How a name is written, for example :func:`twinrank.reporting.formats.markdown`.
    """
    tied = [name(row.entrant.name) for row in board.rows if row.tied]
    chosen = ", which chose epochs, so it reads slightly too well" if field.chosen else ""
    pooled = f" The column “{POOLED}” is the test files together." if POOLED in board.rows[0].metrics else ""
    notes = [
        f"Ranked by {name(board.ranked_on)}{chosen}; never by a test. Accuracy and errors have 95% intervals: for other"
        f" rows, not for other seeds.{pooled} Seconds are those of all trainings, teachers included."
        " Milliseconds are the time of one pair."
    ]
    if field.left_out:
        notes.append(f"Left out, since a training used it: {', '.join(map(name, field.left_out))}.")
    if field.uncounted:
        notes.append(
            "Not counted is the training of teachers that are not here with the weights that taught:"
            f" {', '.join(map(name, field.uncounted))}."
        )
    opened = [name(row.entrant.name) for row in board.rows if row.entrant.track != PAIRS_ONLY]
    if 0 < len(opened) < len(board.rows):
        notes.append(f"Of the open track, which may learn from more than the pairs: {', '.join(opened)}.")
    if board.detectable is not None:
        others = "All others differ" if len(tied) < len(board.rows) else "Nobody differs"
        notes.append(
            f"Tied for first: {', '.join(tied)}. {others} from the first at 5% ({_method(board)} on"
            f" {name(board.compared_on)}, n = {board.n:,}, Holm-corrected)."
        )
    if board.detectable:
        notes.append(
            "The smallest difference to the first that these rows find with 80% power:"
            f" {100 * board.detectable:.2f} points, for an entrant that disagrees with the first as often as the median"
            " one does."
        )
    return [*notes, *_against_best_model(board, name)]


def _method(board: Leaderboard) -> str:
    """How the others are compared with the first."""
    return next(row.against_first.test for row in board.rows if row.against_first is not None)


def _against_best_model(board: Leaderboard, name: Callable[[str], str]) -> list[str]:
    """Whether the best ensemble is better than the best single model, where there are both."""
    first = next((row for row in board.rows if row.entrant.kind == "ensemble"), None)
    if board.best_model is None or first is None or (test := first.against_best_model) is None:
        return []
    verdict = "NOT significantly better"
    if test.p < 0.05:
        verdict = f"significantly {'better' if test.second_alone > test.first_alone else 'WORSE'}"
    n = first.metrics[board.decided_on]["accuracy"].n
    return [
        f"The best ensemble, {name(first.entrant.name)}, is {verdict} than the best single model,"
        f" {name(board.best_model)}, on {name(board.decided_on)} (n = {n:,}; {test.test}, p {p_value(test.p)}:"
        f" {test.second_alone} rows that only the ensemble gets right, {test.first_alone} that only the model does)."
    ]


def leaderboard_text(board: Leaderboard, field: Field) -> str:
    """The table as Markdown, with published results below if it is of the benchmark proper."""
    files, ranked = list(board.rows[0].metrics), board.ranked_on
    others, shown = [file for file in files if file != ranked], markdown(ranked)
    headings = ["", "name", "kind", "parameters", "training", "ms a pair", shown, f"log-loss, {shown}"]
    headings += [f"calibration error, {shown}", *map(markdown, others), "p, against the first"]
    lines = [table_line(headings), table_line(["---"] * len(headings))]
    for place, row in enumerate(board.rows, start=1):
        own, entrant = row.metrics[ranked], row.entrant
        cells = [f"{place}{' =' if row.tied else ''}", markdown(entrant.name), entrant.kind]
        cells += [count(entrant.parameters), duration(entrant.seconds)]
        cells += ["" if entrant.milliseconds is None else f"{entrant.milliseconds:.2f}"]
        cells += [_estimate(own["accuracy"], "accuracy"), *(_estimate(own[name], name) for name in _EXTRA)]
        cells += [_estimate(row.metrics[file]["accuracy"], "accuracy") for file in others]
        lines.append(table_line([*cells, "" if row.adjusted is None else p_value(row.adjusted)]))
    notes = leaderboard_notes(board, field, markdown)
    if field.benchmark:
        for each in PUBLISHED:
            known = {"val": each.val, "test_public": each.test_public, "test_private": each.test_private}
            cells = ["", each.system, "published", each.parameters, each.cost, "", known.get(ranked, ""), "", ""]
            lines.append(table_line([*cells, *(known.get(file, "") for file in others), each.note]))
        notes += FOOTNOTES
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip()


def write_leaderboard(board: Leaderboard, field: Field, out: Path) -> list[Path]:
    """Write the :func:`board_files` of a folder.

    Returns:
        Paths of the files.

    Raises:
        InputError: A file cannot be written.
    """
    drawn = [board.ranked_on, *(file for file in board.rows[0].metrics if file != board.ranked_on)]
    drawn = [drawn[0], *drawn[-1:]] if len(drawn) > 1 else drawn
    text, table, data, picture = board_files(out)
    write_text(text, leaderboard_text(board, field) + "\n")
    write_text(table, _csv(board))
    write_json(data, leaderboard_values(board))
    accuracy = {row.entrant.name: {file: own["accuracy"] for file, own in row.metrics.items()} for row in board.rows}
    return [text, table, data, save_picture(accuracy_table(accuracy, drawn), picture)]


def _stack(folder: Path) -> _Part:
    stack = StackFolder(folder)
    entrants, rows = load_entrants(stack.entrants)
    data = stack.read_config().get("data", {})
    tests = [part for part in data if part not in ("train", "rows")]
    if not {"train", "rows"} <= data.keys() or list(rows)[1:] != tests:
        raise InputError(f"{stack.config}: 'data' does not name the files of {stack.entrants}; stack again")
    files = (
        EvaluatedFile(key, data[part]["path"], data[part]["sha256"], "val" if part == "rows" else "test")
        for key, part in zip(rows, ("rows", *tests), strict=True)
    )
    val, benchmark = data["rows"], all(is_benchmark(Path(file["path"])) for file in data.values())
    evaluated = Evaluated(folder, val["path"], val["sha256"], tuple(files))
    return _Part(evaluated, tuple(entrants), rows, benchmark, chosen=False)


def _run(folder: Path) -> _Part:
    contents = read_run(folder)
    config, files = contents.config, contents.predicted
    files.require(files.val_sha256, files.val)
    seconds, uncounted = trainings(contents)
    labelled = {file.key: contents.predictions[file.key] for file in files.files}
    entrant = Entrant(
        name=folder.resolve().name,
        kind="model",
        track=config["track"],
        parameters=config["parameters"],
        seconds=round(sum(seconds.values()), 1),
        milliseconds=contents.milliseconds,
        logits={key: part.logit for key, part in labelled.items()},
    )
    benchmark = all(is_benchmark(Path(file["path"])) for file in config["data"].values())
    rows = {
        key: LabelledRows(part.id, part.y, part.images, part.tie, part.weight)
        for key, part in labelled.items()
        if part.y is not None
    }
    return _Part(files, (entrant,), rows, benchmark, chosen=True, uncounted=tuple(uncounted))


def _csv(board: Leaderboard) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    stems = list(board.rows[0].metrics)
    names = ("accuracy", *_EXTRA)
    parts = ("value", "low", "high", "n")
    columns = [(stem, name, part) for stem in stems for name in names for part in parts]
    writer.writerow([*_ABOUT, "tied", *("_".join(column) for column in columns), "p_vs_first_holm", "p_vs_best_model"])
    for row in board.rows:
        numbers = [getattr(row.metrics[stem][name], part) for stem, name, part in columns]
        tests = [row.adjusted, row.against_best_model.p if row.against_best_model else None]
        writer.writerow([*(getattr(row.entrant, name) for name in _ABOUT), row.tied, *numbers, *tests])
    return buffer.getvalue()


def _estimate(estimate: Estimate, name: str) -> str:
    return f"{value(estimate, name)} ({interval(estimate, name)})"
