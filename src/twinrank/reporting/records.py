"""Records that only reports read: the figures and the audit of a stack, and the times of steps."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from twinrank.core.records import read_record
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import POOLED

_LARGEST = 1e12
Number = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=10**12)]


class BoundedEstimate(TypedDict):
    """A value with its interval, as :class:`twinrank.evaluation.estimates.Estimate`."""

    value: Number
    low: Number
    high: Number
    n: Count


class FoldsRecord(TypedDict):
    """Accuracies of a meta-learner by fold, out-of-fold together, and in-sample."""

    name: str
    folds: list[Share]
    mean: Share
    deviation: Number
    pooled: BoundedEstimate
    in_sample: Share


class ErrorsRecord(TypedDict):
    """Correlation of the base models' errors."""

    names: list[str]
    correlation: list[list[Number]]
    all_wrong: Share


class LeftOutRecord(TypedDict):
    """Accuracy without a base model, and the difference that it makes."""

    name: str
    without: Share
    adds: BoundedEstimate


class CalibratedRecord(TypedDict):
    """Errors on some rows after a calibration."""

    rows: str
    calibration: str
    log_loss: BoundedEstimate
    expected_calibration_error: BoundedEstimate


class CurveRecord(TypedDict):
    """A reliability curve, as :class:`twinrank.evaluation.metrics.ReliabilityCurve`."""

    confidence: list[Share]
    accuracy: list[Share]
    low: list[Share]
    high: list[Share]
    n: list[Count]


class CalibrationRecord(TypedDict):
    """Calibration of the best ensemble: temperature, errors, and reliability curves by name."""

    temperature: Number
    table: list[CalibratedRecord]
    curves: dict[str, CurveRecord]


class CoverageRecord(BoundedEstimate):
    """Accuracy of the surest decisions, and the share of the pairs that these are."""

    coverage: Share


class ConformalRecord(TypedDict):
    """Sets of labels with a stated coverage."""

    stated: Share
    coverage: BoundedEstimate
    both: Share
    neither: Share
    alone: BoundedEstimate | None


class FiguresRecord(TypedDict):
    """``figures.json`` of a stack, see :func:`twinrank.ensembling.figures.stack_figures`."""

    mode: str
    folds: list[FoldsRecord]
    confusion: dict[str, list[list[Count]]]
    errors: ErrorsRecord
    left_out: list[LeftOutRecord]
    calibration: CalibrationRecord
    abstention: dict[str, list[CoverageRecord]]
    conformal: list[ConformalRecord]


class CheckRecord(TypedDict):
    """A check of ``audit.json``."""

    name: str
    passed: bool
    found: str


class StepTime(TypedDict):
    """Time and memory of a step of ``steps.json``."""

    step: str
    seconds: NotRequired[Number]
    peak_memory_mb: NotRequired[Number]


def read_figures(path: Path) -> dict[str, Any]:
    """The figures of a stack.

    Raises:
        InputError: The file is missing or damaged, or its lists do not fit together.
    """
    figures = read_record(path, FiguresRecord, "the figures of a stack")
    if (wrong := next(_misfits(figures), None)) is not None:
        raise InputError(f"{path}: not the figures of a stack ('{wrong}' has another size); restore it, or stack again")
    return dict(figures)


def read_audit(path: Path) -> list[dict[str, Any]]:
    """The checks of an audit.

    Raises:
        InputError: The file is missing or damaged.
    """
    return [dict(check) for check in read_record(path, list[CheckRecord], "the checks of an audit")]


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The steps of a recipe or a stack; none where there is no file.

    Raises:
        InputError: The file is damaged.
    """
    return [dict(step) for step in read_record(path, list[StepTime], "a list of steps")] if path.exists() else []


def _misfits(figures: FiguresRecord) -> Iterator[str]:
    """Keys whose lists do not have the lengths that other lists require."""
    folds = {len(row["folds"]) for row in figures["folds"]}
    if len(folds) != 1:
        yield "folds"
    for name, counts in figures["confusion"].items():
        if _shape(counts) != (2, 2):
            yield f"confusion.{name}"
    models = len(figures["errors"]["names"])
    if not models or _shape(figures["errors"]["correlation"]) != (models, models):
        yield "errors.correlation"
    for name, curve in figures["calibration"]["curves"].items():
        if not sum(curve["n"]) or len({len(curve[key]) for key in CurveRecord.__annotations__}) != 1:
            yield f"calibration.curves.{name}"
    # Without tests, only the stacked rows are there.
    abstention = figures["abstention"]
    if not abstention or not all(abstention.values()) or (len(abstention) > 1 and POOLED not in abstention):
        yield "abstention"


def _shape(rows: Sequence[Sequence[float]]) -> tuple[int, int] | None:
    """Shape of a matrix, or None if its rows have different lengths."""
    widths = {len(row) for row in rows}
    return (len(rows), widths.pop()) if len(widths) == 1 else None
