"""The figures of a report. Each function returns a figure; nothing is shown, saved or kept globally."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from twinrank.evaluation.estimates import WILSON, Estimate, wilson
from twinrank.evaluation.metrics import ReliabilityCurve
from twinrank.reporting.canvas import HEAT, INK, MARKERS, MUTED, ON_HEAT, SERIES, blank_axes, legend, line_look, style
from twinrank.reporting.formats import interval, plain, value
from twinrank.reporting.levels import LevelTable

_WIDTH, _HEIGHT = 3.6, 2.6
_LONGEST_LABEL = 40
_MOST_INSIDE = 4
"""Most runs whose legend leaves room for the curves."""


def learning_curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Curves over the epochs: a figure for each group of quantities in the history.

    Args:
        history: One mapping an epoch: "epoch", and any of "learning_rate", "train" and "val" (mappings of numbers).

    Returns:
        Figures by title, in reading order; empty for an empty history.
    """
    train = sorted({key for epoch in history for key in epoch.get("train", {})})
    pair = "pair_loss" if "pair_loss" in train else "loss"
    terms = [key for key in train if key.endswith("loss") and key != pair]
    groups = {
        "Right decisions": ("share of pairs", [("val", "accuracy"), ("val", "f1")]),
        "Loss of a pair": ("nats", [("train", pair), ("val", "log_loss")]),
        "Terms of the objective": ("nats", [("train", key) for key in terms]),
        "Learning rate": ("per step", [("", "learning_rate")]),
        "Gradient norm": ("before clipping", [("train", "grad_norm")]),
    }
    figures = {}
    for title, (unit, names) in groups.items():
        series = {f"{part} {key}".strip(): points for part, key in names if len(points := _series(history, part, key))}
        if series:
            figures[title] = _curves(series, unit, as_percent=title == "Right decisions")
    return figures


def confusion_matrix(counts: np.ndarray) -> Figure:
    """Labels against decisions.

    Args:
        counts: Counts ``[[tn, fp], [fn, tp]]``, integer (2, 2).
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
    _in_percent(upper.yaxis, lower.yaxis, lower.xaxis)
    return figure


def error_correlation(names: Sequence[str], correlation: np.ndarray) -> Figure:
    """Correlation of the base models' errors, (M, M) from -1 to 1. A stack gains most where it is low."""
    side = 0.55 * len(names)
    figure, axes = blank_axes(2.2 + side, 1.8 + 0.75 * side)
    _cells(axes, np.clip(correlation, 0, 1), lambda row, column: f"{correlation[row, column]:.2f}")
    axes.invert_yaxis()
    axes.set_xticks(range(len(names)), map(_label, names), rotation=40, ha="right", parse_math=False)
    axes.set_yticks(range(len(names)), map(_label, names), parse_math=False)
    return figure


