"""Runs and stacks in one table: the best first by the rows that choose, compared on the tests."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.benchmark.generator import is_benchmark
from twinrank.config import PAIRS_ONLY
from twinrank.core.files import read_json, write_json, write_text
from twinrank.errors import InputError
from twinrank.evaluation.entrants import LabelledRows, load_entrants
from twinrank.evaluation.metrics import Estimate
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.ranking import Entrant, Leaderboard, rank
from twinrank.reporting.canvas import save_picture
from twinrank.reporting.contents import read_run, trainings
from twinrank.reporting.formats import count, duration, interval, p_value, table_line, value
from twinrank.reporting.plots import accuracy_table
from twinrank.reporting.published import FOOTNOTES, PUBLISHED
from twinrank.runs import RunFolder, board_files, distinct_runs

_CHOSEN_ON = "val"
_ABOUT = ("name", "kind", "track", "parameters", "seconds", "milliseconds")
_EXTRA = ("log_loss", "expected_calibration_error")
_PRIVATE = "test_private"


@dataclass(frozen=True)
class Field:
    """Those that are ranked.

    Attributes:
        entrants: of all folders.
        asked: rows by stem; those that rank first.
        benchmark: all of it is of the benchmark proper.
        chosen: the rows that rank also chose epochs, so that they read slightly too well.
        uncounted: paths of teachers that are not here with the weights that taught, so that their training is not in
            the seconds.
    """

    entrants: tuple[Entrant, ...]
    asked: dict[str, LabelledRows]
    benchmark: bool
    chosen: bool
    uncounted: tuple[str, ...] = ()

    def rank(self) -> Leaderboard:
        """The leaderboard.

        Raises:
            InputError: as :func:`twinrank.evaluation.ranking.rank`.
        """
        return rank(self.entrants, {stem: rows.y for stem, rows in self.asked.items()}, next(iter(self.asked)))


def read_field(folders: Sequence[Path]) -> Field:
    """What runs and stacks said about the same rows.

    Args:
        folders: evaluated run folders, and stack folders.

    Raises:
        InputError: a folder is neither or is given twice, a file in it is damaged, or they are about different rows.
    """
    fields = [
        _stack(folder) if (folder / "stack.json").is_file() else _run(folder) for folder in distinct_runs(folders)
    ]
    if not fields:
        raise InputError("nothing to compare; give one run or more")
    asked, places = fields[0].asked, []
    for folder, field in zip(folders, fields, strict=True):
        for stem in asked.keys() | field.asked.keys():
            if stem not in asked or stem not in field.asked or not np.array_equal(asked[stem].id, field.asked[stem].id):
                raise InputError(f"{folder}: is not about the same rows of '{stem}' as {folders[0]}; evaluate it there")
        place = Path(folder).resolve()
        places += [(place.parent if each.name == place.name else place, each) for each in field.entrants]
    return Field(
        tuple(_told_apart(places)),
        asked,
        benchmark=all(field.benchmark for field in fields),
        chosen=any(field.chosen for field in fields),
        uncounted=tuple(dict.fromkeys(path for field in fields for path in field.uncounted)),
    )


def _told_apart(places: Sequence[tuple[Path, Entrant]]) -> Iterator[Entrant]:
    """Entrants in folders; those of the same name get as many of the folder's names before it as tell them apart."""
    names, depth = [each.name for _, each in places], 0
    while twice := {name for name in names if names.count(name) > 1}:
        depth += 1
        names = [
            "/".join((*place.parts[-depth:], each.name)) if name in twice else name
            for name, (place, each) in zip(names, places, strict=True)
        ]
    return (replace(each, name=name) for name, (_, each) in zip(names, places, strict=True))


