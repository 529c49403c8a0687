"""The sections of a report, each made from the content of a run folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from twinrank.config import PAIRS_ONLY
from twinrank.errors import InputError
from twinrank.evaluation.judging import Judging, RaterRecord
from twinrank.evaluation.metrics import is_right, reliability_curve
from twinrank.evaluation.predictions import joined
from twinrank.reporting import plots
from twinrank.reporting.canvas import inline_svg, save_picture
from twinrank.reporting.contents import FileMetrics, RunContents
from twinrank.reporting.formats import count, duration, interval, plain
from twinrank.reporting.levels import LevelTable, level_table
from twinrank.reporting.published import Standing

_LONGEST_ROWS = 300
_MOST_RATERS = 500

_USES = {
    "train": "fitted: the weights were trained on these rows",
    "val": "watched: training stopped and choices were made on these rows, so they read slightly too well",
    "test": "held out: evaluated after training; neither the training nor a teacher used these rows",
    "used": "used by a teacher's training, so these rows are no test",
}


@dataclass(frozen=True)
class Drawing:
    """A figure in the page.

    Attributes:
        title: Short title.
        rows: Rows that it shows, and their number, in words.
        figure: Figure to draw.
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
            InputError: The folder cannot be written.
        """
        save_picture(self.figure, folder / f"{self.name}.png")


@dataclass(frozen=True)
class Use:
    """The use of a data file.

    Attributes:
        file: Name of the file.
        n: Number of its pairs, or None.
        purpose: Purpose, in words.
        sha256: Digest of its bytes, or empty.
    """

    file: str
    n: int | None
    purpose: str
    sha256: str


def headline(contents: RunContents) -> FileMetrics | None:
    """The metrics to show first: the tests together, else the largest test, else val, else any."""
    tests = [each for each in contents.metrics.values() if each.held_out]
    if tests:
        return max(tests, key=lambda each: (each.is_pooled, each.metrics["accuracy"].n))
    return contents.val_metrics or next(iter(contents.metrics.values()), None)


def training_seconds(contents: RunContents) -> float | None:
    """Wall time of all epochs, or None where the history has no times."""
    seconds = [epoch["seconds"] for epoch in contents.history if "seconds" in epoch]
    return float(sum(seconds)) if seconds else None


def uses(contents: RunContents) -> list[Use]:
    """Every data file of the run, with its use."""
    rows = {}
    for part, file in contents.config["data"].items():
        if part in _USES:
            rows[file["sha256"]] = _use(file, _USES[part])
    for each in contents.metrics.values():
        for file in each.files:
            rows.setdefault(file["sha256"], _use(file, _USES[contents.role(file["sha256"])]))
    return list(rows.values())


def learning_curves(contents: RunContents) -> list[Drawing]:
    """The learning curves; none where there were no epochs, as for a linear head."""
    if "val" not in contents.config["data"]:
        return []
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


def decisions(contents: RunContents, shown: FileMetrics, digits: Mapping[str, np.ndarray]) -> list[Drawing]:
    """Drawings about decisions.

    Args:
        contents: Content of the run folder.
        shown: Metrics with the confusion matrix; reliability needs the stored predictions of the same rows.
        digits: True digits by key; the drawing by distance needs those of all rows.
    """
    rows = plain(shown.rows, _LONGEST_ROWS)
    drawings = [Drawing("Confusion matrix", rows, plots.confusion_matrix(np.array(shown.confusion)))]
    parts = contents.predictions_of(shown)
    if not parts:
        return drawings
    together = joined(list(parts.values()))
    y, logit = together.y, together.logit
    assert y is not None
    curve = reliability_curve(y, logit, images=together.images, tie=together.tie, weight=together.weight)
    drawings.append(Drawing("Reliability", rows, plots.reliability_curve(curve)))
    if digits.keys() >= parts.keys():
        pairs = np.concatenate([digits[stem] for stem in parts]).astype(np.int64)
        figure = plots.accuracy_by_difference(is_right(y, logit), np.abs(pairs[:, 0] - pairs[:, 1]))
        drawings.append(Drawing("Right decisions by distance", rows, figure))
    return drawings


def latent_levels(contents: RunContents, digits: Mapping[str, np.ndarray]) -> tuple[LevelTable, Drawing] | None:
    """Latent levels against digits, on the tests that have both, or else on every file that has both."""
    keys = [key for key, part in contents.predictions.items() if part.levels_a is not None and key in digits]
    keys = [key for key in keys if contents.role(contents.predictions[key].data_sha256) == "test"] or keys
    if not keys:
        return None
    sides = [(contents.predictions[key], digits[key]) for key in keys]
    levels = [side for part, _ in sides for side in (part.levels_a, part.levels_b) if side is not None]
    table = level_table(np.concatenate(levels), np.concatenate([pairs.T.reshape(-1) for _, pairs in sides]))
    rows = f"both images of every pair of {' and '.join(map(plain, keys))}"
    return table, Drawing("Latent levels and digits", rows, plots.latent_levels(table))


def checked_digits(contents: RunContents, digits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The digits of the files that have predictions.

    Raises:
        InputError: There is not one pair of digits for each row, or the digits contradict the labels.
    """
    kept = {key: np.asarray(pairs) for key, pairs in digits.items() if key in contents.predictions}
    for key, pairs in kept.items():
        part = contents.predictions[key]
        if pairs.shape != (len(part), 2):
            raise InputError(f"digits of '{key}' have shape {pairs.shape}, not ({len(part)}, 2): one pair a row")
        if part.y is not None and ((pairs[:, 0] > pairs[:, 1]) != (part.y == 1)).any():
            raise InputError(f"digits of '{key}' contradict the labels; give those of the same rows in the same order")
    return kept


