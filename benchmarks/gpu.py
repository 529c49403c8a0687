"""Training on a GPU: whether it is right, how fast it is, and how far it gets in minutes.

Run as ``python -m benchmarks.gpu --data data --out gpu.json``; it takes ``--seconds`` (500 by default). It needs this
repository, its dependencies, and the benchmark's files in the folder of ``--data``. Where these are missing, they are
made from MNIST, which must lie in twinrank's cache (``TWINRANK_CACHE=FOLDER`` with ``mnist.npz``) or be fetched. The
open track needs MNIST, too. ``--tiny`` runs everything in one process in seconds, on any device, and measures nothing.

Each part is a process of its own with a share of the time. Whatever it finds is printed and kept in ``--out`` at once.
A part that fails, or is late, does not stop the next. ``val`` chooses epochs; nothing is chosen on a test file.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.gpu_rates import predicted_rates, rate, usual_rate
from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import BenchmarkConfig, RunSpec
from twinrank.core.device import pick_device
from twinrank.core.files import read_json, write_json
from twinrank.core.machine import available_threads
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.inference.evaluate import evaluate
from twinrank.inference.predict import predict_logits
from twinrank.models.registry import create_model, entry
from twinrank.models.weights import read_tensors
from twinrank.runs import RunFolder
from twinrank.training import loop
from twinrank.training.hooks import Hooks
from twinrank.training.train import resume, train
from twinrank.workflows.distill import distill
from twinrank.workflows.recipe import read_recipe

DIGESTS = {
    "train": "36ec7f129b771c8b66ffe07c680347b34e41a248c52d58795f04c7138ae8f64d",
    "val": "d7435c974f5a97cf0cd4c21090d93296ae25fbd70d0a5aee2a49210b3b298e40",
    "test_private": "40793a34cac3c2f9f9db003568b1dadfaaa43189a30ac2eb28044a3e29415500",
}
"""SHA-256 of the bytes of ``x``, as docs/benchmark.md has them."""
GUIDE = "resnet_optimized_1.12"
TEN: dict[str, tuple[str, dict[str, Any], int]] = {
    GUIDE: (GUIDE, {}, 1),
    "resnet_fusion": ("resnet_fusion", {}, 1),
    "resnet_optimized": ("resnet_optimized", {}, 4),
    "fpn": ("fpn", {}, 1),
    "resnet_fusion, width 1": ("resnet_fusion", {"width_mult": 1.0}, 3),
}
"""The guide's ten networks: name, options, and how many of them there are."""
EPOCHS = 14
"""Epochs of each of the ten in the recipe ``cpu``, at most."""
CHAIN, WIDTH = ("pairs-30min_seed1", "pairs-100min_seed2", "pairs-ensemble_seed3"), 64
"""Runs of the recipe ``record``, the later ones taught by the earlier ones; and the width of order_net here."""
SHARES = {"check": 0.07, "speed": 0.16, "pairs": 0.37, "open": 0.28, "guide": 0.12}
"""Parts, in this sequence, with their shares of the time."""
TRAINING_SHARE, EPOCH_OVERHEAD, VALIDATION = 0.9, 0.15, 1.03
"""Share of a training's time that epochs get; seconds that files take after each; time with validation."""


@dataclass
class Work:
    """A part of the benchmark.

    Attributes:
        part: Its name.
        data: Folder with the benchmark.
        out: JSON file with all results.
        seconds: Time of the part.
        tiny: Whether everything is as small as possible.
    """

    part: str
    data: Path
    out: Path
    seconds: float
    tiny: bool

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    @cached_property
    def train(self) -> Judgements:
        return self.load("train", 96)

    @cached_property
    def val(self) -> Judgements:
        return self.load("val", 32)

    def load(self, name: str, tiny: int) -> Judgements:
        """A file of the benchmark, or so many pairs of it where everything is tiny."""
        pairs = load_pairs(self.data / f"{name}.npz")
        return pairs.select(slice(tiny)) if self.tiny else pairs

    def spec(self, model: str, options: dict[str, Any], **values: Any) -> RunSpec:
        """A network with its own training values but for some; a tiny one where everything is tiny."""
        if self.tiny:
            small = {"width": 4, "width_mult": 0.1, "layers": (1, 1, 1), "stem_stride": 2}
            options = options | {key: small[key] for key in small.keys() & entry(model).options}
            values["batch_size"] = 16
        return RunSpec(model, replace(entry(model).train, **values), options)

    def keep(self, key: str, value: Any, line: str) -> None:
        """Print a result, and put it into the file."""
        print(f"{self.part}: {line}", flush=True)
        found = read_json(self.out)
        found.setdefault(self.part, {})[key] = value
        write_json(self.out, found)


