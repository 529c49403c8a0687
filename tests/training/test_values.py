from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from tests.training.conftest import assert_same_checkpoint

from twinrank.config import OptimizerName, TrainConfig
from twinrank.core.files import sha256
from twinrank.core.torch_random import torch_generator
from twinrank.errors import InputError, Interrupted
from twinrank.models.weights import read_tensors
from twinrank.runs import RunFolder
from twinrank.training.loop import Step
from twinrank.training.progress import EpochProgress
from twinrank.training.state import TrainState
from twinrank.training.train import resume

SWITCHED_ON: dict[str, Any] = {
    "loss": "focal",
    "label_smoothing": 0.1,
    "contrastive_weight": 1.0,
    "balance_weight": 1.0,
    "auxiliary_levels": 4,
    "schedule": "plateau",
    "plateau_patience": 1,
    "ema": 0.9,
    "accumulate": 3,
    "swap": True,
    "rotate": 5.0,
    "randaugment": 1,
    "checkpoint_stages": True,
}


@pytest.mark.parametrize(
    "others",
    [
        {"schedule": "plateau", "crop": 20, "flip": True},
        {"schedule": "one_cycle", "optimizer": "muon", "epochs": 2},
        {
            "fresh": True,
            "level_weight": 1.0,
            "auxiliary_levels": 10,
            "subclass_weight": 0.5,
            "subclasses": 3,
            "epochs": 2,
        },
    ],
    ids=["plateau", "muon", "fresh"],
)
def test_everything_switched_on_resumes_to_the_same_bits(
    fitted: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: dict[str, Any]
) -> None:
    changes = SWITCHED_ON | others
    whole = fitted("whole", "compare_net", **changes)
    ended = EpochProgress.epoch_ended

    def stop(self: EpochProgress, entry: dict[str, Any], best: bool) -> None:
        ended(self, entry, best)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochProgress, "epoch_ended", stop)
        with pytest.raises(Interrupted):
            fitted("stopped", "compare_net", **changes)
    resumed = resume(tmp_path / "stopped")
    assert len(resumed.read_history()) == others.get("epochs", 3)
    assert sha256(resumed.weights) == sha256(whole.weights)
    assert_same_checkpoint(resumed, whole)


def test_fresh_pairs_are_of_the_open_track_and_other_ones_than_the_files(fitted: Callable[..., RunFolder]) -> None:
    pairs_only, opened = fitted("pairs", epochs=1), fitted("open", epochs=1, fresh=True)
    assert [run.read_config()["track"] for run in (pairs_only, opened)] == ["pairs-only", "open"]
    assert sha256(pairs_only.weights) != sha256(opened.weights)
    with pytest.raises(InputError, match="a latent level for each of 10 target levels, but the network has 4"):
        fitted("few", epochs=1, fresh=True, level_weight=1.0)
    with pytest.raises(
        InputError, match=r"`level_weight` is 1\.0, but only fresh pairs or a teacher have target levels"
    ):
        fitted("untold", epochs=1, level_weight=1.0)
    with pytest.raises(
        InputError, match=r"`subclass_weight` is 0\.5, but only fresh pairs or a teacher have subclasses"
    ):
        fitted("undivided", epochs=1, subclass_weight=0.5)
    with pytest.raises(InputError, match=r"`subclass_weight` is 0\.5, but it trains the tower, and `freeze` is all"):
        fitted("frozen", epochs=1, fresh=True, subclass_weight=0.5, freeze="all")


def test_accumulation_makes_one_step_of_several_batches(fitted: Callable[..., RunFolder]) -> None:
    def steps(run: RunFolder) -> set[float]:
        tensors, _ = read_tensors(run.checkpoint)
        return {value.item() for key, value in tensors.items() if key.startswith("optimizer") and key.endswith("step")}

    assert steps(fitted("each", epochs=1)) == {12}
    assert steps(fitted("five", epochs=1, accumulate=5)) == {3}


