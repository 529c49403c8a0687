"""How far trainings get in their time."""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.rates import rate
from benchmarks.gpu.work import GUIDE, Work
from twinrank.config import RunSpec
from twinrank.inference.evaluate import evaluate
from twinrank.runs import RunFolder
from twinrank.training.hooks import Hooks
from twinrank.training.train import train
from twinrank.workflows.recipe import read_recipe

WIDTH = 64
"""Width of order_net here."""
TRAINING_SHARE, EPOCH_OVERHEAD, VALIDATION = 0.9, 0.15, 1.03
"""Share of a training's time that epochs get; seconds that files take after each; time with validation."""


def fitted(work: Work, name: str, spec: RunSpec, seconds: float, folder: Path) -> None:
    """Train a network for a time, as many epochs as fit, and evaluate it.

    Args:
        work: Part.
        name: Name of the run.
        spec: Network and training values, whose epochs are replaced.
        seconds: Time in all.
        folder: Folder of the runs.
    """
    until = time.monotonic() + seconds
    pairs_a_second = rate(spec, work.train, work.val, 0.0 if work.tiny else 1.5)
    epoch = VALIDATION * len(work.train) / pairs_a_second + EPOCH_OVERHEAD
    epochs = max(2, int(TRAINING_SHARE * (until - time.monotonic()) / epoch))
    print(f"{work.part}: {name}, {pairs_a_second:,.0f} pairs a second", flush=True)
    trained(work, name, replace(spec, train=replace(spec.train, epochs=epochs)), folder)


def trained(work: Work, name: str, spec: RunSpec, folder: Path) -> None:
    """Train a network and evaluate it; for two epochs where everything is tiny. Arguments of :func:`fitted`."""
    spec = replace(spec, train=replace(spec.train, epochs=2)) if work.tiny else spec
    test, epochs = work.load("test_private", 32), spec.train.epochs
    run = RunFolder(folder / name)
    print(f"{work.part}: {name}, {epochs} epochs", flush=True)
    began = time.monotonic()
    train(spec, work.train, work.val, run.path, hooks=_Lines())
    passed = time.monotonic() - began
    history = run.read_history()
    scores = {key: record["metrics"] for key, record in evaluate(run, [work.val, test]).items() if key != "tests"}
    steps = sum(entry["seconds"] for entry in history)
    accuracy = {key: metrics["accuracy"] for key, metrics in scores.items()}
    shown = ", ".join(f"{key} {a['value']:.2%} ({a['low']:.2%} to {a['high']:.2%})" for key, a in accuracy.items())
    found = {"model": spec.model, "options": spec.options, "train": vars(spec.train), "history": history}
    found |= {"seconds": passed, "seconds of steps": steps, "metrics": scores}
    work.keep(name, found, f"{name}, {epochs} epochs, {passed:.0f} s, {steps:.0f} s of them steps: {shown}")


class _Lines(Hooks):
    """A line an epoch."""

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        print(f"  epoch {entry['epoch']}: val {entry['val']['accuracy']:.2%}, {entry['seconds']:.1f} s", flush=True)


def pairs(work: Work) -> None:
    """The pairs-only track: the first network of the recipe record, wider than there."""
    _of_recipe(work, "record")


def opened(work: Work) -> None:
    """The open track, where pairs are rendered anew for every step: the first network of the recipe open, wider."""
    _of_recipe(work, "open")


def _of_recipe(work: Work, recipe: str) -> None:
    name, spec = next(iter(read_recipe(recipe).runs.items()))
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        wide = work.spec(spec.model, spec.options | {"width": WIDTH}, **vars(spec.train))
        fitted(work, name, wide, work.left, Path(folder))


def guide(work: Work) -> None:
    """The guide's best network at full width, with twinrank's training values."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        fitted(work, GUIDE, work.spec(GUIDE, {}), work.left, Path(folder))


def _memory() -> Path | None:
    """A folder in memory, if there is one: an epoch takes a second, and its files need not last."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None