def check(work: Work) -> None:
    """Swapped pairs, replayed steps, a resumed training, and the losses of a CPU."""
    flipped = replace(work.val, left=work.val.right, right=work.val.left)
    for model in ("order_net", GUIDE):
        torch.manual_seed(0)
        network = create_model(model, options=work.spec(model, {}).options).to(pick_device()).eval()
        apart = float(abs(predict_logits(network, work.val) + predict_logits(network, flipped)).max())
        work.keep(f"swap {model}", apart, f"{model}, swapped pairs: logits add up to 0, at most {apart} off")
    pairs = work.train.select(slice(5120))
    spec = work.spec("order_net", {"width": 16}, epochs=2, augment_from=0.0, rotate=10.0, cutout=1)
    with tempfile.TemporaryDirectory() as folder:

        def fit(name: str, hooks: Hooks | None = None, **values: Any) -> RunFolder:
            fitted = replace(spec, train=replace(spec.train, **values))
            return train(fitted, pairs, work.val, Path(folder) / name, hooks=hooks or Hooks())

        whole = fit("whole", says := _Says())
        refused = [line for line in says.lines if "cannot record" in line]
        recorded = pick_device().type == "cuda" and not refused
        work.keep("recorded", recorded, f"steps are replayed as CUDA graphs: {recorded} {refused or ''}")
        with mock.patch.object(loop, "recordable", return_value=False):
            launched = fit("launched")
        _compare(work, "replayed against launched kernels", whole, launched)
        _compare(work, "resumed against uninterrupted", whole, _interrupted(work, pairs, lambda h: fit("resumed", h)))
        whole = fit("deterministic", deterministic=True)
        again = _interrupted(work, pairs, lambda h: fit("deterministic, resumed", h, deterministic=True))
        torch.use_deterministic_algorithms(False)
        _compare(work, "deterministic, resumed against uninterrupted", whole, again)
        _curve(work, fit)


class _Says(Hooks):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class _Stop(Hooks):
    """Ends a training before its second epoch, as Ctrl-C does."""

    def epoch_started(self, epoch: int) -> None:
        if epoch == 2:
            raise EOFError


def _interrupted(work: Work, pairs: Judgements, fit: Callable[[Hooks], RunFolder]) -> RunFolder:
    """A training that is stopped after its first epoch, and goes on."""
    found: list[Path] = []
    created = RunFolder.create

    def create(run: RunFolder, description: dict[str, Any]) -> None:
        found.append(run.path)
        created(run, description)

    try:
        with mock.patch.object(RunFolder, "create", create):
            fit(_Stop())
    except EOFError:
        pass
    return resume(found[0], train=pairs, val=work.val, hooks=Hooks())


def _compare(work: Work, what: str, one: RunFolder, other: RunFolder) -> None:
    """The largest difference between checkpoints, weights and moments alike, and the last epoch's losses."""
    (first, _), (second, _) = (read_tensors(run.checkpoint) for run in (one, other))
    apart = max(float((first[key].double() - second[key].double()).abs().max()) for key in first)
    losses = [run.read_history()[-1]["train"]["loss"] for run in (one, other)]
    line = f"{what}: checkpoints differ by {apart:.3g}, losses are {losses}"
    work.keep(what, {"checkpoints": apart, "losses": losses}, line)


def _curve(work: Work, fit: Callable[..., RunFolder]) -> None:
    """Losses of a training in float32 on this device and on the CPU, which has the same batches."""
    values = {"precision": "float32", "epochs": 4}
    here = fit("here", **values)
    with ExitStack() as patches:
        for module in ("training.train", "inference.network"):
            patches.enter_context(mock.patch(f"twinrank.{module}.pick_device", return_value=torch.device("cpu")))
        there = fit("there", **values)
    both = [[epoch["train"]["loss"] for epoch in run.read_history()] for run in (here, there)]
    apart = [abs(one - other) / other for one, other in zip(*both, strict=True)]
    shown = ", ".join(f"{one:.4f} and {other:.4f} ({each:.2%})" for one, other, each in zip(*both, apart, strict=True))
    work.keep("curve", both, f"losses of {len(apart)} epochs here and on the CPU: {shown}")


