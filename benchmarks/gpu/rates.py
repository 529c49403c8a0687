"""Pairs a second on the device at hand: by twinrank's own loop, and by a loop that is usual in public."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from benchmarks.training_step import new_model, usual_logit
from twinrank.config import RunSpec
from twinrank.core.device import pick_device
from twinrank.core.machine import available_threads
from twinrank.data.batches import Batch
from twinrank.data.dataset import PairNPZDataset
from twinrank.data.judgements import Judgements
from twinrank.inference.predict import predict_logits
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.training import loop
from twinrank.training.hooks import Hooks, Item
from twinrank.training.train import train

WARM, CHECKED = 32, 64
"""Steps that are not timed, and steps between two looks at the clock: each look costs the time in which a device with
nothing to do waits for new work. Where no time is measured, few are enough."""


class EnoughError(Exception):
    """Ends a training that was only timed."""


class Clock:
    """Pairs a second, once the first steps are over. The device finishes before each look at the clock.

    Args:
        seconds: Time that is measured.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._steps, self._pairs, self._started = seconds, 0, 0, 0.0
        self._warm, self._checked = (WARM, CHECKED) if seconds else (5, 1)
        self.rate = 0.0

    def step(self, pairs: int) -> bool:
        """Count a step of so many pairs, and tell whether that is enough."""
        self._steps += 1
        self._pairs += pairs
        after = self._steps - self._warm
        if after < 0 or after % self._checked:
            return False
        finished()
        now = time.perf_counter()
        if not after:
            self._started, self._pairs = now, 0
            return False
        self.rate = self._pairs / (now - self._started)
        return now - self._started >= self._seconds


def finished() -> None:
    """Wait until the device has done all work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class _Timed(Hooks):
    def __init__(self, seconds: float) -> None:
        self.clock, self.lines = Clock(seconds), list[str]()

    def steps(self, epoch: int, batches: Iterable[Item], total: int) -> Iterator[Item]:
        for batch in batches:
            assert isinstance(batch, Batch)
            yield batch
            if self.clock.step(len(batch.y)):
                raise EnoughError

    def say(self, line: str) -> None:
        self.lines.append(line)


def rate(spec: RunSpec, pairs: Judgements, val: Judgements, seconds: float, replayed: bool = True) -> float:
    """Pairs a second of a training as ``twinrank train`` does it, with all augmentation.

    Args:
        spec: Network and training values.
        pairs: Pairs that are fitted.
        val: Pairs that would choose the epoch.
        seconds: Time that is measured.
        replayed: Whether a step may be replayed as a CUDA graph.
    """
    timed = _Timed(seconds)
    spec = replace(spec, train=replace(spec.train, epochs=1000, augment_from=0.0, easy_share=1.0))
    launched = nullcontext() if replayed else mock.patch.object(loop, "recordable", return_value=False)
    with tempfile.TemporaryDirectory() as folder, launched, suppress(EnoughError):
        train(spec, pairs, val, Path(folder) / "run", hooks=timed)
    for line in timed.lines:
        print(line, flush=True)
    return timed.clock.rate


def usual_rate(name: str, options: dict, pairs: Judgements, batch_size: int, seconds: float, half: bool) -> float:
    """Pairs a second of training in the usual loop: DataLoader workers, the tower called twice, contiguous tensors.

    Args:
        name: Network.
        options: Its options; it has the training guide's form besides.
        pairs: Pairs that are fitted.
        batch_size: Pairs of a batch.
        seconds: Time that is measured.
        half: Whether it computes in float16 with scaled gradients, as the guide does on a GPU; else in float32.
    """
    device, model = pick_device(), usual_model(name, options)
    optimizer, half = torch.optim.AdamW(model.parameters(), lr=1e-3), half and device.type == "cuda"
    scaler, clock = torch.amp.GradScaler(enabled=half), Clock(seconds)
    model.train()
    while True:
        for xa, xb, y in _loader(pairs, batch_size, shuffle=True):
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.float16, enabled=half):
                logit = usual_logit(model, xa.to(device), xb.to(device))
                loss = functional.binary_cross_entropy_with_logits(logit.float(), y.to(device))
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            loss.item()
            if clock.step(len(y)):
                return clock.rate


def predicted_rates(name: str, options: dict, pairs: Judgements, seconds: float) -> tuple[float, float]:
    """Pairs a second in prediction from one view: twinrank's, and those of the usual loop in float32.

    Args:
        name: Network.
        options: Its options.
        pairs: Pairs that are predicted.
        seconds: Time that is measured of each.
    """
    device = pick_device()
    views = {"views": 1} if "views" in entry(name).options else {}
    ours = create_model(name, options={**options, **views}).to(device).eval()
    usual, clock = usual_model(name, options).eval(), Clock(seconds)

    def usually() -> None:
        with torch.no_grad():
            while True:
                for xa, xb, _ in _loader(pairs, 64, shuffle=False):
                    usual_logit(usual, xa.to(device), xb.to(device)).cpu()
                    if clock.step(len(xa)):
                        return

    usually()
    return repeated(lambda: predict_logits(ours, pairs), seconds) * len(pairs), clock.rate


def repeated(run: Callable[[], object], seconds: float) -> float:
    """Calls a second of a function that waits for its results, after one that warms up."""
    run()
    started, calls = time.perf_counter(), 0
    while True:
        run()
        calls += 1
        if (passed := time.perf_counter() - started) >= seconds:
            return calls / passed


def usual_model(name: str, options: dict) -> SiameseNet:
    """A network in the guide's form, on the device, in contiguous memory."""
    model = new_model(name, options).to(pick_device())
    return model.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]


def _loader(pairs: Judgements, batch_size: int, shuffle: bool) -> DataLoader:
    workers = min(16, available_threads()) if torch.cuda.is_available() else 0
    return DataLoader(PairNPZDataset(pairs), batch_size, shuffle, num_workers=workers, pin_memory=workers > 0)
