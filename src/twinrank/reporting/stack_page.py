"""The page of a stack: leaderboard, folds, decisions, confidence, order, audit, from what the stack folder holds."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

from twinrank.core.files import require_ending, write_text
from twinrank.evaluation.metrics import ReliabilityCurve
from twinrank.evaluation.metrics_record import POOLED
from twinrank.reporting import plots
from twinrank.reporting.leaderboard import Field, leaderboard_notes
from twinrank.reporting.page import template
from twinrank.reporting.sections import Drawing

_USUAL = "lightgbm_usual"
_OWN_STEP = "report"
_USES = {
    "train": "base models: fitted, and stopped on a slice that is not fitted",
    "rows": "stacked: meta-learners fitted on some folds and judged on another; chose the best",
}
_TEST = "held out: decided once, nothing was chosen on these rows"


class Trained(Protocol):
    """A network, as the ledger knows it.

    Attributes:
        seconds: of its training.
        memory_mb: of its training.
    """

    @property
    def seconds(self) -> float: ...  # noqa: D102

    @property
    def memory_mb(self) -> float: ...  # noqa: D102


def write_stack_page(
    out: Path,
    *,
    config: Mapping[str, Any],
    field: Field,
    figures: Mapping[str, Any],
    networks: Sequence[Trained],
    order: Mapping[str, Any] | None,
    cycles: Path,
    audit: Sequence[Mapping[str, Any]] | None,
    steps: Sequence[Mapping[str, Any]],
    drawings: Path | None = None,
) -> Path:
    """Write the page.

    Args:
        out: of it.
        config: of the stack.
        field: its entrants.
        figures: of ``figures.json``.
        networks: of the base models.
        order: of ``order.json``, or None.
        cycles: picture of its cycles, shown where it is there.
        audit: its checks, or None.
        steps: of ``steps.json``.
        drawings: folder for the figures as PNG files; None, the page alone.

    Returns:
        The path written.

    Raises:
        InputError: it cannot be written.
    """
    require_ending(out, ".html", ".htm")
    board = field.rank()
    best = next(row for row in board.rows if row.entrant.name == config["best"])
    tests = f"all test rows, n = {best.metrics[board.decided_on]['accuracy'].n:,}"
    if POOLED in best.metrics:
        tests = f"{board.compared_on}, n = {best.metrics[POOLED]['accuracy'].n:,}"
    confusion = [
        Drawing(f"Confusion matrix of {name}", tests, plots.confusion_matrix(np.array(counts)))
        for name, counts in figures["confusion"].items()
    ]
    curves = {name: _curve(points) for name, points in figures["calibration"]["curves"].items()}
    confidence = [
        Drawing(
            f"Reliability, {'before' if name == 'none' else f'after {name}'}", tests, plots.reliability_curve(curve)
        )
        for name, curve in curves.items()
    ]
    confidence.append(
        Drawing("Accuracy of the surest decisions", "", plots.accuracy_by_coverage(_coverage(figures["abstention"])))
    )
    names, correlation = figures["errors"]["names"], np.array(figures["errors"]["correlation"])
    errors = Drawing("Correlation of the base models' errors", "", plots.error_correlation(names, correlation))
    trained = {
        "step": f"training of {len(networks)} networks, a core each",
        "seconds": sum(each.seconds for each in networks),
        "peak_memory_mb": max(each.memory_mb for each in networks),
    }
    page = template("stack.html.j2").render(
        config=config,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        board=board,
        best=best,
        notes=leaderboard_notes(board, field),
        stems=list(best.metrics),
        figures=figures,
        usual=next((row for row in figures["folds"] if row["name"] == _USUAL), None),
        decisions=confusion,
        errors=errors,
        confidence=confidence,
        order=order,
        cycles=_picture(cycles) if order and order["cycles"] and cycles.is_file() else None,
        audit=audit,
        files=[_use(part, file, config["mode"]) for part, file in _files(config).items()],
        # When the page is written, its own step has not ended.
        steps=[trained, *(step for step in steps if step["step"] != _OWN_STEP)],
    )
    write_text(out, page)
    if drawings is not None:
        for drawing in (*confusion, errors, *confidence):
            drawing.save(drawings)
    return out


def _curve(points: Mapping[str, Sequence[float]]) -> ReliabilityCurve:
    return ReliabilityCurve(**{name: np.array(values) for name, values in points.items()})


def _coverage(abstention: Mapping[str, Any]) -> dict[str, Any]:
    """The stacked rows and the tests together."""
    stems = [next(iter(abstention)), POOLED]
    return {f"{stem}, n = {abstention[stem][0]['n']:,}": abstention[stem] for stem in stems}


def _files(config: Mapping[str, Any]) -> dict[str, Any]:
    data = config["data"]
    # With oof, what is stacked is what networks are trained on.
    same = data["train"]["sha256"] == data["rows"]["sha256"]
    return {part: file for part, file in data.items() if not (same and part == "train")}


def _use(part: str, file: Mapping[str, Any], mode: str) -> dict[str, Any]:
    purpose = _USES.get(part, _TEST)
    if part == "rows" and mode == "oof":
        purpose = f"each fold by networks that it was left out of; {purpose}"
    return {**file, "name": PurePath(file["path"]).name, "purpose": purpose}


def _picture(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
