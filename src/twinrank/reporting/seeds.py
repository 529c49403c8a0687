"""Runs of several seeds: the effect of the seed, and that of the choice of rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinrank.evaluation.estimates import wilson
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
    rows: dict[str, int] = {}
    lines = []
    for run in map(Path, runs):
        contents = read_run(run)
        values = {"val": RunFolder(run).best_epoch()["val"]["accuracy"]}
        rows["val"] = contents.config["data"]["val"]["n"]
        for each in contents.metrics.values():
            if each.held_out:
                name = "val (test file)" if each.key == "val" else plain(each.key)
                values[name] = each.metrics["accuracy"].value
                rows[name] = each.metrics["accuracy"].n
        lines.append(f"{plain(run.name)}: " + ", ".join(f"{name} {accuracy:.2%}" for name, accuracy in values.items()))
        for name, accuracy in values.items():
            found.setdefault(name, []).append(accuracy)
    for name, values in found.items():
        if len(values) < len(runs):
            continue
        mean, n = float(np.mean(values)), rows[name]
        low, high = wilson(mean * n, n)
        deviation = ""
        if len(values) > 1:
            deviation = f", deviation over {len(values)} seeds {100 * np.std(values, ddof=1):.2f} points"
        sampling = f"other rows (n = {n:,}) would give {100 * low:.2f}–{100 * high:.2f} (Wilson 95%)"
        lines.append(f"{name}: mean {mean:.2%}{deviation}; {sampling}")
    return "\n".join(lines)
