"""The sections of a report, each made from the contents of a run folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from twinrank.config import PAIRS_ONLY
from twinrank.core.files import replacing
from twinrank.errors import InputError
from twinrank.evaluation.metrics import is_right, reliability_curve
from twinrank.evaluation.metrics_record import POOLED
from twinrank.reporting import plots
from twinrank.reporting.canvas import inline_svg
from twinrank.reporting.contents import Record, RunContents
from twinrank.reporting.formats import count, duration, interval
from twinrank.reporting.levels import LevelTable, level_table
from twinrank.reporting.published import Standing

_USES = {
    "train": "fitted: the weights were trained on these rows",
    "val": "watched: training stopped and choices were made on these rows, so they read slightly too well",
    "test": "held out: evaluated after training by a command of its own; nothing was chosen on these rows",
    "other": "evaluated after training",
}


@dataclass(frozen=True)
class Drawing:
    """A figure in the page.

    Attributes:
        title: short.
        rows: which rows it shows and how many, in words.
        figure: the figure.
    """

    title: str
    rows: str
    figure: Figure

    @property
    def name(self) -> str:
        """Its title as letters, digits and hyphens."""
        return re.sub(r"\W+", "-", self.title.lower())

    @property
    def svg(self) -> Markup:
        """The figure as an element of a page."""
        return Markup(inline_svg(self.figure, self.name, f"{self.title}. {self.rows}"))

    def save(self, folder: Path) -> None:
        """Write the figure as ``NAME.png``, for print and slides.

        Raises:
            InputError: the folder cannot be written.
        """
        with replacing(folder / f"{self.name}.png") as temporary:
            self.figure.savefig(temporary, format="png", dpi=200, facecolor="white")


@dataclass(frozen=True)
class Use:
    """What a data file was used for.

    Attributes:
        file: its name.
        n: pairs in it.
        purpose: in words.
        sha256: of its bytes, or empty.
    """

    file: str
    n: int
    purpose: str
    sha256: str


def headline(contents: RunContents) -> Record | None:
    """The record to speak of first: the tests together, else the largest test, else val, else any."""
    records = contents.records
    if POOLED in records and records[POOLED].held_out:
        return records[POOLED]
    tests = [record for record in records.values() if record.held_out]
    if tests:
        return max(tests, key=lambda record: record.metrics["accuracy"].n)
    return records.get("val") or next(iter(records.values()), None)


def training_seconds(contents: RunContents) -> float | None:
    """Wall time of all epochs, or None where the history does not have it."""
    seconds = [epoch["seconds"] for epoch in contents.history if "seconds" in epoch]
    return float(sum(seconds)) if seconds else None


def uses(contents: RunContents) -> list[Use]:
    """Every data file of the run, with what it was used for."""
    rows = {}
    for part, file in contents.config.get("data", {}).items():
        if file:
            rows[file["sha256"]] = _use(file, _USES.get(part, _USES["other"]))
    for record in contents.records.values():
        for file in record.files:
            rows.setdefault(file["sha256"], _use(file, _USES["test" if record.held_out else "other"]))
    return list(rows.values())


def learning_curves(contents: RunContents) -> list[Drawing]:
    """The learning curves."""
    figures = plots.learning_curves(contents.history)
    return [Drawing(title, "", figure) for title, figure in figures.items()]


def history_table(contents: RunContents) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and the rows of the history, numbers to five digits; empty where an epoch lacks one."""
    flat = []
    for epoch in contents.history:
        parts = {f"{part} {key}": number for part in ("train", "val") for key, number in epoch.get(part, {}).items()}
        flat.append({key: number for key, number in epoch.items() if not isinstance(number, dict)} | parts)
    names = list(dict.fromkeys(name for row in flat for name in row))
    return names, [[_cell(row.get(name)) for name in names] for row in flat]


