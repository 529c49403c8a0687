"""A search as a table and as figures, all from its ``study.json``."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from twinrank.core.messages import counted
from twinrank.reporting.canvas import GRID, HEAT, INK, MUTED, SERIES, blank_axes, save_picture
from twinrank.reporting.formats import duration, table_line

FEWEST_FOR_IMPORTANCES = 20
"""Completed trials that importances need: five of them are the best quarter."""
_SHOWN = 10
_PLACES = 4
"""Significant digits of a value."""


def search_text(study: Mapping[str, Any]) -> str:
    """The best trials as a Markdown table, and the result of training the best again.

    Args:
        study: Content of ``study.json``.
    """
    trials, keys = study["trials"], list(study["space"])
    complete = _ranked(trials)
    pruned = sum(trial["state"] == "pruned" for trial in trials)
    spent = duration(sum(trial["seconds"] or 0.0 for trial in trials))
    lines = [
        f"{study['model']}: {counted(len(complete) + pruned, 'trial', 'trials')} in {spent} of training,"
        f" {pruned} of them pruned.",
        "",
        table_line(["trial", "accuracy on val", *keys]),
        table_line(["---"] * (2 + len(keys))),
    ]
    for trial in complete[:_SHOWN]:
        values = [_shown(trial["values"][key]) for key in keys]
        lines.append(table_line([str(trial["number"]), f"{trial['accuracy']:.2%}", *values]))
    lines += ["", "The search maximises these accuracies, so the best of them reads too well."]
    if study["importances"]:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in study["importances"].items())
        lines.append(f"Importance, for a trial to be among the best quarter: {shares}.")
    if study["retrained"]:
        lines += ["", *_retrained(study["best"], study["retrained"])]
    return "\n".join(lines)


def draw_search(study: Mapping[str, Any], out: Path) -> tuple[list[Path], list[str]]:
    """Draw ``importances.png`` and ``parallel.png`` into a folder.

    Args:
        study: Content of ``study.json``.
        out: Folder for the pictures.

    Returns:
        Paths of the pictures, and a line for each picture that is left out.

    Raises:
        InputError: A file cannot be written.
    """
    written, left_out = [], []
    importances, parallel = Path(out) / "importances.png", Path(out) / "parallel.png"
    if study["importances"]:
        written.append(save_picture(importance_bars(study["importances"]), importances))
    else:
        need = f"it needs {FEWEST_FOR_IMPORTANCES} completed trials, and two keys or more"
        left_out.append(f"{importances.name} is left out: {need}")
    if sum(trial["state"] == "complete" for trial in study["trials"]) > 1:
        written.append(save_picture(parallel_coordinates(study["trials"], study["space"]), parallel))
    else:
        left_out.append(f"{parallel.name} is left out: it needs two completed trials")
    return written, left_out


def importance_bars(importances: Mapping[str, float]) -> Figure:
    """The share of each key in the accuracy, the greatest at the top."""
    figure, axes = blank_axes(6.4, 0.9 + 0.32 * len(importances))
    ordered = sorted(importances.items(), key=lambda item: item[1])
    names, shares = [name for name, _ in ordered], [share for _, share in ordered]
    axes.barh(names, shares, height=0.6, color=SERIES[0])
    for place, share in enumerate(shares):
        axes.text(share, place, f" {share:.0%}", va="center", color=INK, size=9)
    axes.set(xlabel="importance", xlim=(0, 1.1 * max(shares)))
    axes.grid(visible=False, axis="y")
    return figure


def parallel_coordinates(trials: Sequence[Mapping[str, Any]], space: Mapping[str, Any]) -> Figure:
    """Each trial as a line through its values, darker for higher accuracy. The best has a colour, pruned ones are grey.

    Args:
        trials: Trials of ``study.json``, two or more of them completed.
        space: Space of ``study.json``.
    """
    keys = list(space)
    figure, axes = blank_axes(max(6.4, 1.6 * (len(keys) + 1)), 4.2)
    # The best is drawn last, over the others.
    complete = _ranked(trials)[::-1]
    low, high = complete[0]["accuracy"], complete[-1]["accuracy"]
    places = np.arange(len(keys) + 1)
    for trial in trials:
        if trial["state"] == "pruned":
            heights = [_height(space[key], trial["values"][key]) for key in keys]
            axes.plot(places[:-1], heights, color=GRID, linewidth=0.8)
    for rank, trial in enumerate(complete):
        best, share = rank == len(complete) - 1, (trial["accuracy"] - low) / ((high - low) or 1)
        heights = [*(_height(space[key], trial["values"][key]) for key in keys), share]
        colour, width, alpha = (SERIES[1], 2.0, 1.0) if best else (HEAT, 1.1, 0.15 + 0.75 * share)
        axes.plot(places, heights, color=colour, linewidth=width, alpha=alpha)
    for place, key in enumerate(keys):
        axes.axvline(place, color=MUTED, linewidth=0.8)
        for value in _marks(space[key]):
            height = _height(space[key], value)
            axes.text(place - 0.03, height, _shown(value), ha="right", va="center", color=INK, size=8)
    axes.axvline(places[-1], color=MUTED, linewidth=0.8)
    for height, accuracy in ((0, low), (1, high)):
        axes.text(places[-1] + 0.03, height, f"{accuracy:.1%}", va="center", color=INK, size=8)
    axes.set_xticks(places, [*(key.replace(".", "\n", 1) for key in keys), "accuracy\non val"], parse_math=False)
    axes.set_yticks([])
    axes.set(xlim=(-0.5, len(keys) + 0.4), ylim=(-0.06, 1.06))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _retrained(best: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """The winner and the defaults on fresh seeds, and which of them is better."""
    difference, ways = again["difference"], again["accuracy"]
    lines = [table_line(["fresh seed", *ways, "difference, points"]), table_line(["---"] * (2 + len(ways)))]
    for place, seed in enumerate(again["seeds"]):
        accuracies = [f"{values[place]:.2%}" for values in ways.values()]
        lines.append(table_line([str(seed), *accuracies, f"{100 * again['by_seed'][place]:+.2f}"]))
    over = "images" if "images" in difference else "rows"
    points = [f"{100 * difference[name]:+.2f}" for name in ("value", "low", "high")]
    verdict = (
        f"trial {best['number']} is better than the defaults"
        if again["better"]
        else f"trial {best['number']} is NOT shown to be better than the defaults; keep those"
    )
    return [
        *lines,
        "",
        f"On fresh seeds {verdict}: {points[0]} points on val ({points[1]} to {points[2]},"
        f" {difference['interval']} over {over}, n = {difference['n']:,}).",
        "val also chose the values, so these accuracies read slightly too well; evaluate on a file that chose nothing.",
    ]


def _ranked(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Completed trials, the best first."""
    return sorted((trial for trial in trials if trial["state"] == "complete"), key=lambda each: -each["accuracy"])


def _height(dimension: Any, value: Any) -> float:
    """Height of a value between the least, 0, and the greatest, 1; choices are evenly spaced."""
    if isinstance(dimension, list):
        return dimension.index(value) / (len(dimension) - 1)
    scale = math.log if dimension["log"] else float
    low, high = scale(dimension["low"]), scale(dimension["high"])
    return (scale(value) - low) / (high - low)


def _marks(dimension: Any) -> list[Any]:
    return dimension if isinstance(dimension, list) else [dimension["low"], dimension["high"]]


def _shown(value: Any) -> str:
    return f"{value:.{_PLACES}g}" if isinstance(value, float) else str(value)
