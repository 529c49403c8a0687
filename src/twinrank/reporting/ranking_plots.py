"""The figures of a ranking: all scores with their intervals, and the learning curve over the judgements."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from twinrank.evaluation.learning_curve import LearningCurve
from twinrank.reporting.canvas import INK, SERIES, blank_axes, style

_MOST_POINTS = 400
_FEW = 60


def scores(ranked: np.ndarray) -> Figure:
    """All scores by place, with their 95% intervals: bars where images are few, else a band.

    Args:
        ranked: Scores, lower and upper ends, float (3, M), the highest image first.
    """
    figure, axes = blank_axes(7.2, 3.2)
    count = ranked.shape[1]
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int))
    mean, low, high = ranked[:, shown]
    if count <= _FEW:
        spread = np.stack([mean - low, high - mean])
        axes.errorbar(
            shown + 1, mean, spread, color=SERIES[0], marker="o", markersize=4, linestyle="none", linewidth=1.4
        )
    else:
        axes.fill_between(shown + 1, low, high, color=SERIES[0], alpha=0.25, linewidth=0)
        axes.plot(shown + 1, mean, color=SERIES[0], linewidth=1.6)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set(xlabel="place", ylabel="score", xlim=(1 - 0.01 * count, count * 1.01 + 0.5))
    return figure


def learning_curve(curve: LearningCurve) -> Figure:
    """Accuracy and log-loss on held-out judgements, by the number of judgements behind the scores."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    figure.patch.set_alpha(0)
    places = np.arange(len(curve.points))
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "log_loss"), strict=True):
        style(axes)
        estimates = [getattr(point, name) for point in curve.points]
        values = np.array([each.value for each in estimates])
        spread = np.stack([values - [each.low for each in estimates], [each.high for each in estimates] - values])
        axes.errorbar(places, values, np.maximum(spread, 0), color=SERIES[0], marker="o", markersize=5, linewidth=1.4)
        labels = [f"{point.judgements:,}" if point.judgements else "network\nalone" for point in curve.points]
        axes.set_xticks(places, labels, size=8, color=INK)
        axes.set(xlabel="judgements behind the scores", xlim=(-0.3, len(places) - 0.7))
        axes.set_ylabel("share right" if name == "accuracy" else "log-loss, nats")
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure
