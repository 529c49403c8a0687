"""What a GPU needs of the loop: steps that are recorded and replayed, sums that stay there, batches made at once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import speed
from benchmarks.gpu.work import GUIDE
from tests.training.conftest import TINY

from twinrank.benchmark.fresh import FreshBatches, FreshPairs
from twinrank.benchmark.mnist import Mnist
from twinrank.core.files import read_json
from twinrank.data.batches import Batch, Batches
from twinrank.data.judgements import load_pairs
from twinrank.training import replay
from twinrank.training.replay import Replayed
from twinrank.training.sums import StepSums

CPU = torch.device("cpu")


def batch(number: int, size: int = 2) -> Batch:
    images = torch.full((size, 1, 2, 2), float(number))
    return Batch.of_pairs(images, images, torch.full((size,), float(number)))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What steps saw, where recording is left out: each replay runs the step again on the batch that it was given."""
    monkeypatch.setattr(replay, "recorded", lambda run: run)
    monkeypatch.setattr(Replayed, "_aside", lambda self, given: self._step(given))
    return []


def test_every_batch_is_fitted_once_whether_it_is_replayed_or_not(steps: list[float]) -> None:
    seen, lines = [*range(1, 8), 8, 9], list[str]()
    replayed = Replayed(lambda given: steps.append(given.y.mean().item()), lines.append)
    for number in seen:
        replayed(batch(number, size=3 if number == 8 else 2))
    assert steps == seen
    assert not lines


def test_what_cannot_be_recorded_is_launched_with_a_line(steps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: object) -> None:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(replay, "recorded", fail)
    lines: list[str] = []
    replayed = Replayed(lambda given: steps.append(given.y.mean().item()), lines.append)
    for number in range(8):
        replayed(batch(number))
    assert steps == [*range(8)]
    assert lines == ["CUDA cannot record a training step, so training is slower: operation not permitted"]


def test_sums_name_the_first_step_that_is_not_finite_and_are_read_rarely() -> None:
    sums = StepSums(CPU)
    sums._each = 4
    for epoch in range(2):
        sums.begin()
        for step in range(1, 7):
            loss = torch.tensor(float("nan") if epoch and step in (3, 5) else 0.5)
            sums.add({"loss": loss, "grad_norm": torch.tensor(1.0), "updates": torch.tensor(1.0)})
            wrong = sums.first_not_finite(step, step == 6)
            assert wrong == (3 if epoch and step in (4, 6) else None)
        if not epoch:
            assert sums.read() == {"loss": 3.0, "grad_norm": 6.0, "updates": 6.0}


def test_batches_that_are_made_at_once_are_those_made_one_by_one(benchmark_folder: Path) -> None:
    config = replace(TINY, shift=2, cutout=1, augment_from=0.5, swap=True, epochs=1)
    pairs = load_pairs(benchmark_folder / "train.npz")
    one_by_one, at_once = Batches(pairs, config, CPU), Batches(pairs, config, CPU)
    at_once._at_once = 5
    for one, other in zip(one_by_one.epoch(1), at_once.epoch(1), strict=True):
        for part, same in zip(one, other, strict=True):
            assert part is same is None or (part is not None and same is not None and torch.equal(part, same))


def test_fresh_batches_that_are_made_at_once_have_the_classes_of_their_digits(digits: Mnist) -> None:
    fresh, config = FreshPairs(digits), replace(TINY, batch_size=10, subclass_weight=1.0, subclasses=4)
    batches = FreshBatches(fresh, 70, config, CPU)
    batches._at_once = 3
    made = [*batches.epoch(1)]
    assert [len(each.y) for each in made] == [10] * 7
    for each in made:
        assert each.images.shape == (20, 1, 28, 28)
        assert each.levels is not None
        left, right = each.levels.argmax(2).T
        assert torch.equal(left > right, each.y == 1)
        assert each.subclasses is not None
        assert torch.equal(each.subclasses // 4, each.levels.argmax(2))


def test_the_benchmark_of_a_gpu_runs_on_any_device(
    benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "gpu.json"
    # The other parts are made of what these two do.
    monkeypatch.setattr(gpu, "SHARES", {"check": 0.5, "speed": 0.5})
    monkeypatch.setattr(speed, "TEN", {GUIDE: speed.TEN[GUIDE]})
    gpu.main(["--tiny", "--data", str(benchmark_folder), "--out", str(out), "--seconds", "100"])
    found = read_json(out)
    assert [*found] == ["about", *gpu.SHARES]
    assert not [part for part in found if "failed" in found[part]]
    assert found["check"]["swap order_net"] == 0
    for what in ("replayed against launched kernels", "resumed against uninterrupted"):
        assert found["check"][what]["checkpoints"] == 0
