"""Whether training on this device is right."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.gpu.work import GUIDE, Work
from twinrank.core.device import pick_device
from twinrank.data.judgements import Judgements
from twinrank.inference.predict import predict_logits
from twinrank.models.registry import create_model
from twinrank.models.weights import read_tensors
from twinrank.runs import RunFolder
from twinrank.training import loop
from twinrank.training.hooks import Hooks
from twinrank.training.train import resume, train


def check(work: Work) -> None:
    """Swapped pairs, replayed steps, a resumed training, and the losses of a CPU."""
    flipped = replace(work.val, left=work.val.right, right=work.val.left)
    for model in ("order_net", GUIDE):
        torch.manual_seed(0)
        network = create_model(model, options=work.spec(model, {}).options).to(pick_device()).eval()
        apart = float(abs(predict_logits(network, work.val) + predict_logits(network, flipped)).max())
        work.keep(f"swap {model}", apart, f"{model}, swapped pairs: logits add up to 0, at most {apart} off")
    pairs = work.train.select(slice(2560))
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
    values = {"precision": "float32", "epochs": 2 if work.tiny else 4}
    here = fit("here", **values)
    with ExitStack() as patches:
        for module in ("training.train", "inference.network"):
            patches.enter_context(mock.patch(f"twinrank.{module}.pick_device", return_value=torch.device("cpu")))
        there = fit("there", **values)
    both = [[epoch["train"]["loss"] for epoch in run.read_history()] for run in (here, there)]
    apart = [abs(one - other) / other for one, other in zip(*both, strict=True)]
    shown = ", ".join(f"{one:.4f} and {other:.4f} ({each:.2%})" for one, other, each in zip(*both, apart, strict=True))
    work.keep("curve", both, f"losses of {len(apart)} epochs here and on the CPU: {shown}")
