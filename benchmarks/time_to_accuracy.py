"""Seconds of training until val is decided as well as asked: order_net against the training guide's resnet_optimized.

Run as ``python benchmarks/time_to_accuracy.py [DATA]``. order_net trains by the recipe ``demo``, but for few passes
where they do, and resnet_optimized by ``guide``, with the same threads; only the seconds of passes count. The rival is
stopped when it has used ten times what order_net needs for 85%. When the recipe ``record``'s first network had reached
89.65%, which takes half an hour, its committed history says.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from twinrank.config import RunSpec
from twinrank.data.pairs import load_pairs
from twinrank.runs import RunFolder
from twinrank.training.progress import EpochProgress
from twinrank.training.train import train
from twinrank.workflows.recipe import read_recipe

ASKED = {0.85: 4, 0.875: 8}
"""Accuracies, and for how many passes order_net is trained for each."""
HALF_HOUR = RunFolder(Path(__file__).parents[1] / "results" / "record" / "pairs-30min_seed42")
HALF_HOUR_ASKED = 0.8965
PATIENCE = 10

Epochs = list[dict[str, Any]]


class Enough(Exception):
    """Ends a training from its progress."""


class Until(EpochProgress):
    """Ends a training when val is decided well enough, or when its time is over."""

    def __init__(self, epochs: int, enough: float, limit: float = float("inf")) -> None:
        super().__init__(epochs)
        self._enough, self._limit = enough, limit
        self.history: Epochs = []

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        super().epoch_ended(entry, best)
        self.history.append(entry)
        if entry["val"]["accuracy"] >= self._enough or spent(self.history) >= self._limit:
            raise Enough


def spent(history: Epochs) -> float:
    """Seconds of passes."""
    return sum(epoch["seconds"] for epoch in history)


def reached(history: Epochs, accuracy: float) -> float | None:
    """Seconds of the passes until val was decided so well, if it was."""
    return next(
        (spent(history[: i + 1]) for i, epoch in enumerate(history) if epoch["val"]["accuracy"] >= accuracy), None
    )


def trained(spec: RunSpec, data: Path, enough: float, limit: float = float("inf")) -> Epochs:
    until = Until(spec.train.epochs, enough, limit)
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = data / "train.npz", data / "val.npz", Path(folder) / "run"
            train(spec, *files, hooks=until)
        except Enough:
            pass
    return until.history


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
    n = len(load_pairs(data / "val.npz"))
    ours = {
        asked: reached(trained(read_recipe("demo", [f"train.epochs={passes}"]).runs[""], data, asked), asked)
        for asked, passes in ASKED.items()
    }
    first = ours[min(ASKED)]
    if first is None:
        sys.exit(f"order_net did not reach {min(ASKED):.0%}, so there is no time to give the rival ten times of")
    rival = trained(read_recipe("guide").runs["resnet_optimized"], data, max(ASKED), PATIENCE * first)
    for asked, seconds in ours.items():
        theirs = reached(rival, asked)
        said = "not reached" if seconds is None else f"{seconds:.0f} s"
        other = "not reached" if theirs is None else f"{theirs:.0f} s"
        ratio = "" if seconds is None or theirs is None else f", ratio {theirs / seconds:.1f}"
        print(f"{asked:.2%} on val (n = {n:,}): order_net {said}; resnet_optimized {other}{ratio}")
    best = max(epoch["val"]["accuracy"] for epoch in rival)
    print(f"resnet_optimized used {spent(rival):.0f} s for {len(rival)} passes, and was at {best:.2%} at best")
    seconds = reached(HALF_HOUR.read_history(), HALF_HOUR_ASKED)
    print(f"{HALF_HOUR_ASKED:.2%}: order_net of width 24 after {seconds:.0f} s, as committed ({HALF_HOUR.path.name})")


if __name__ == "__main__":
    main()