def decisions(contents: RunContents, record: Record, digits: Mapping[str, np.ndarray]) -> list[Drawing]:
    """Confusion matrix of a record; where its predictions are stored, reliability; where digits are known, distance."""
    drawings = [Drawing("Confusion matrix", record.rows, plots.confusion_matrix(np.array(record.confusion)))]
    parts = contents.predictions_of(record)
    if not parts:
        return drawings
    y = np.concatenate([part.y for part in parts.values() if part.y is not None])
    logit = np.concatenate([part.logit for part in parts.values()])
    drawings.append(Drawing("Reliability", record.rows, plots.reliability_curve(reliability_curve(y, logit))))
    if digits.keys() >= parts.keys():
        pairs = np.concatenate([digits[stem] for stem in parts]).astype(np.int64)
        figure = plots.accuracy_by_difference(is_right(y, logit), np.abs(pairs[:, 0] - pairs[:, 1]))
        drawings.append(Drawing("Right answers by distance", record.rows, figure))
    return drawings


def latent_levels(contents: RunContents, digits: Mapping[str, np.ndarray]) -> tuple[LevelTable, Drawing] | None:
    """Latent levels against digits, on the tests if there are any with both, else on every file that has both."""
    stems = [stem for stem, part in contents.predictions.items() if part.levels_a is not None and stem in digits]
    stems = [stem for stem in stems if stem.startswith("test")] or stems
    if not stems:
        return None
    sides = [(contents.predictions[stem], digits[stem]) for stem in stems]
    levels = [side for part, _ in sides for side in (part.levels_a, part.levels_b) if side is not None]
    table = level_table(np.concatenate(levels), np.concatenate([pairs.T.reshape(-1) for _, pairs in sides]))
    rows = f"both images of every pair of {' and '.join(stems)}"
    return table, Drawing("Latent levels and digits", rows, plots.latent_levels(table))


def checked_digits(contents: RunContents, digits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The digits of the files that there are predictions of.

    Raises:
        InputError: not one pair of digits a row, or they contradict the labels (so they are those of other rows).
    """
    kept = {stem: np.asarray(pairs) for stem, pairs in digits.items() if stem in contents.predictions}
    for stem, pairs in kept.items():
        part = contents.predictions[stem]
        if pairs.shape != (len(part), 2):
            raise InputError(f"digits of '{stem}' have shape {pairs.shape}, not ({len(part)}, 2): one pair a row")
        if part.y is not None and ((pairs[:, 0] > pairs[:, 1]) != (part.y == 1)).any():
            raise InputError(f"digits of '{stem}' contradict the labels; give those of the same rows in the same order")
    return kept


def our_standing(contents: RunContents) -> Standing:
    """The run as a row of the published table, with intervals."""
    config, seconds = contents.config, training_seconds(contents)
    accuracy = {stem: record.metrics["accuracy"] for stem, record in contents.records.items()}
    shown = {
        stem: f"{100 * accuracy[stem].value:.2f} ({interval(accuracy[stem], 'accuracy', 1)})"
        if stem in accuracy
        else ""
        for stem in ("val", "test_public", "test_private")
    }
    track, taught = config.get("track", ""), "its teacher's not counted" if "teacher" in config else ""
    return Standing(
        system=f"{config.get('name', 'this run')} (this run{'' if track == PAIRS_ONLY else f', {track} track'})",
        parameters=count(config["parameters"]) if "parameters" in config else "",
        cost=", ".join(filter(None, (duration(seconds) if seconds is not None else "", processors(contents), taught))),
        val=shown["val"],
        test_public=shown["test_public"],
        test_private=shown["test_private"],
    )


def processors(contents: RunContents) -> str:
    """What the training ran on, in words; empty where the configuration does not say."""
    device, threads = contents.config.get("device", "cpu"), contents.config.get("threads")
    if device != "cpu":
        return str(device)
    return f"{threads} CPU thread{'' if threads == 1 else 's'}" if threads else ""


def _cell(entry: Any) -> str:
    return f"{entry:.5g}" if isinstance(entry, int | float) else str(entry or "")


def _use(file: Mapping[str, Any], purpose: str) -> Use:
    return Use(PurePath(file["path"]).name, file["n"], purpose, file.get("sha256") or "")
