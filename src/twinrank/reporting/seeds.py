"""Seeds beside each other: what another seed changes, apart from what other test rows would."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinrank.evaluation.metrics import wilson
from twinrank.reporting.contents import read_run
from twinrank.runs import RunFolder


def seeds_summary(runs: Sequence[Path]) -> str:
    """Accuracy of each run's kept epoch on ``val``, and on its evaluated files, with mean and deviation over the runs.

    Args:
        runs: run folders of one network that differ in their seed, one or more, each with a history.
    """
    found: dict[str, list[float]] = {"val": []}
    rows: dict[str, int] = {}
    lines = []
    for run in map(Path, runs):
        contents = read_run(run)
        values = {"val": RunFolder(run).best_epoch()["val"]["accuracy"]}
        rows["val"] = contents.config["data"]["val"]["n"]
        for stem, record in contents.records.items():
            if stem != "val":
                values[stem] = record.metrics["accuracy"].value
                rows[stem] = record.metrics["accuracy"].n
        lines.append(f"{run.name}: " + ", ".join(f"{stem} {accuracy:.2%}" for stem, accuracy in values.items()))
        for stem, accuracy in values.items():
            found.setdefault(stem, []).append(accuracy)
    for stem, values in found.items():
        if len(values) < len(runs):
            continue
        mean, n = float(np.mean(values)), rows[stem]
        low, high = wilson(mean * n, n)
        deviation = ""
        if len(values) > 1:
            deviation = f", deviation over {len(values)} seeds {100 * np.std(values, ddof=1):.2f} points"
        sampling = f"other rows (n = {n:,}) would give {100 * low:.2f}–{100 * high:.2f} (Wilson 95%)"
        lines.append(f"{stem}: mean {mean:.2%}{deviation}; {sampling}")
    return "\n".join(lines)
