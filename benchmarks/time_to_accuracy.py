"""Seconds of training to an accuracy on val: order_net against the training guide's resnet_optimized.

Run as ``python benchmarks/time_to_accuracy.py [DATA]``. order_net trains by the recipe ``demo``, for few epochs where
these suffice. resnet_optimized trains by ``guide``, with the same threads. Only the seconds of epochs count. The rival
is stopped when it has used ten times what order_net needs for 85%. The time to 89.65% is that of the first network of
the record before, from its committed history.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from twinrank.config import RunSpec
from twinrank.data.judgements import load_pairs
from twinrank.runs import RunFolder
from twinrank.training.progress import EpochProgress
from twinrank.training.train import train
from twinrank.workflows.recipe import read_recipe

EPOCHS = {0.85: 4, 0.875: 8}
"""Epochs of order_net, by the accuracy that they reach."""
HALF_HOUR = RunFolder(Path(__file__).parents[1] / "results" / "record_before" / "pairs-30min_seed42")
HALF_HOUR_ACCURACY = 0.8965
PATIENCE = 10

Epochs = list[dict[str, Any]]


class Enough(Exception):
    """A hook's signal that ends a training."""


class Until(EpochProgress):
    """Ends a training at an accuracy on val, or when its time is over."""

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
    """Seconds of epochs."""
    return sum(epoch["seconds"] for epoch in history)


def reached(history: Epochs, accuracy: float) -> float | None:
    """Seconds of the epochs to an accuracy on val, if it was reached."""
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


def in_words(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{seconds:.0f} s"


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
    n = len(load_pairs(data / "val.npz"))
    ours = {
        accuracy: reached(trained(read_recipe("demo", [f"train.epochs={epochs}"]).runs[""], data, accuracy), accuracy)
        for accuracy, epochs in EPOCHS.items()
    }
    first = ours[min(EPOCHS)]
    if first is None:
        sys.exit(f"order_net did not reach {min(EPOCHS):.0%}, so there is no time to give the rival ten times of")
    rival = trained(read_recipe("guide").runs["resnet_optimized"], data, max(EPOCHS), PATIENCE * first)
    for accuracy, seconds in ours.items():
        theirs = reached(rival, accuracy)
        ratio = "" if seconds is None or theirs is None else f", ratio {theirs / seconds:.1f}"
        print(
            f"{accuracy:.2%} on val (n = {n:,}): order_net {in_words(seconds)};"
            f" resnet_optimized {in_words(theirs)}{ratio}"
        )
    best = max(epoch["val"]["accuracy"] for epoch in rival)
    print(f"resnet_optimized used {spent(rival):.0f} s for {len(rival)} epochs, and was at {best:.2%} at best")
    seconds = reached(HALF_HOUR.read_history(), HALF_HOUR_ACCURACY)
    print(
        f"{HALF_HOUR_ACCURACY:.2%}: order_net of width 24 after {seconds:.0f} s, as committed ({HALF_HOUR.path.name})"
    )


if __name__ == "__main__":
    main()
