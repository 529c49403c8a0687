"""The figures of a report. Each function returns a figure; nothing is shown, saved or kept globally."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from twinrank.evaluation.metrics import ReliabilityCurve, wilson
from twinrank.reporting.canvas import HEAT, INK, MARKERS, MUTED, ON_HEAT, SERIES, blank_axes, legend, style
from twinrank.reporting.formats import interval, value
from twinrank.reporting.levels import LevelTable

_WIDTH, _HEIGHT = 3.6, 2.6


def learning_curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """What changed over the epochs: a figure for each group of quantities that the history holds.

    Args:
        history: one mapping an epoch: "epoch", and any of "learning_rate", "train" and "val" (mappings of numbers).

    Returns:
        Figures by title, in reading order; empty for an empty history.
    """
    train = sorted({key for epoch in history for key in epoch.get("train", {})})
    pair = "pair_loss" if "pair_loss" in train else "loss"
    terms = [key for key in train if key.endswith("loss") and key != pair]
    groups = {
        "Right answers": ("share of pairs", [("val", "accuracy"), ("val", "f1")]),
        "Loss of a pair": ("nats", [("train", pair), ("val", "log_loss")]),
        "Terms of the objective": ("nats", [("train", key) for key in terms]),
        "Learning rate": ("per step", [("", "learning_rate")]),
        "Gradient norm": ("before clipping", [("train", "grad_norm")]),
    }
    figures = {}
    for title, (unit, names) in groups.items():
        series = {f"{part} {key}".strip(): points for part, key in names if len(points := _series(history, part, key))}
        if series:
            figures[title] = _curves(series, unit, as_percent=title == "Right answers")
    return figures


def confusion_matrix(counts: np.ndarray) -> Figure:
    """Labels against decisions.

    Args:
        counts: integer (2, 2), ``[[tn, fp], [fn, tp]]``.
    """
    figure, axes = blank_axes(_WIDTH, 2.8)
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    _cells(axes, share, lambda row, column: f"{counts[row, column]:,}\n{share[row, column]:.1%}")
    axes.invert_yaxis()
    names = ["right higher (0)", "left higher (1)"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.set(xlabel="decision", ylabel="label (shares by row)")
    return figure


def reliability_curve(curve: ReliabilityCurve) -> Figure:
    """Accuracy against confidence with Wilson 95% intervals, over the share of the pairs in each bin."""
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    figure.patch.set_alpha(0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    style(upper)
    style(lower)
    upper.plot([0.5, 1], [0.5, 1], color=MUTED, linestyle="--", linewidth=1, label="perfectly calibrated")
    spread = np.stack([curve.accuracy - curve.low, curve.high - curve.accuracy])
    upper.errorbar(
        curve.confidence,
        curve.accuracy,
        spread,
        color=SERIES[0],
        marker="o",
        markersize=4,
        linewidth=1.4,
        label="measured",
    )
    legend(upper)
    lower.bar(curve.confidence, curve.n / curve.n.sum(), width=0.02, color=SERIES[0])
    upper.set(ylabel="share right")
    lower.set(xlabel="confidence, max(p, 1 − p)", ylabel="share of pairs", xlim=(0.49, 1.01))
    for axis in (upper.yaxis, lower.yaxis, lower.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def latent_levels(table: LevelTable) -> Figure:
    """Heat map: what share of the images on each latent level shows which digit, the lowest level at the bottom.

    At the right of each level: the mean digit of its images, and how many they are.
    """
    levels, classes = table.counts.shape
    figure, axes = blank_axes(5.4, 1.0 + 0.3 * levels)
    share = np.nan_to_num(table.share)
    _cells(axes, share, lambda row, column: f"{100 * share[row, column]:.0f}" if share[row, column] >= 0.005 else "")
    for column, heading, colour in ((classes + 0.3, "mean", INK), (classes + 1.7, "images", MUTED)):
        axes.text(column, levels - 0.3, heading, ha="right", color=MUTED, size=9)
        for level, images in enumerate(table.counts.sum(1)):
            mean = f"{table.mean_class[level]:.2f}" if images else "–"
            beside = mean if heading == "mean" else f"{images:,}"
            axes.text(column, level, beside, ha="right", va="center", color=colour, size=9)
    axes.set_xlim(-0.5, classes + 1.8)
    axes.set_xticks(range(classes))
    axes.set_yticks(range(levels))
    purity = table.purity
    shown, between = value(purity, "accuracy", 1), interval(purity, "accuracy", 1)
    title = f"purity {shown} ({between}), n = {purity.n:,} images"
    axes.set_title(title, loc="left", pad=16, color=INK, size=10)
    axes.set(xlabel="true digit (share in % of the level's images)", ylabel="latent level, lowest first")
    return figure


def accuracy_by_difference(right: np.ndarray, difference: np.ndarray) -> Figure:
    """Share of right decisions by how far the two digits lie apart, with Wilson 95% intervals.

    Args:
        right: bool (N,), the pair was decided rightly.
        difference: integer (N,), absolute difference of the two digits.
    """
    figure, axes = blank_axes(_WIDTH, _HEIGHT)
    distances = np.unique(difference)
    n = np.array([(difference == distance).sum() for distance in distances])
    successes = np.array([right[difference == distance].sum() for distance in distances])
    low, high = wilson(successes, n)
    rate = successes / n
    spread = np.stack([rate - low, high - rate])
    axes.errorbar(distances, rate, spread, color=SERIES[0], marker="o", markersize=5, linestyle="none", linewidth=1.4)
    axes.set_xticks(distances, [f"{distance}\n{count:,}" for distance, count in zip(distances, n, strict=True)], size=8)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="difference of the digits, and number of pairs", ylabel="share right")
    return figure


def _series(history: Sequence[Mapping[str, Any]], part: str, key: str) -> np.ndarray:
    """Epochs and values where the history has them: float64 (M, 2)."""
    found = [(epoch["epoch"], (epoch.get(part, {}) if part else epoch).get(key)) for epoch in history]
    return np.array([(epoch, value) for epoch, value in found if value is not None], np.float64).reshape(-1, 2)


def _curves(series: Mapping[str, np.ndarray], unit: str, *, as_percent: bool) -> Figure:
    figure, axes = blank_axes(_WIDTH, _HEIGHT)
    for position, (name, points) in enumerate(series.items()):
        colour, marker = SERIES[position % len(SERIES)], MARKERS[position % len(MARKERS)]
        label = name.replace("_", " ")
        axes.plot(points[:, 0], points[:, 1], color=colour, marker=marker, markersize=4, linewidth=1.5, label=label)
    axes.set(xlabel="epoch", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if as_percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if len(series) > 1:
        legend(axes)
    return figure


def _cells(axes: Axes, share: np.ndarray, text: Any) -> None:
    """Cells as dark as their share, so that they read on a light page and on a dark one."""
    axes.grid(visible=False)
    for row, column in np.ndindex(share.shape):
        place = (column - 0.47, row - 0.47)
        axes.add_patch(Rectangle(place, 0.94, 0.94, facecolor=HEAT, alpha=max(0.04, share[row, column]), linewidth=0))
        colour = ON_HEAT if share[row, column] > 0.6 else INK
        axes.text(column, row, text(row, column), ha="center", va="center", color=colour, size=9)
    axes.set(xlim=(-0.5, share.shape[1] - 0.5), ylim=(-0.5, share.shape[0] - 0.5))
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
