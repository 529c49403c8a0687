"""Many runs in one table, made from run folders alone."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twinrank.data.benchmark import is_benchmark
from twinrank.errors import InputError
from twinrank.evaluation.metrics import Estimate
from twinrank.files import write_json, write_text
from twinrank.reporting.contents import distinct_runs, read_run
from twinrank.reporting.formats import count, duration, interval, value
from twinrank.reporting.pictures import save_picture
from twinrank.reporting.plots import accuracy_table
from twinrank.reporting.standing import FOOTNOTES, PUBLISHED

_FILES = ("val", "test_public", "test_private", "tests")
_DRAWN = ("val", "tests")
_HEADINGS = ("run", "network", "parameters", "objective", "training", *_FILES)
_SHOWN_METRIC = "accuracy"


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        name: of its folder.
        model: its network.
        track: what it was trained on.
        seed: of the run.
        parameters: of the network.
        objective: of the training: the pair loss, and whether the latent order term was added.
        epochs: that were trained.
        seconds: of training.
        accuracy: by stem of the file, where it has been evaluated.
        benchmark: it was trained on the benchmark proper.
    """

    name: str
    model: str
    track: str
    seed: int
    parameters: int
    objective: str
    epochs: int
    seconds: float
    accuracy: dict[str, Estimate]
    benchmark: bool


def read_rows(runs: Sequence[Path]) -> list[Row]:
    """The rows of a table, the best on ``val`` first, those without a record on it last.

    Raises:
        InputError: a folder is not a run folder or is given twice, or a file in it is damaged.
    """
    rows = []
    for run in distinct_runs(runs):
        contents = read_run(run)
        config = contents.config
        try:
            data = [Path(file["path"]) for file in config["data"].values()]
            row = Row(
                name=run.resolve().name,
                model=config["model"]["name"],
                track=config["track"],
                seed=config["seed"],
                parameters=config["parameters"],
                objective=_objective(config["train"]),
                epochs=len(contents.history),
                seconds=round(sum(epoch.get("seconds", 0.0) for epoch in contents.history), 1),
                accuracy={stem: record.metrics[_SHOWN_METRIC] for stem, record in contents.records.items()},
                benchmark=all(map(is_benchmark, data)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{run / 'config.json'}: not the configuration of a run ({error})") from error
        rows.append(row)
    return sorted(rows, key=lambda row: -row.accuracy["val"].value if "val" in row.accuracy else 1)


def leaderboard_text(rows: Sequence[Row]) -> str:
    """The table as Markdown, with published results below if every run is of the benchmark proper."""
    lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS))]
    for row in rows:
        trained = f"{row.epochs} passes, {duration(row.seconds)}"
        shown = [_accuracy(row.accuracy.get(stem)) for stem in _FILES]
        lines.append(_line([row.name, row.model, count(row.parameters), row.objective, trained, *shown]))
    tracks = ", ".join(sorted({row.track for row in rows}))
    notes = [
        f"Accuracy with 95% intervals (Wilson: the sampling of test rows, not of seeds). Track: {tracks}."
        " `val` chose the epoch, so it reads slightly too well; `tests` is the test files together. Latent order: the"
        " contrastive and the balance term, on an auxiliary head if the network has no latent levels of its own.",
    ]
    if rows and all(row.benchmark for row in rows):
        for each in PUBLISHED:
            shown = each.val, each.test_public, each.test_private, each.note
            lines.append(_line([each.system, "", each.parameters, "", each.cost, *shown]))
        notes += FOOTNOTES
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip()


def write_leaderboard(runs: Sequence[Path], out: Path) -> list[Path]:
    """Write ``leaderboard.md``, ``.csv``, ``.json`` and ``.png`` into a folder.

    Returns:
        The paths written.

    Raises:
        InputError: as :func:`read_rows`, or a file cannot be written.
    """
    rows = read_rows(runs)
    markdown, table, data = (Path(out) / f"leaderboard.{suffix}" for suffix in ("md", "csv", "json"))
    write_text(markdown, leaderboard_text(rows) + "\n")
    write_text(table, _csv(rows))
    write_json(data, [asdict(row) for row in rows])
    picture = accuracy_table({row.name: row.accuracy for row in rows}, _DRAWN)
    return [markdown, table, data, save_picture(picture, Path(out) / "leaderboard.png")]


def _csv(rows: Sequence[Row]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    about = ("name", "model", "track", "seed", "parameters", "objective", "epochs", "seconds")
    parts = ("value", "low", "high", "n")
    writer.writerow([*about, *(f"{stem}_{part}" for stem in _FILES for part in parts)])
    for row in rows:
        found = [row.accuracy.get(stem) for stem in _FILES]
        numbers = [getattr(estimate, part) if estimate else "" for estimate in found for part in parts]
        writer.writerow([*(getattr(row, name) for name in about), *numbers])
    return buffer.getvalue()


def _objective(train: Mapping[str, Any]) -> str:
    latent = train["contrastive_weight"] or train["balance_weight"]
    return f"{train['loss']} + latent order" if latent else train["loss"]


def _accuracy(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{value(estimate, _SHOWN_METRIC)} ({interval(estimate, _SHOWN_METRIC)})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