def speed(work: Work) -> None:
    """Pairs a second of training and prediction, beside the usual loop; and what the guide's ten would take."""
    timed = 0.0 if work.tiny else 1.5
    widths = (24,) if work.tiny else (24, 64, 128)
    named = {f"order_net {width}": ("order_net", {"width": width}) for width in widths}
    guides = read_recipe("guide").runs[GUIDE]
    guides = work.spec(GUIDE, dict(guides.options), **{**vars(guides.train), "epochs": EPOCHS})
    specs = {name: work.spec(*network) for name, network in named.items()} | {f"{GUIDE}, guide's values": guides}
    for name, spec in specs.items():
        if work.left < 20:
            break
        size = spec.train.batch_size
        found = {
            "replayed": rate(spec, work.train, work.val, timed),
            "launched": rate(spec, work.train, work.val, timed, replayed=False),
            "usual float32": usual_rate(spec.model, spec.options, work.train, size, timed, half=False),
            "usual float16": usual_rate(spec.model, spec.options, work.train, size, timed, half=True),
        }
        found["prediction"], found["usual prediction"] = predicted_rates(spec.model, spec.options, work.val, timed)
        shown = ", ".join(f"{key} {value:,.0f}" for key, value in found.items())
        work.keep(name, found, f"{name}, batches of {size}, pairs a second: {shown}")
    seconds = 0.0
    for name, (model, options, count) in TEN.items():
        if work.left < 8:
            return
        found = rate(work.spec(model, options), work.train, work.val, timed)
        seconds += count * EPOCHS * len(work.train) / found
        work.keep(f"ten: {name}", found, f"{name}, twinrank's values: {found:,.0f} pairs a second")
    work.keep("ten", seconds, f"the guide's ten networks, {EPOCHS} epochs each: {seconds:.0f} s, validation left out")
    if work.left > 60 or work.tiny:
        spec = work.spec("order_net", {"width": 64}, compile=not work.tiny)
        started, found = time.perf_counter(), rate(spec, work.train, work.val, timed)
        passed = time.perf_counter() - started
        line = f"order_net 64, compiled: {found:,.0f} pairs a second; with compilation it took {passed:.0f} s"
        work.keep("order_net 64, compiled", [found, passed], line)


def fitted(
    work: Work, name: str, spec: RunSpec, seconds: float, folder: Path, teachers: tuple[Path, ...] = ()
) -> RunFolder:
    """Train a network for a time, as many epochs as fit, and evaluate it.

    Args:
        work: Part.
        name: Name of the run.
        spec: Network and training values, whose epochs are replaced.
        seconds: Time in all.
        folder: Folder of the runs.
        teachers: Runs whose mean teaches target levels.
    """
    until, test = time.monotonic() + seconds, work.load("test_private", 32)
    # Without a teacher's levels a step is as long.
    plain = {"level_weight": 0.0} if teachers else {}
    timed = replace(spec, train=replace(spec.train, **plain))
    pairs_a_second = rate(timed, work.train, work.val, 0.0 if work.tiny else 1.5)
    epoch = VALIDATION * len(work.train) / pairs_a_second + EPOCH_OVERHEAD
    epochs = 2 if work.tiny else max(2, int(TRAINING_SHARE * (until - time.monotonic()) / epoch))
    spec = replace(spec, train=replace(spec.train, epochs=epochs))
    run = folder / name
    print(f"{work.part}: {name}, {pairs_a_second:,.0f} pairs a second, {epochs} epochs", flush=True)
    began = time.monotonic()
    if teachers:
        distill(teachers, spec, work.train, work.val, run, hooks=_Lines())
    else:
        train(spec, work.train, work.val, run, hooks=_Lines())
    passed = time.monotonic() - began
    history = RunFolder(run).read_history()
    scores = {
        key: record["metrics"] for key, record in evaluate(RunFolder(run), [work.val, test]).items() if key != "tests"
    }
    steps = sum(entry["seconds"] for entry in history)
    accuracy = {key: metrics["accuracy"] for key, metrics in scores.items()}
    shown = ", ".join(f"{key} {a['value']:.2%} ({a['low']:.2%} to {a['high']:.2%})" for key, a in accuracy.items())
    found = {"model": spec.model, "options": spec.options, "train": vars(spec.train), "history": history}
    found |= {"seconds": passed, "seconds of steps": steps, "metrics": scores}
    work.keep(name, found, f"{name}, {epochs} epochs, {passed:.0f} s, {steps:.0f} s of them steps: {shown}")
    return RunFolder(run)


