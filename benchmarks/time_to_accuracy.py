"""Seconds of training until val is decided as well as asked: order_net against the training guide's resnet_optimized.

Run as ``python benchmarks/time_to_accuracy.py [DATA]``. order_net trains by the recipe ``demo``, which reaches 85% and
87.5%, and by ``record``, which reaches 89.65%; resnet_optimized by ``guide``. All have the same threads, and only the
seconds of passes count. The rival is stopped when it has used ten times what order_net needs for 85%.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from twinrank.data.pairs import load_pairs
from twinrank.device import available_threads
from twinrank.pipeline import read_recipe
from twinrank.training.progress import EpochProgress
from twinrank.training.run import train

ASKED = {("demo", ""): (0.85, 0.875), ("record", "pairs-30min_seed42"): (0.8965,)}
"""Of order_net, by recipe and run."""
PATIENCE = 10


class Enough(Exception):
    """Ends a training from its progress."""


class Until(EpochProgress):
    """Ends a training when val is decided well enough, or when its time is over."""

    def __init__(self, epochs: int, asked: tuple[float, ...], limit: float = float("inf")) -> None:
        super().__init__(epochs)
        self._asked, self._limit = asked, limit
        self.seconds, self.accuracy = 0.0, 0.0
        self.reached: dict[float, float] = {}
        """Seconds by accuracy."""

    def epoch_ended(self, record: dict[str, Any], best: bool) -> None:
        super().epoch_ended(record, best)
        self.seconds += record["seconds"]
        self.accuracy = max(self.accuracy, record["val"]["accuracy"])
        for each in self._asked:
            if self.accuracy >= each:
                self.reached.setdefault(each, self.seconds)
        if len(self.reached) == len(self._asked) or self.seconds >= self._limit:
            raise Enough


def trained(recipe: str, name: str, data: Path, asked: tuple[float, ...], limit: float = float("inf")) -> Until:
    spec = read_recipe(recipe).runs[name]
    until = Until(spec.train.epochs, asked, limit)
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = data / "train.npz", data / "val.npz", Path(folder) / "run"
            train(spec.model, *files, spec.train, spec.options, available_threads(), progress=until)
        except Enough:
            pass
    return until


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
    n = len(load_pairs(data / "val.npz"))
    ours: dict[float, float] = {}
    for (recipe, name), asked in ASKED.items():
        ours |= trained(recipe, name, data, asked).reached
    if 0.85 not in ours:
        sys.exit("order_net did not reach 85%, so there is no time to give the rival ten times of")
    rival = trained("guide", "resnet_optimized", data, tuple(ours), PATIENCE * ours[0.85])
    for asked, seconds in ours.items():
        theirs = rival.reached.get(asked)
        said = f"{theirs:.0f} s, ratio {theirs / seconds:.1f}" if theirs else "not reached"
        print(f"{asked:.2%} on val (n = {n:,}): order_net {seconds:.0f} s; resnet_optimized {said}")
    print(f"resnet_optimized used {rival.seconds:.0f} s, and was at {rival.accuracy:.2%} at best")


if __name__ == "__main__":
    main()
