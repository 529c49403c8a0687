"""Figures of a stack's report besides the leaderboard, as JSON values. They follow from the ledger alone."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from twinrank.ensembling.fitted import Fitted, decide
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack import Stack, nested, without_models
from twinrank.evaluation.abstention import ConformalSet, accuracy_at_coverage, conformal_set, coverages_that_fit
from twinrank.evaluation.calibration import CALIBRATIONS, Temperature
from twinrank.evaluation.compare import accuracy_difference
from twinrank.evaluation.labelled_rows import LabelledRows, joined
from twinrank.evaluation.metrics import accuracy, confusion_matrix, reliability_curve, scores, share_agreed, share_right
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.ranking import best_first
from twinrank.evaluation.row_statistics import is_decided

_QUICK = "logistic_regression"
_SHOWN = ("log_loss", "expected_calibration_error")


def stack_figures(matrix: Matrix, stacked: Stack) -> dict[str, Any]:
    """All figures of a stack that are not in its leaderboard.

    Args:
        matrix: Matrix of the ledger.
        stacked: Stack of that matrix.

    Returns:
        ``best_ensemble`` and ``best_model`` by the stacked rows, and ``confusion`` of these two on the tests. ``folds``
        has each ensemble's accuracies, and ``errors`` the correlation of the base models' errors. ``left_out`` has the
        gain from each base model in a logistic regression of them. ``calibration``, ``abstention`` and ``conformal``
        are those of the best ensemble. Without tests, all of them are about the stacked rows, out-of-fold, and there is
        no ``conformal``.
    """
    rows = matrix.rows.labelled
    order = best_first(stacked.entrants, rows, matrix.stem)
    best, best_model = (next(each.name for each in order if each.kind == kind) for kind in ("ensemble", "model"))
    logits = {each.name: each.logits for each in stacked.entrants}
    checked = _checked(matrix, logits)
    figures: dict[str, Any] = {
        "best_ensemble": best,
        "best_model": best_model,
        "rows": matrix.stem,
        "mode": matrix.mode,
    }
    figures["folds"] = [
        _folds(matrix, name, logits[name][matrix.stem], fitted) for name, fitted in stacked.fitted.items()
    ]
    figures["confusion"] = {
        name: confusion_matrix(checked.rows.y, checked.logits[name], **checked.rows.votes).tolist()
        for name in (best_model, best)
    }
    figures["errors"] = _errors(matrix)
    figures["left_out"] = _left_out(matrix, logits)
    figures["calibration"] = _calibration(matrix, best, logits[best][matrix.stem], checked)
    by_key = {stem: (each.labelled, logits[best][stem]) for stem, each in matrix.by_stem.items()}
    by_key |= {POOLED: (checked.rows, checked.logits[best])} if matrix.tests else {}
    figures["abstention"] = {
        key: [{"coverage": share} | right.record() for share, right in accuracy_at_coverage(*each).items()]
        for key, each in by_key.items()
    }
    figures["conformal"] = [
        _conformal(conformal_set(rows, logits[best][matrix.stem], checked.rows, checked.logits[best], stated))
        for stated in (coverages_that_fit(rows) if matrix.tests else ())
    ]
    return figures


@dataclass(frozen=True, eq=False)
class _Checked:
    """The rows that nothing was chosen on: all tests, or without tests the stacked rows, out-of-fold.

    Attributes:
        rows: Rows.
        logits: Logits of these by entrant.
    """

    rows: LabelledRows
    logits: dict[str, np.ndarray]


def _checked(matrix: Matrix, logits: dict[str, dict[str, np.ndarray]]) -> _Checked:
    parts = matrix.tests or {matrix.stem: matrix.rows}
    rows = joined([each.labelled for each in parts.values()])
    return _Checked(rows, {name: np.concatenate([own[stem] for stem in parts]) for name, own in logits.items()})


def _conformal(found: ConformalSet) -> dict[str, Any]:
    alone = None if found.alone is None else found.alone.record()
    return asdict(found) | {"coverage": found.coverage.record(), "alone": alone}


def _folds(matrix: Matrix, name: str, logit: np.ndarray, fitted: Fitted) -> dict[str, Any]:
    rows, fold = matrix.rows.labelled, matrix.fold
    parts = {each: rows.take(fold == each) for each in np.unique(fold)}
    decided = {each: part for each, part in parts.items() if is_decided(part.y, **part.votes).any()}
    rates = [accuracy(part.y, logit[fold == each], **part.votes) for each, part in decided.items()]
    return {
        "name": name,
        "folds": rates,
        "mean": float(np.mean(rates)),
        "deviation": float(np.std(rates, ddof=1)),
        "pooled": share_right(rows.y, logit, **rows.judged).record(),
        "in_sample": accuracy(rows.y, decide(fitted, matrix.rows), **rows.votes),
    }


def _errors(matrix: Matrix) -> dict[str, Any]:
    rows = matrix.rows.labelled
    kept = is_decided(rows.y, **rows.votes) & (rows.y != 0.5)
    wrong = share_agreed(rows.y[kept], matrix.rows.logit[kept].T) < 0.5
    with np.errstate(invalid="ignore"):
        correlation = np.nan_to_num(np.atleast_2d(np.corrcoef(wrong.astype(np.float64))))
    return {"names": list(matrix.names), "correlation": correlation.tolist(), "all_wrong": float(wrong.all(0).mean())}


def _left_out(matrix: Matrix, logits: dict[str, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """The gain from each base model in a logistic regression, which is fitted in a second; paired by row."""
    if _QUICK not in logits:
        return []
    rows = matrix.rows.labelled

    def predictions(logit: np.ndarray) -> Predictions:
        return Predictions(rows.id, logit, rows.y, images=rows.images, tie=rows.tie, weight=rows.weight)

    whole = predictions(logits[_QUICK][matrix.stem])
    return [
        {
            "name": name,
            "without": accuracy(rows.y, fewer, **rows.votes),
            "adds": accuracy_difference([predictions(fewer)], [whole]).estimate.record(),
        }
        for name, fewer in without_models(matrix, _QUICK).items()
    ]


def _calibration(matrix: Matrix, best: str, logit: np.ndarray, checked: _Checked) -> dict[str, Any]:
    """Errors before and after each calibration.

    A row that is stacked gets a calibration that was fitted on rows that share no image with its fold. The tests get
    one that was fitted on all stacked rows.
    """
    rows, rest, folds = matrix.rows.labelled, nested(matrix, best), np.unique(matrix.fold)
    on_tests = checked.logits[best]
    out_of_fold, tested = {"none": logit}, {"none": on_tests}
    temperature = 1.0
    for name, fit in CALIBRATIONS.items():
        out_of_fold[name] = np.empty(len(logit))
        for fold, decided in zip(folds, rest, strict=True):
            kept, left_out = matrix.rest(fold), matrix.fold == fold
            out_of_fold[name][left_out] = fit(rows.take(kept), decided[kept])(logit[left_out])
        whole = fit(rows, logit)
        tested[name] = whole(on_tests)
        if isinstance(whole, Temperature):
            temperature = whole.temperature
    table, curves = [], {}
    tables = [(matrix.stem, rows, out_of_fold), *([(POOLED, checked.rows, tested)] if matrix.tests else [])]
    for stem, labelled, ways in tables:
        for name, estimates in scores(labelled.y, ways, **labelled.judged, draws=2000).items():
            table.append({"rows": stem, "calibration": name} | {key: estimates[key].record() for key in _SHOWN})
    _, shown, ways = tables[-1]
    for name, calibrated in ways.items():
        curve = reliability_curve(shown.y, calibrated, **shown.judged)
        curves[name] = {key: value.tolist() for key, value in vars(curve).items()}
    return {"temperature": temperature, "table": table, "curves": curves}
