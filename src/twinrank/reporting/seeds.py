"""Runs of several seeds: the effect of the seed, and that of the choice of rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from twinrank.evaluation.estimates import Estimate, mean_over_runs, rate
from twinrank.reporting.contents import read_run
from twinrank.reporting.formats import plain
from twinrank.runs import RunFolder


def seeds_summary(runs: Sequence[Path]) -> str:
    """Accuracy of each run's kept epoch on val, and on its tests, with mean and deviation over the runs.

    Args:
        runs: Run folders of one network that differ in their seed, one or more, each with a history.

    Raises:
        InputError: A folder is no run folder, or no epoch of it has ended.
    """
    found: dict[str, list[float]] = {"val": []}
    estimates: dict[str, list[Estimate]] = {}
    lines = []
    for run in map(Path, runs):
        contents = read_run(run)
        values = {"val": RunFolder(run).best_epoch()["val"]["accuracy"]}
        n, val = contents.val_file["n"], contents.val_metrics
        known = rate(values["val"] * n, n) if val is None else val.metrics["accuracy"]
        estimates.setdefault("val", []).append(replace(known, value=values["val"]))
        for each in contents.metrics.values():
            if each.held_out:
                name = "val (test file)" if each.key == "val" else plain(each.key)
                values[name] = each.metrics["accuracy"].value
                estimates.setdefault(name, []).append(each.metrics["accuracy"])
        lines.append(f"{plain(run.name)}: " + ", ".join(f"{name} {accuracy:.2%}" for name, accuracy in values.items()))
        for name, accuracy in values.items():
            found.setdefault(name, []).append(accuracy)
    for name, values in found.items():
        if len(values) < len(runs):
            continue
        mean = mean_over_runs(estimates[name])
        deviation = ""
        if len(values) > 1:
            deviation = f", deviation over {len(values)} seeds {100 * np.std(values, ddof=1):.2f} points"
        others = f"other rows (n = {mean.n:,})"
        if mean.images is not None:
            others = f"other images ({mean.images:,}, in {mean.n:,} rows)"
        sampling = f"{others} would give {100 * mean.low:.2f}–{100 * mean.high:.2f} ({mean.interval})"
        lines.append(f"{name}: mean {mean.value:.2%}{deviation}; {sampling}")
    return "\n".join(lines)
