"""The page of a stack: leaderboard, folds, decisions, confidence, order and audit, all from the stack folder."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from twinrank.ensembling.base_models import Cell
from twinrank.errors import InputError
from twinrank.evaluation.metrics import ReliabilityCurve
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.order import RANDOM_SHARE, images_in_words
from twinrank.evaluation.ranking import Leaderboard, Row
from twinrank.reporting import plots
from twinrank.reporting.formats import plain
from twinrank.reporting.leaderboard import Field, leaderboard_notes
from twinrank.reporting.page import save_drawings, write_page
from twinrank.reporting.records import CurveRecord
from twinrank.reporting.sections import Drawing, Use
from twinrank.reporting.template import template

_USUAL = "lightgbm_usual"
_OWN_STEP = "report"
_USES = {
    "train": "base models: fitted, and stopped on a slice that is not fitted",
    "rows": "stacked: meta-learners fitted on some folds and evaluated on another; chose the best",
}
_TEST = "held out: decided once, nothing was chosen on these rows"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PICTURE = 20_000_000
"""Bytes of a picture that goes into a page."""


@dataclass(frozen=True)
class StackContents:
    """The content of a stack folder that its page shows.

    Attributes:
        config: Content of ``stack.json``.
        field: Entrants of the leaderboard.
        figures: Content of ``figures.json``.
        networks: Networks of the base models.
        order: Content of ``order.json``, or None.
        cycles: Path of the picture of its cycles, which need not be there.
        audit: Checks of ``audit.json``, or None.
        steps: Content of ``steps.json``.
    """

    config: Mapping[str, Any]
    field: Field
    figures: Mapping[str, Any]
    networks: Sequence[Cell]
    order: Mapping[str, Any] | None
    cycles: Path
    audit: Sequence[Mapping[str, Any]] | None
    steps: Sequence[Mapping[str, Any]]


def write_stack_page(stack: StackContents, out: Path, drawings: Path | None = None) -> Path:
    """Write the page of a stack.

    Args:
        stack: Content of the stack folder.
        out: Path of the page.
        drawings: Folder for the figures as PNG files; None writes the page alone.

    Returns:
        Path of the page.

    Raises:
        InputError: The best ensemble is no entrant, or a file cannot be written.
    """
    config, figures, board = stack.config, stack.figures, stack.field.rank()
    best = next((row for row in board.rows if row.entrant.name == plain(config["best"])), None)
    if best is None:
        raise InputError(f"the best ensemble, {plain(config['best'])}, is no entrant of the stack; stack again")
    decisions = _decisions(figures, _tests(board, best))
    confidence = _confidence(figures, _tests(board, best))
    names, correlation = figures["errors"]["names"], np.array(figures["errors"]["correlation"])
    shown = plots.error_correlation([plain(name) for name in names], correlation)
    errors = Drawing("Correlation of the base models' errors", "", shown)
    page = template("stack.html.j2").render(
        config=config,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        on_benchmark=stack.field.benchmark,
        board=board,
        best=best,
        notes=leaderboard_notes(board, stack.field),
        files=list(best.metrics),
        figures=figures,
        usual=next((row for row in figures["folds"] if row["name"] == _USUAL), None),
        decisions=decisions,
        errors=errors,
        confidence=confidence,
        order=stack.order,
        order_rows=images_in_words(stack.order) if stack.order else "",
        random_cycles=RANDOM_SHARE,
        cycles=_picture(stack.cycles) if stack.order and stack.order["cycles"] else None,
        audit=stack.audit,
        uses=_uses(config),
        tested=board.decided_on != board.ranked_on,
        compared=_compared(best),
        steps=_steps(stack),
    )
    write_page(out, page)
    save_drawings([*decisions, errors, *confidence], drawings)
    return out


def _compared(best: Row) -> str:
    """The test against the best single model, in words."""
    test = best.against_best_model
    return "McNemar's" if test is None or test.test == "exact McNemar" else f"that of a {test.test}"


def _tests(board: Leaderboard, best: Row) -> str:
    """The rows of the decisions that the page shows, in words."""
    if POOLED in best.metrics:
        return f"{board.compared_on}, n = {best.metrics[POOLED]['accuracy'].n:,}"
    rows = f"{board.ranked_on}, out-of-fold" if board.decided_on == board.ranked_on else "all test rows"
    return f"{rows}, n = {best.metrics[board.decided_on]['accuracy'].n:,}"


def _decisions(figures: Mapping[str, Any], tests: str) -> list[Drawing]:
    """Confusion matrices."""
    return [
        Drawing(f"Confusion matrix of {name}", tests, plots.confusion_matrix(np.array(counts)))
        for name, counts in figures["confusion"].items()
    ]


def _confidence(figures: Mapping[str, Any], tests: str) -> list[Drawing]:
    """Reliability before and after each calibration, and accuracy by coverage."""
    drawings = []
    for name, points in figures["calibration"]["curves"].items():
        # A newer version may write more keys.
        curve = ReliabilityCurve(**{key: np.array(points[key]) for key in CurveRecord.__annotations__})
        title = f"Reliability, {'before' if name == 'none' else f'after {name}'}"
        drawings.append(Drawing(title, tests, plots.reliability_curve(curve)))
    abstention = figures["abstention"]
    # The stacked rows, and the tests together where there are any.
    shown = dict.fromkeys((next(iter(abstention)), *([POOLED] if POOLED in abstention else [])))
    curves = {f"{plain(name)}, n = {abstention[name][0]['n']:,}": abstention[name] for name in shown}
    drawings.append(Drawing("Accuracy of the surest decisions", "", plots.accuracy_by_coverage(curves)))
    return drawings


def _steps(stack: StackContents) -> list[Mapping[str, Any]]:
    """Steps with their time. The step of the page is left out, since it has not ended while the page is written."""
    if not stack.networks:
        return [step for step in stack.steps if step["step"] != _OWN_STEP]
    trained = {
        "step": f"training of {len(stack.networks)} networks, a core each",
        "seconds": sum(each.seconds for each in stack.networks),
        "peak_memory_mb": max(each.memory_mb for each in stack.networks),
    }
    return [trained, *(step for step in stack.steps if step["step"] != _OWN_STEP)]


def _uses(config: Mapping[str, Any]) -> list[Use]:
    """Every data file of the stack, with its use."""
    data = config["data"]
    # With oof, the stacked rows are those that networks are trained on.
    same = data["train"]["sha256"] == data["rows"]["sha256"]
    uses = []
    for part, file in data.items():
        if same and part == "train":
            continue
        purpose = _USES.get(part, _TEST)
        if part == "rows" and config["mode"] == "oof":
            purpose = f"each fold by networks that were not trained on it; {purpose}"
        purpose += _special(file)
        uses.append(Use(plain(PurePath(file["path"]).name), file.get("n"), purpose, file["sha256"]))
    return uses


def _special(file: Mapping[str, Any]) -> str:
    """What a reader must know about the rows of a file."""
    text = ""
    if mirrored := file.get("mirrored"):
        text += f"; sides were uneven, so {mirrored:,} rows are mirrored"
    if unseen := file.get("unseen"):
        text += (
            f"; training used both images of {unseen['none']:,} rows, one image of {unseen['one']:,}, and none of"
            f" {unseen['both']:,}"
        )
    return text


def _picture(path: Path) -> str | None:
    """A PNG file as a data URI; None for whatever is no PNG file of reasonable size."""
    if not path.is_file() or path.stat().st_size > _LARGEST_PICTURE:
        return None
    content = path.read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}" if content.startswith(_PNG) else None