def accuracy_by_coverage(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Accuracy of the surest decisions by the share of the pairs that they are, with Wilson 95% intervals.

    Args:
        curves: Points with ``coverage``, ``value``, ``low`` and ``high``, by name of the rows.
    """
    figure, axes = blank_axes(_WIDTH, 3.2)
    for position, (name, points) in enumerate(curves.items()):
        coverage, rate, low, high = (
            np.array([point[key] for point in points]) for key in ("coverage", "value", "low", "high")
        )
        axes.errorbar(
            coverage,
            rate,
            np.stack([rate - low, high - rate]),
            markersize=4,
            linewidth=1.4,
            label=name,
            **line_look(position),
        )
    _in_percent(axes.xaxis, axes.yaxis)
    axes.set(xlabel="share of the pairs that are decided, surest first", ylabel="share right")
    legend(axes)
    return figure


def latent_levels(table: LevelTable) -> Figure:
    """Heat map of digits by latent level, in shares of the level's images; the lowest level is at the bottom.

    At the right of each level stand the mean digit and the number of its images.
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
    """Share of right decisions by the distance of the two digits, with Wilson 95% intervals.

    Args:
        right: Whether each pair is decided rightly, bool (N,).
        difference: Absolute difference of the two digits, integer (N,).
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
    _in_percent(axes.yaxis)
    axes.set(xlabel="difference of the digits, and number of pairs", ylabel="share right")
    return figure


def compared_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]], band: bool = False) -> Figure:
    """Accuracy on val over the epochs, of many runs: a line each, or their mean with a band from worst to best.

    Args:
        runs: Histories by name, as for :func:`learning_curves`.
        band: Whether to draw all runs as one band, for runs that differ in their seed.
    """
    beside = not band and len(runs) > _MOST_INSIDE
    figure, axes = blank_axes(8.4, max(4.0, 0.4 + 0.2 * len(runs))) if beside else blank_axes(6.4, 4.0)
    curves = {name: _series(history, "val", "accuracy") for name, history in runs.items()}
    if band:
        length = min(len(points) for points in curves.values())
        epochs = next(iter(curves.values()))[:length, 0]
        values = np.stack([points[:length, 1] for points in curves.values()])
        axes.fill_between(epochs, values.min(0), values.max(0), color=SERIES[0], alpha=0.25, linewidth=0, label="range")
        axes.plot(epochs, values.mean(0), color=SERIES[0], linewidth=1.6, label=f"mean of {len(curves)} runs")
    else:
        for position, (name, points) in enumerate(curves.items()):
            axes.plot(
                points[:, 0], points[:, 1], markersize=4, linewidth=1.4, label=_label(name), **line_look(position)
            )
    axes.set(xlabel="epoch", ylabel="share right on val")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _in_percent(axes.yaxis)
    if beside:
        legend(axes, loc="upper left", bbox_to_anchor=(1, 1), handlelength=3.5)
    else:
        legend(axes, loc="lower right")
    return figure


def accuracy_by_seconds(
    ours: Mapping[str, tuple[float, Estimate]],
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    others: Mapping[str, tuple[float, float]],
    file: str = "test_private",
) -> Figure:
    """Accuracy on a file against seconds of training, on a logarithmic axis.

    Args:
        ours: Seconds and accuracy, by name.
        curves: Seconds and accuracy on val during a training, by the same names; an ensemble has none.
        others: Published seconds and accuracy, by name; empty off the benchmark.
        file: Name of the file.
    """
    figure, axes = blank_axes(8.4, 4.4)
    for position, (name, (seconds, accuracy)) in enumerate(ours.items()):
        look = line_look(position)
        if name in curves:
            axes.plot(*curves[name], color=look["color"], linewidth=1, alpha=0.5)
        spread = [[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]]
        axes.errorbar([seconds], [accuracy.value], spread, linewidth=1.4, markersize=6, label=_label(name), **look)
    for position, (name, (seconds, accuracy)) in enumerate(others.items()):
        axes.plot([seconds], [accuracy], color=MUTED, marker=MARKERS[position], linestyle="none", label=name)
    if curves:
        axes.plot([], [], color=MUTED, linewidth=1, label="val during training")
    axes.set_xscale("log")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(f"share right on {_label(file)}", parse_math=False)
    if others:
        axes.set_ylim(0.7, 0.95)
    _in_percent(axes.yaxis)
    legend(axes, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def accuracy_table(rows: Mapping[str, Mapping[str, Estimate]], files: Sequence[str]) -> Figure:
    """Accuracy of many runs with 95% intervals: a row each, a mark for each file.

    Args:
        rows: Accuracies by run and file.
        files: Names of the files, in the order of the legend.
    """
    figure, axes = blank_axes(6.4, 1.3 + 0.38 * len(rows))
    names = list(rows)[::-1]
    for position, file in enumerate(files):
        shown = [(place, rows[name][file]) for place, name in enumerate(names) if file in rows[name]]
        if not shown:
            continue
        places = np.array([place for place, _ in shown]) + 0.16 * ((len(files) - 1) / 2 - position)
        rate = np.array([estimate.value for _, estimate in shown])
        spread = np.abs(np.array([[estimate.low, estimate.high] for _, estimate in shown]).T - rate)
        axes.errorbar(
            rate,
            places,
            xerr=spread,
            linestyle="none",
            linewidth=1.4,
            markersize=5,
            color=SERIES[position % len(SERIES)],
            marker=MARKERS[position % len(MARKERS)],
            label=f"{_label(file)} (n = {shown[0][1].n:,})",
        )
    axes.set_yticks(range(len(names)), map(_label, names), parse_math=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    wilson_alone = all(estimate.interval == WILSON for row in rows.values() for estimate in row.values())
    intervals = WILSON if wilson_alone else "95%"
    axes.set(xlabel=f"share right, with {intervals} intervals", ylim=(-0.6, len(names) - 0.4))
    legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def _label(name: str) -> str:
    """A name that leaves room for the picture."""
    return plain(name, _LONGEST_LABEL)


def _in_percent(*each: Axis) -> None:
    for axis in each:
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _series(history: Sequence[Mapping[str, Any]], part: str, key: str) -> np.ndarray:
    """Epochs and values where the history has them: float64 (M, 2)."""
    found = [(epoch["epoch"], (epoch.get(part, {}) if part else epoch).get(key)) for epoch in history]
    return np.array([(epoch, value) for epoch, value in found if value is not None], np.float64).reshape(-1, 2)


def _curves(series: Mapping[str, np.ndarray], unit: str, *, as_percent: bool) -> Figure:
    figure, axes = blank_axes(_WIDTH, _HEIGHT)
    for position, (name, points) in enumerate(series.items()):
        label = name.replace("_", " ")
        axes.plot(points[:, 0], points[:, 1], markersize=4, linewidth=1.5, label=label, **line_look(position))
    axes.set(xlabel="epoch", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if as_percent:
        _in_percent(axes.yaxis)
    if len(series) > 1:
        legend(axes)
    return figure


def _cells(axes: Axes, share: np.ndarray, text: Callable[[int, int], str]) -> None:
    """Cells as dark as their share; they read on a light page and on a dark one."""
    axes.grid(visible=False)
    for row, column in np.ndindex(share.shape):
        place = (column - 0.47, row - 0.47)
        axes.add_patch(Rectangle(place, 0.94, 0.94, facecolor=HEAT, alpha=max(0.04, share[row, column]), linewidth=0))
        colour = ON_HEAT if share[row, column] > 0.6 else INK
        axes.text(column, row, text(row, column), ha="center", va="center", color=colour, size=9)
    axes.set(xlim=(-0.5, share.shape[1] - 0.5), ylim=(-0.5, share.shape[0] - 0.5))
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