class _Lines(Hooks):
    """A line an epoch."""

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        print(f"  epoch {entry['epoch']}: val {entry['val']['accuracy']:.2%}, {entry['seconds']:.1f} s", flush=True)


def pairs(work: Work) -> None:
    """The pairs-only track: the three networks of the recipe record that teach each other, all wider than there."""
    specs = {name: spec for name, spec in read_recipe("record").runs.items() if name in CHAIN}
    runs, epochs = dict[str, Path](), [spec.train.epochs for spec in specs.values()]
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        for number, (name, spec) in enumerate(specs.items()):
            seconds = work.left * epochs[number] / sum(epochs[number:])
            wide = work.spec(spec.model, {"width": WIDTH}, **vars(spec.train))
            teachers = tuple(runs[teacher] for teacher in spec.teachers)
            runs[name] = fitted(work, name, wide, seconds, Path(folder), teachers).path


def opened(work: Work) -> None:
    """The open track: pairs are rendered anew for every step."""
    name, spec = next(iter(read_recipe("open").runs.items()))
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        wide = work.spec(spec.model, {"width": WIDTH}, **vars(spec.train))
        fitted(work, name, wide, work.left, Path(folder))


def guide(work: Work) -> None:
    """The guide's best network at full width, with twinrank's training values."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        fitted(work, GUIDE, work.spec(GUIDE, {}), work.left, Path(folder))


PARTS: dict[str, Callable[[Work], None]] = {
    "check": check,
    "speed": speed,
    "pairs": pairs,
    "open": opened,
    "guide": guide,
}


def _memory() -> Path | None:
    """A folder in memory, if there is one: an epoch takes a second, and its files need not last."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


def prepare(data: Path, out: Path) -> None:
    """Make the benchmark if it is missing, and begin the file of results."""
    began = time.monotonic()
    if not (data / "test_private.npz").is_file():
        make_benchmark(fetch_mnist(say=print), data, BenchmarkConfig())
    same = {}
    for part, digest in DIGESTS.items():
        with np.load(data / f"{part}.npz") as arrays:
            same[part] = hashlib.sha256(arrays["x"].tobytes()).hexdigest() == digest
    on_gpu = pick_device().type == "cuda"
    about = {
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": available_threads(),
        "command": " ".join(sys.argv),
        "bit for bit": same,
    }
    write_json(out, {"about": about})
    print(f"about: {about}; ready after {time.monotonic() - began:.0f} s", flush=True)


def run_part(work: Work) -> None:
    """Run a part; what fails is printed and kept."""
    try:
        PARTS[work.part](work)
    except Exception as error:
        traceback.print_exc()
        work.keep("failed", f"{type(error).__name__}: {error}", f"failed: {error}")


def main(arguments: list[str] | None = None) -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the benchmark")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="JSON file for the results")
    parser.add_argument("--seconds", type=float, default=500.0, help="time for all parts, or for the one")
    parser.add_argument("--part", choices=[*SHARES], help="only this part, into an existing file of results")
    parser.add_argument("--tiny", action="store_true", help="everything as small as possible, in one process")
    given = parser.parse_args(arguments)
    if given.part is not None:
        run_part(Work(given.part, given.data, given.out, given.seconds, given.tiny))
        return
    until = time.monotonic() + given.seconds
    prepare(given.data, given.out)
    for number, part in enumerate(SHARES):
        left = until - time.monotonic()
        seconds = left * SHARES[part] / sum([*SHARES.values()][number:])
        if given.tiny:
            run_part(Work(part, given.data, given.out, seconds, tiny=True))
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, "--seconds", f"{seconds:.1f}"]
        try:
            subprocess.run([*command, "--data", given.data, "--out", given.out], timeout=seconds + 5)
        except subprocess.TimeoutExpired:
            print(f"{part}: ended, since its time was over", flush=True)
    print(json.dumps({part: [*values] for part, values in read_json(given.out).items()}, indent=1))


if __name__ == "__main__":
    main()
