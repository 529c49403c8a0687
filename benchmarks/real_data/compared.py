"""Comparisons of what the command line wrote with votes and truth that it was not given."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.real_data.tables import Rows, rank_correlation, read_table
from twinrank.evaluation.compare import paired_tests
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.metrics import accuracy, score
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder
from twinrank.workflows.rank import ScoredImages

_WIDTH = 1.959963984540054
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(15)


def without_raters(run: Path, other: Path, key: str = "true") -> dict[str, Any]:
    """A network that models raters against one that ignores them, on pairs in their true order, over images."""
    ours, theirs = (Predictions.load(RunFolder(path).predictions(key)) for path in (run, other))
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


def people(fitted: Judging, crowd: dict[str, Any]) -> dict[str, Any]:
    """Fitted parameters of the crowd beside the true ones.

    Args:
        fitted: The same as fitted with the ranking.
        crowd: Content of ``crowd.json``.
    """
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
                "rank_correlation": rank_correlation(scores[chosen], true[chosen]),
                "true_scores_in_95%_intervals": float(inside[chosen].mean()),
            }
    return found


def calibration(scored: ScoredImages, held: Path) -> dict[str, Any]:
    """Calibration error of held-out votes, predicted from scores, their uncertainty, and the raters.

    Args:
        scored: Images ranked with other votes.
        held: Table of the held-out votes.
    """
    scores = scored.scores
    rows = read_table(held)
    place = {name: number for number, name in enumerate(scored.names)}
    images = np.array([[place[row["photo_1"]], place[row["photo_2"]]] for row in rows])
    z, variance = scores.difference(*images.T)
    y, tie = _outcomes(rows)
    known = scores.judging.of_raters(np.array([row["worker"] for row in rows]), len(rows))
    found = {}
    for name, (a, b) in {"rater known": known, "usual rater": scores.judging.of_raters(None, len(rows))}.items():
        p = np.zeros(len(rows))
        for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True):
            p += share * expit(a * (z + node * np.sqrt(variance)) + b)
        metrics = score(y, np.log(p) - np.log1p(-p), images=images, tie=tie)
        found[name] = {key: metrics[key].record() for key in ("accuracy", "expected_calibration_error")}
    return found


def _outcomes(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Share of votes for left, float64 (N,), and whether the vote is a tie, bool (N,)."""
    y = np.array([{row["photo_1"]: 1.0, row["photo_2"]: 0.0}.get(row["winner"], 0.5) for row in rows])
    return y, y == 0.5