def leaderboard_records(board: Leaderboard) -> list[dict[str, Any]]:
    """The leaderboard as JSON values, an object for each row, the best first.

    ``accuracy``, ``low``, ``high`` and ``n`` by stem, with log-loss and calibration error beside them;
    ``p_vs_best_model`` is McNemar's against the best single model, ``p_vs_first`` against the first, Holm's in
    ``p_vs_first_holm``.
    """
    records = []
    for place, row in enumerate(board.rows, start=1):
        record: dict[str, Any] = {"place": place, "tied_for_first": row.tied}
        record |= {key: getattr(row.entrant, key) for key in _ABOUT}
        for stem, metrics in row.metrics.items():
            accuracy = metrics["accuracy"]
            record[stem] = {"accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high, "n": accuracy.n}
            record[stem] |= {key: asdict(metrics[key]) for key in _EXTRA}
        record["p_vs_best_model"] = row.against_best_model.p if row.against_best_model else None
        record["p_vs_first"] = row.against_first.p if row.against_first else None
        record["p_vs_first_holm"] = row.adjusted
        records.append(record)
    return records


def leaderboard_notes(board: Leaderboard, field: Field) -> list[str]:
    """What a reader must know, in sentences."""
    tied = [row.entrant.name for row in board.rows if row.tied]
    chosen = ", which chose epochs, so it reads slightly too well" if field.chosen else ""
    notes = [
        f"Ranked by `{board.ranked_on}`{chosen}; never by a test. Accuracy and errors with 95% intervals: other rows,"
        " not other seeds. `tests` is the test files together. Seconds are of all trainings, those of teachers, too;"
        " milliseconds decide one pair."
    ]
    if field.uncounted:
        notes.append(
            "Not counted: the training of teachers that are not here with the weights that taught:"
            f" {', '.join(field.uncounted)}."
        )
    opened = [row.entrant.name for row in board.rows if row.entrant.track != PAIRS_ONLY]
    if 0 < len(opened) < len(board.rows):
        notes.append(f"Of the open track, which may learn from more than the pairs: {', '.join(opened)}.")
    if board.detectable is not None:
        others = "All others differ" if len(tied) < len(board.rows) else "Nobody differs"
        notes.append(
            f"Tied for first: {', '.join(tied)}. {others} from the first at 5% (exact McNemar on {board.compared_on},"
            f" n = {board.n:,}, Holm-corrected)."
        )
    if board.detectable:
        notes.append(
            "The smallest difference to the first that so many rows show four times in five, for who disagrees with it"
            f" as often as the middle one of them: {100 * board.detectable:.2f} points."
        )
    if board.best_model is not None and any(row.entrant.kind == "ensemble" for row in board.rows):
        first = next(row for row in board.rows if row.entrant.kind == "ensemble")
        test = first.against_best_model
        assert test is not None
        verdict = "NOT significantly better"
        if test.p < 0.05:
            verdict = f"significantly {'better' if test.second_alone > test.first_alone else 'WORSE'}"
        n = first.metrics[board.decided_on]["accuracy"].n
        notes.append(
            f"The best ensemble, {first.entrant.name}, is {verdict} than the best single model, {board.best_model}, on"
            f" {board.decided_on} (n = {n:,}; exact McNemar, p {p_value(test.p)}:"
            f" {test.second_alone} rows that it alone gets right, {test.first_alone} that the model alone does)."
        )
    return notes


def leaderboard_text(board: Leaderboard, field: Field) -> str:
    """The table as Markdown, with published results below if it is of the benchmark proper."""
    stems = list(board.rows[0].metrics)
    ranked = board.ranked_on
    headings = ["", "name", "kind", "parameters", "training", "ms a pair", ranked, f"log-loss, {ranked}"]
    headings += [f"calibration error, {ranked}", *(stem for stem in stems if stem != ranked), "p, against the first"]
    lines = [table_line(headings), table_line(["---"] * len(headings))]
    for place, row in enumerate(board.rows, start=1):
        own, who = row.metrics[ranked], row.entrant
        cells = [f"{place}{' =' if row.tied else ''}", who.name, who.kind, count(who.parameters), duration(who.seconds)]
        cells += ["" if who.milliseconds is None else f"{who.milliseconds:.2f}"]
        cells += [_estimate(own["accuracy"], "accuracy"), *(_estimate(own[name], name) for name in _EXTRA)]
        cells += [_estimate(row.metrics[stem]["accuracy"], "accuracy") for stem in stems if stem != ranked]
        lines.append(table_line([*cells, "" if row.adjusted is None else p_value(row.adjusted)]))
    notes = leaderboard_notes(board, field)
    if field.benchmark:
        for each in PUBLISHED:
            known = {"val": each.val, "test_public": each.test_public, "test_private": each.test_private}
            shown = [known.get(stem, "") for stem in stems if stem != ranked]
            cells = ["", each.system, "published", each.parameters, each.cost, "", known.get(ranked, ""), "", ""]
            lines.append(table_line([*cells, *shown, each.note]))
        notes += FOOTNOTES
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip()


def write_leaderboard(board: Leaderboard, field: Field, out: Path) -> list[Path]:
    """Write the :func:`board_files` of a folder.

    Returns:
        The paths written.

    Raises:
        InputError: a file cannot be written.
    """
    markdown, table, data, drawn = board_files(out)
    write_text(markdown, leaderboard_text(board, field) + "\n")
    write_text(table, _csv(board))
    write_json(data, leaderboard_records(board))
    accuracy = {row.entrant.name: {stem: own["accuracy"] for stem, own in row.metrics.items()} for row in board.rows}
    picture = accuracy_table(accuracy, (board.ranked_on, POOLED if POOLED in board.rows[0].metrics else _PRIVATE))
    return [markdown, table, data, save_picture(picture, drawn)]


def _stack(folder: Path) -> Field:
    entrants, asked = load_entrants(folder / "entrants.npz")
    match read_json(folder / "stack.json"):
        case {"data": {"rows": {"path": str()}, **others} as data} if others:
            files = [Path(file["path"]) for file in data.values()]
            return Field(tuple(entrants), asked, all(map(is_benchmark, files)), False)
    raise InputError(f"{folder / 'stack.json'}: not the configuration of a stack; stack again")


def _run(folder: Path) -> Field:
    contents = read_run(folder)
    contents.require_unseen_tests()
    config = contents.config
    said = {stem: part for stem, part in contents.predictions.items() if part.y is not None}
    if _CHOSEN_ON not in said and not RunFolder(folder).weights.is_file():
        raise InputError(f"{folder}: has said nothing about {_CHOSEN_ON}, and has no weights to be asked; leave it out")
    if _CHOSEN_ON not in said:
        val = config["data"].get("val", {}).get("path", "VAL.npz")
        raise InputError(f"{folder}: has not been evaluated on val; run 'twinrank evaluate {folder} {val}'")
    seconds, uncounted = trainings(contents)
    entrant = Entrant(
        name=folder.resolve().name,
        kind="model",
        track=config["track"],
        parameters=config["parameters"],
        seconds=round(sum(seconds.values()), 1),
        milliseconds=contents.milliseconds,
        logits={stem: part.logit for stem, part in said.items()},
    )
    benchmark = all(is_benchmark(Path(file["path"])) for file in config["data"].values())
    asked = {stem: LabelledRows(part.id, part.y) for stem, part in said.items() if part.y is not None}
    return Field((entrant,), asked, benchmark, True, tuple(uncounted))


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
