"""Figures of a stack's report besides the leaderboard, as JSON values. They follow from the ledger alone."""

from dataclasses import asdict
from typing import Any

import numpy as np

from twinrank.ensembling.fitted import Fitted, decide
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack import Stack, nested, without_models
from twinrank.evaluation.abstention import STATED, accuracy_at_coverage, conformal_set
from twinrank.evaluation.calibration import CALIBRATIONS, Temperature
from twinrank.evaluation.compare import accuracy_difference
from twinrank.evaluation.metrics import accuracy, confusion_matrix, is_right, reliability_curve, scores, share_right
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.ranking import best_first

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
        are those of the best ensemble.
    """
    order = best_first(stacked.entrants, matrix.rows.y, matrix.stem)
    best, best_model = (next(each.name for each in order if each.kind == kind) for kind in ("ensemble", "model"))
    logits = {each.name: each.logits for each in stacked.entrants}
    y = np.concatenate([rows.y for rows in matrix.tests.values()])
    on_tests = {name: np.concatenate([logits[name][stem] for stem in matrix.tests]) for name in (best_model, best)}
    tested = on_tests[best]
    figures: dict[str, Any] = {
        "best_ensemble": best,
        "best_model": best_model,
        "rows": matrix.stem,
        "mode": matrix.mode,
    }
    figures["folds"] = [
        _folds(matrix, name, logits[name][matrix.stem], fitted) for name, fitted in stacked.fitted.items()
    ]
    figures["confusion"] = {name: confusion_matrix(y, logit).tolist() for name, logit in on_tests.items()}
    figures["errors"] = _errors(matrix)
    figures["left_out"] = _left_out(matrix, logits)
    figures["calibration"] = _calibration(matrix, best, logits[best][matrix.stem], y, tested)
    figures["abstention"] = {
        stem: [{"coverage": share} | asdict(right) for share, right in accuracy_at_coverage(each, decided).items()]
        for stem, each, decided in (
            *((stem, rows.y, logits[best][stem]) for stem, rows in matrix.by_stem.items()),
            (POOLED, y, tested),
        )
    }
    figures["conformal"] = [
        asdict(conformal_set(matrix.rows.y, logits[best][matrix.stem], y, tested, stated))
        for stated in STATED
        if stated <= len(matrix.rows) / (len(matrix.rows) + 1)
    ]
    return figures


def _folds(matrix: Matrix, name: str, logit: np.ndarray, fitted: Fitted) -> dict[str, Any]:
    y, fold = matrix.rows.y, matrix.fold
    rates = [accuracy(y[fold == each], logit[fold == each]) for each in np.unique(fold)]
    return {
        "name": name,
        "folds": rates,
        "mean": float(np.mean(rates)),
        "deviation": float(np.std(rates, ddof=1)),
        "pooled": asdict(share_right(y, logit)),
        "in_sample": accuracy(y, decide(fitted, matrix.rows)),
    }


def _errors(matrix: Matrix) -> dict[str, Any]:
    wrong = ~is_right(matrix.rows.y, matrix.rows.logit.T)
    with np.errstate(invalid="ignore"):
        correlation = np.nan_to_num(np.atleast_2d(np.corrcoef(wrong.astype(np.float64))))
    return {"names": list(matrix.names), "correlation": correlation.tolist(), "all_wrong": float(wrong.all(0).mean())}


def _left_out(matrix: Matrix, logits: dict[str, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """The gain from each base model in a logistic regression, which is fitted in a second; paired by row."""
    if _QUICK not in logits:
        return []
    y, ids = matrix.rows.y, matrix.rows.id
    whole = Predictions(ids, logits[_QUICK][matrix.stem], y)
    return [
        {
            "name": name,
            "without": accuracy(y, fewer),
            "adds": asdict(accuracy_difference([Predictions(ids, fewer, y)], [whole]).estimate),
        }
        for name, fewer in without_models(matrix, _QUICK).items()
    ]


def _calibration(matrix: Matrix, best: str, logit: np.ndarray, y: np.ndarray, on_tests: np.ndarray) -> dict[str, Any]:
    """Errors before and after each calibration.

    A row that is stacked gets a calibration that was fitted without its fold. The tests get one that was fitted on all
    stacked rows.
    """
    rest, folds = nested(matrix, best), np.unique(matrix.fold)
    out_of_fold, tested = {"none": logit}, {"none": on_tests}
    temperature = 1.0
    for name, fit in CALIBRATIONS.items():
        out_of_fold[name] = np.empty(len(logit))
        for fold, decided in zip(folds, rest, strict=True):
            left_out = matrix.fold == fold
            out_of_fold[name][left_out] = fit(matrix.rows.y[~left_out], decided[~left_out])(logit[left_out])
        whole = fit(matrix.rows.y, logit)
        tested[name] = whole(on_tests)
        if isinstance(whole, Temperature):
            temperature = whole.temperature
    table, curves = [], {}
    for stem, labels, ways in ((matrix.stem, matrix.rows.y, out_of_fold), (POOLED, y, tested)):
        for name, estimates in scores(labels, ways, draws=2000).items():
            table.append({"rows": stem, "calibration": name} | {key: asdict(estimates[key]) for key in _SHOWN})
    for name, calibrated in tested.items():
        curves[name] = {key: value.tolist() for key, value in vars(reliability_curve(y, calibrated)).items()}
    return {"temperature": temperature, "table": table, "curves": curves}
