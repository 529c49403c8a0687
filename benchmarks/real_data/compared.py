"""Comparisons of what the command line wrote with votes and truth that it was not given."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr

from benchmarks.real_data.tables import Rows, read_table
from twinrank.evaluation.compare import paired_tests
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.metrics import accuracy, score
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder

_WIDTH = 1.959963984540054
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(15)


def without_raters(run: Path, other: Path) -> dict[str, Any]:
    """A network that models raters against one that ignores them, on pairs in their true order, over images."""
    ours, theirs = (Predictions.load(RunFolder(path).predictions("true")) for path in (run, other))
    assert ours.y is not None
    (test,) = paired_tests(ours.y, ours.logit, [theirs.logit], images=ours.images)
    difference = accuracy(ours.y, ours.logit) - accuracy(ours.y, theirs.logit)
    return {
        "difference": difference,
        "low": difference - _WIDTH * test.error,
        "high": difference + _WIDTH * test.error,
        "p": test.p,
        "test": test.test,
        "pairs": len(ours),
        "images": test.images,
    }


def people(path: Path, crowd: dict[str, Any]) -> dict[str, Any]:
    """Fitted parameters of the crowd beside the true ones.

    Args:
        path: ``judging.json`` of a run.
        crowd: Content of ``crowd.json``.
    """
    fitted = Judging.load(path)
    ends = fitted.sharpness_interval
    raters = {
        name: {"true": crowd["raters"][name]["sharpness"], "fitted": sharpness, "low": low, "high": high}
        for name, sharpness, (low, high) in zip(fitted.raters, fitted.sharpness.tolist(), ends.tolist(), strict=True)
    }
    low, high = fitted.nu_interval
    return {
        "nu": {"true": crowd["nu"], "fitted": fitted.nu, "low": low, "high": high},
        "sharpness": raters,
        "in_their_intervals": sum(each["low"] <= each["true"] <= each["high"] for each in raters.values()),
    }


def ranking(runs: Path, truth: dict[str, float], crowd: dict[str, Any]) -> dict[str, Any]:
    """Rank correlation with the truth, and how often intervals hold the true score, by the part of the images.

    Args:
        runs: Folder with ``network.csv``, ``ranking.csv`` and the split.
        truth: True scores by name.
        crowd: Content of ``crowd.json``.
    """
    parts = {"all": set(truth)}
    for name in ("train", "test"):
        parts[name] = {row[side] for row in read_table(runs / f"{name}.csv") for side in ("left", "right")}
    found: dict[str, Any] = {}
    for stem in ("network", "ranking"):
        rows = read_table(runs / f"{stem}.csv")
        names = [row["image"] for row in rows]
        true = crowd["scale"] * np.array([truth[name] for name in names])
        scores, low, high = (np.array([float(row[key]) for row in rows]) for key in ("score", "low", "high"))
        # Votes say nothing about where zero is.
        true += np.mean(scores - true)
        inside = (low <= true) & (true <= high)
        for part, members in parts.items():
            chosen = np.array([name in members for name in names])
            found[f"{stem}, {part} images"] = {
                "images": int(chosen.sum()),
                "rank_correlation": float(spearmanr(scores[chosen], true[chosen]).statistic),
                "true_scores_in_95%_intervals": float(inside[chosen].mean()),
            }
    return found


def calibration(runs: Path, path: Path) -> dict[str, Any]:
    """Calibration error of held-out votes, predicted from the scores of ``ranking.csv`` and their intervals.

    Args:
        runs: Folder with ``ranking.csv`` and ``held.csv``.
        path: ``judging.json`` of the run.
    """
    fitted = Judging.load(path)
    rows = read_table(runs / "held.csv")
    place = {row["image"]: number for number, row in enumerate(read_table(runs / "ranking.csv"))}
    scored = read_table(runs / "ranking.csv")
    mean = np.array([float(row["score"]) for row in scored])
    variance = np.array([((float(row["high"]) - float(row["low"])) / (2 * _WIDTH)) ** 2 for row in scored])
    images = np.array([[place[row["photo_1"]], place[row["photo_2"]]] for row in rows])
    left, right = images.T
    z, spread = mean[left] - mean[right], np.sqrt(variance[left] + variance[right])
    y, tie = _outcomes(rows)
    sharpness, bias = fitted.of_raters(np.array([row["worker"] for row in rows]), len(rows))
    found = {}
    for name, a, b in (("rater known", sharpness, bias), ("usual rater", np.ones(len(rows)), np.zeros(len(rows)))):
        p = sum(
            share * expit(a * (z + node * spread) + b)
            for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True)
        )
        logit = np.log(p) - np.log1p(-p)
        metrics = score(y, logit, images=images, tie=tie, nu=fitted.nu)
        found[name] = {key: metrics[key].record() for key in ("accuracy", "log_loss", "expected_calibration_error")}
    return found


def _outcomes(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Share of votes for left, float64 (N,), and whether the vote is a tie, bool (N,)."""
    y = np.array([{row["photo_1"]: 1.0, row["photo_2"]: 0.0}.get(row["winner"], 0.5) for row in rows])
    return y, y == 0.5