def warnings(contents: RunContents) -> list[str]:
    """What a reader must know before the numbers: warnings of the training and of each evaluation, each once."""
    lines = list(contents.config.get("warnings", []))
    for each in contents.metrics.values():
        lines += [] if each.chance is None else [f"{each.key}: {each.chance}"]
        lines += each.warnings
    return list(dict.fromkeys(lines))


def raters(judging: Judging) -> list[RaterRecord]:
    """Those who judged, the ones with most judgements first; at most five hundred."""
    return sorted(judging.as_json()["raters"], key=lambda each: -each["judgements"])[:_MOST_RATERS]


def our_standing(contents: RunContents) -> Standing:
    """The run as a row of the published table, with intervals."""
    config, seconds = contents.config, training_seconds(contents)
    public, private = (contents.metrics.get(key) for key in ("test_public", "test_private"))
    track, taught = config["track"], "its teacher's not counted" if "teacher" in config else ""
    name = plain(config.get("name", "this run"))
    return Standing(
        system=f"{name} (this run{'' if track == PAIRS_ONLY else f', {plain(track)} track'})",
        parameters=count(config["parameters"]),
        cost=", ".join(filter(None, (duration(seconds) if seconds is not None else "", processors(contents), taught))),
        val=_accuracy(contents.val_metrics),
        test_public=_accuracy(public if public and public.held_out else None),
        test_private=_accuracy(private if private and private.held_out else None),
    )


def processors(contents: RunContents) -> str:
    """The processors of the training, in words; empty where the configuration does not name them."""
    device, threads = contents.config.get("device", "cpu"), contents.config.get("threads")
    if device != "cpu":
        return str(device)
    return f"{threads} CPU thread{'' if threads == 1 else 's'}" if threads else ""


def _accuracy(metrics: FileMetrics | None) -> str:
    """An accuracy in percent with its interval; empty without metrics."""
    if metrics is None:
        return ""
    estimate = metrics.metrics["accuracy"]
    return f"{100 * estimate.value:.2f} ({interval(estimate, 'accuracy', 1)})"


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, int | float) else plain(value or "")


def _use(file: Mapping[str, Any], purpose: str) -> Use:
    return Use(plain(PurePath(file["path"]).name), file.get("n"), purpose, file["sha256"])