def test_the_last_step_of_an_epoch_may_be_of_fewer_batches(fitted: Callable[..., RunFolder]) -> None:
    all_of_them, more = (fitted(str(count), epochs=1, accumulate=count) for count in (12, 24))
    assert more.read_history()[0]["train"] == all_of_them.read_history()[0]["train"]
    assert sha256(more.weights) == sha256(all_of_them.weights)


def test_the_gradient_of_several_batches_is_their_mean() -> None:
    layer = torch.nn.Linear(3, 1)
    step = Step(layer, TrainConfig(clip_norm=1e9))
    batches = [torch.randn(4, 3, generator=torch_generator(seed, "batch")) for seed in (0, 1)]
    for batch in batches:
        step.backward(layer(batch).square().mean(), len(batches))
    found = layer.weight.grad
    layer.weight.grad = None
    layer(torch.cat(batches)).square().mean().backward()
    torch.testing.assert_close(found, layer.weight.grad)


def test_the_running_mean_of_the_weights_is_what_is_kept(fitted: Callable[..., RunFolder]) -> None:
    run = fitted("mean", epochs=1, ema=0.5)
    tensors, _ = read_tensors(run.checkpoint)
    kept, _ = read_tensors(run.weights)
    for key, value in kept.items():
        assert torch.equal(value, tensors[f"mean.module.{key}"]), key
    assert any(not torch.equal(value, tensors[f"model.{key}"]) for key, value in kept.items())


def test_patience_counts_epochs_without_enough_improvement() -> None:
    config = TrainConfig(patience=2, min_delta=0.05)
    assert not TrainState((0.5, 0.52)).stopped_early(config)
    assert TrainState((0.5, 0.52, 0.54)).stopped_early(config)
    assert TrainState((0.5, 0.52, 0.54)).best_epoch(config) == 3
    assert not TrainState((0.5, 0.52, 0.6, 0.61)).stopped_early(config)
    assert TrainState((0.7, 0.8, 0.9)).stopped_early(TrainConfig(monitor="log_loss", patience=2))
    assert TrainState((0.7, 0.6, 0.9)).best_epoch(TrainConfig(monitor="log_loss")) == 2


def test_float16_needs_cuda(fitted: Callable[..., RunFolder]) -> None:
    with pytest.raises(InputError, match="float16, which needs CUDA"):
        fitted(precision="float16")


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_gradients_of_float16_are_scaled_back_and_an_overflow_changes_no_weight(optimizer: OptimizerName) -> None:
    layer = torch.nn.Linear(3, 1)
    step = Step(layer, TrainConfig(precision="float32", clip_norm=1e9, optimizer=optimizer))
    # The scaler of a CUDA training, on this processor.
    step.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    x = torch.randn(4, 3, generator=torch_generator(0, "batch"))
    step.backward(layer(x).square().mean())
    expected = torch.autograd.grad(layer(x).square().mean(), list(layer.parameters()))
    step.pace(0.1, 0.9)
    norm = step.update()
    torch.testing.assert_close(norm, torch.cat([part.flatten() for part in expected]).norm())
    before = layer.weight.detach().clone()
    step.backward(layer(x).square().mean() * float("inf"))
    step.update()
    assert torch.equal(layer.weight, before)
    assert step.scaler.get_scale() == 512


def test_a_line_is_printed_where_swapping_does_nothing(
    fitted: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(swap=True, epochs=1)
    assert "order_net is antisymmetric: `swap` changes nothing for it" in capsys.readouterr().err


@pytest.mark.gpu
def test_a_gpu_trains_in_float16(fitted: Callable[..., RunFolder]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    assert fitted(precision="float16", deterministic=True).read_history()[-1]["train"]["loss"] > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"lr": 0.0}, "lr is 0.0; it must be above 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"beta2": 1.0}, "beta2 is 1.0; it must be at least 0 and below 1"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"patience": 0}, "patience is 0"),
        ({"level_weight": -1.0}, "level_weight is -1.0; it must be at least 0 and at most 1000"),
        ({"subclass_weight": 1e30}, r"subclass_weight is 1e\+30; it must be at least 0 and at most 1000"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainConfig(**values)
