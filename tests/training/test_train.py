import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import RECORDED
from tests.training.conftest import ONE, SPEC, TINY, assert_same_checkpoint

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist
from twinrank.cli.main import main
from twinrank.config import BenchmarkConfig, RunSpec
from twinrank.core.files import sha256, write_json
from twinrank.errors import InputError
from twinrank.models.weights import load_weights, read_tensors, write_tensors
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.train import resume, train

TWINRANK = [sys.executable, "-m", "twinrank"]


def command(folder: Path, out: Path, epochs: int = 4) -> list[str]:
    values = {"epochs": epochs, "batch_size": 16, "lr": 0.01, "seed": 5, "threads": 1, "width": 4, "levels": 4}
    flags = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    files = ["--train", str(folder / "train.npz"), "--val", str(folder / "val.npz"), "--out", str(out)]
    return [*TWINRANK, "train", "order_net", *files, *flags]


def test_a_network_learns_an_easy_benchmark(digits: Mnist, tmp_path: Path) -> None:
    easy = BenchmarkConfig(severity=0, weight_diff1=0, pairs_train=1500, pairs_val=300)
    make_benchmark(digits, tmp_path, easy, ["train", "val"], jobs=1)
    config = replace(TINY, epochs=6, lr=1.5e-2)
    spec = RunSpec("order_net", config, {"width": 4})
    run = train(spec, tmp_path / "train.npz", tmp_path / "val.npz", tmp_path / "run", context=ONE)
    assert max(epoch["val"]["accuracy"] for epoch in run.read_history()) > 0.8


def test_a_network_that_no_memory_holds_is_refused(
    benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinrank.core.memory.available_memory", lambda: 24 << 30)
    spec = RunSpec("order_net", TINY, {"width": 4096})
    with pytest.raises(InputError, match=r"model 'order_net': .* [0-9,]{14} parameters, .*; choose a smaller width"):
        train(spec, benchmark_folder / "train.npz", benchmark_folder / "val.npz", tmp_path / "run", context=ONE)
    assert not (tmp_path / "run").exists()


def test_random_labels_are_learned_at_chance(benchmark_folder: Path, tmp_path: Path) -> None:
    with np.load(benchmark_folder / "train.npz") as arrays:
        labels = np.random.default_rng(0).permutation(arrays["y"])
        np.savez(tmp_path / "train.npz", x=arrays["x"], y=labels)
    val = np.load(benchmark_folder / "val.npz")
    run = train(SPEC, tmp_path / "train.npz", benchmark_folder / "val.npz", tmp_path / "run", context=ONE)
    accuracy = run.read_history()[-1]["val"]["accuracy"]
    assert abs(accuracy - 0.5) < 4 * 0.5 / np.sqrt(len(val["y"]))


@pytest.mark.parametrize("model", ["order_net", "compare_net"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(fitted: Callable[..., RunFolder], model: str) -> None:
    changes: dict[str, Any] = {"epochs": 1}
    first, second, other = (
        sha256(fitted(name, model, seed=seed, **changes).weights) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other


def test_killed_at_random_moments_and_resumed_equals_uninterrupted(benchmark_folder: Path, tmp_path: Path) -> None:
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    main(command(benchmark_folder, whole.path)[3:])
    duration = sum(epoch["seconds"] for epoch in whole.read_history())

    moments, kills = random.Random(0), 0
    for arguments in (command(benchmark_folder, killed.path), [*TWINRANK, "resume", str(killed.path)]):
        before = epochs_done(killed)
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while epochs_done(killed) == before and process.poll() is None:
            time.sleep(0.005)
        # The first time as soon as there is something to go on from: later a faster machine would be done.
        time.sleep(moments.uniform(0, 0.5) * duration if before else 0)
        kills += process.poll() is None
        process.kill()
        process.wait()
    resume(killed.path)
    assert kills > 0
    assert sha256(killed.weights) == sha256(whole.weights)
    assert_same_checkpoint(killed, whole)
    assert [without_timing(epoch) for epoch in killed.read_history()] == [
        without_timing(epoch) for epoch in whole.read_history()
    ]


def epochs_done(run: RunFolder) -> int:
    return len(run.history.read_bytes().splitlines()) if run.checkpoint.exists() else 0


def without_timing(epoch: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in epoch.items() if key not in {"seconds", "images_per_second", "memory_mb"}}


def test_ctrl_c_stops_with_a_line_on_how_to_go_on(benchmark_folder: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    process = subprocess.Popen(command(benchmark_folder, run.path, epochs=500), stderr=subprocess.PIPE, text=True)
    while not run.checkpoint.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in message
    assert f"Go on with: twinrank resume {run.path}" in message.splitlines()[-1]
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]
    assert not finished(run.path)


def test_a_run_is_trained_by_one_process_and_watching_it_ends_when_that_is_killed(
    benchmark_folder: Path, tmp_path: Path
) -> None:
    run, quiet = RunFolder(tmp_path / "run"), subprocess.DEVNULL
    process = subprocess.Popen(command(benchmark_folder, run.path, epochs=500), stdout=quiet, stderr=quiet)
    while not run.checkpoint.exists() and process.poll() is None:
        time.sleep(0.05)
    assert run.is_held()
    with pytest.raises(InputError, match=r"another process is training this run; follow it with 'twinrank watch"):
        resume(run.path)
    watching = [*TWINRANK, "watch", str(run.path)]
    follower = subprocess.Popen(watching, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    assert follower.stdout.readline().startswith("epoch 1/500")
    process.kill()
    process.wait()
    _, message = follower.communicate(timeout=60)
    assert follower.returncode == 2
    assert message.count("\n") == 1
    assert f"the training is not running, {len(run.read_history())} of 500 epochs are done" in message
    assert f"go on with 'twinrank resume {run.path}'" in message
    assert not run.is_held()


def test_each_epoch_is_recorded(fitted: Callable[..., RunFolder]) -> None:
    run = fitted(epochs=2)
    history = run.read_history()
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    for epoch in history:
        assert set(epoch["train"]) == {"loss", "pair_loss", "contrastive_loss", "balance_loss", "grad_norm"}
        assert set(epoch["val"]) == {"accuracy", "f1", "log_loss"}
        assert epoch["seconds"] > 0
    assert history[-1]["learning_rate"] == 0
    assert finished(run.path)


def test_the_best_epoch_is_kept_and_patience_ends_the_run(fitted: Callable[..., RunFolder]) -> None:
    run = fitted(epochs=40, patience=2, monitor="log_loss", lr=0.3)
    values = [epoch["val"]["log_loss"] for epoch in run.read_history()]
    best = int(np.argmin(values))
    assert len(values) == best + 3 < 40
    assert read_tensors(run.checkpoint)[1]["values"] == values
    before = sha256(run.weights)
    resume(run.path)
    assert sha256(run.weights) == before, "a run that stopped early stays stopped"


def test_weights_describe_themselves(fitted: Callable[..., RunFolder]) -> None:
    model = load_weights(fitted(epochs=1).weights)
    assert not model.training
    assert model.antisymmetric
    assert model.encode.mean.item() != 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": 29}, r"28 x 28 pixels, so `crop` 29 is too large"),
        ({"crop": 16, "fresh": True}, "without `crop` or without `fresh`"),
        ({"hue": 0.1}, "grey, so `saturation` and `hue` must be 0"),
    ],
)
def test_an_augmentation_that_the_images_do_not_allow_is_refused(
    fitted: Callable[..., RunFolder], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fitted(**values)
    assert not (tmp_path / "run").exists()


def test_a_run_that_does_not_fit_is_refused(fitted: Callable[..., RunFolder], benchmark_folder: Path) -> None:
    run = fitted(epochs=1)
    with pytest.raises(InputError, match="holds a run already; continue it with 'twinrank resume"):
        fitted(epochs=1)
    recorded = json.loads(run.config.read_text())
    recorded["data"]["train"] |= {"sha256": "0" * 64, "content_sha256": "0" * 64}
    run.config.write_text(json.dumps(recorded))
    with pytest.raises(InputError, match="has changed since the run began"):
        resume(run.path)
    with pytest.raises(InputError, match="not a run folder"):
        resume(benchmark_folder)


def test_a_configuration_that_was_changed_is_refused(fitted: Callable[..., RunFolder]) -> None:
    run = fitted(epochs=1)
    recorded = json.loads(run.config.read_text())
    changed = recorded | {"train": recorded["train"] | {"lr": 0.5, "epochs": 2}}
    write_json(run.config, changed)
    with pytest.raises(
        InputError, match=r"config.json: has been changed .* \(train.epochs is 2, not 1; train.lr is 0.5"
    ):
        resume(run.path)
    data = {part: file | {"path": str(Path(file["path"]).resolve())} for part, file in recorded["data"].items()}
    write_json(run.config, recorded | {"data": data})
    resume(run.path)
    # Checkpoints of older versions lack the requested settings.
    tensors, state = read_tensors(run.checkpoint)
    write_tensors(run.checkpoint, tensors, {key: value for key, value in state.items() if key != "asked"})
    write_json(run.config, changed)
    assert len(resume(run.path).read_history()) == 2


def test_a_damaged_checkpoint_is_one_line(fitted: Callable[..., RunFolder]) -> None:
    run = fitted(epochs=1)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged, or not written by twinrank; restore it, or train again"):
        resume(run.path)


def test_parts_of_a_run_that_do_not_belong_together_are_refused(fitted: Callable[..., RunFolder]) -> None:
    run, other = fitted(epochs=3), fitted("other", "compare_net", epochs=1)
    checkpoint, history = run.checkpoint.read_bytes(), run.history.read_bytes()
    before = sha256(run.weights)
    for changed, message in (
        (history.splitlines(keepends=True)[0], "has 1 of the 3 epochs"),
        (history + b"{}\n", "line 4: not the entry of epoch 4"),
        (b"\xff" + history, "line 1"),
    ):
        run.history.write_bytes(changed)
        with pytest.raises(InputError, match=message):
            resume(run.path)
    run.history.write_bytes(history)
    run.checkpoint.write_bytes(other.checkpoint.read_bytes())
    with pytest.raises(InputError, match=r"checkpoint.safetensors: is of another network") as refused:
        resume(run.path)
    assert "\n" not in str(refused.value)
    run.checkpoint.unlink()
    with pytest.raises(InputError, match=r"checkpoint.safetensors: is missing; restore it"):
        resume(run.path)
    assert sha256(run.weights) == before
    run.checkpoint.write_bytes(checkpoint)
    run.weights.write_bytes(other.weights.read_bytes())
    with pytest.raises(InputError, match="the weights of another network than the run's"):
        load_weights(run.weights, run.read_config()["model"])


@pytest.mark.parametrize(
    "changes",
    [
        {"model": 3},
        {"model": {"name": "order_net", "options": 3}},
        {"data": []},
        {"data": {"train": {"path": 3, "sha256": ""}, "val": {}}},
        {"train": None},
        {"threads": "q"},
        {"threads": -1},
        {"parameters": None},
        {"track": 3},
    ],
)
def test_a_damaged_configuration_is_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = RunFolder(tmp_path)
    write_json(run.config, RECORDED)
    assert run.read_config() == RECORDED
    write_json(run.config, RECORDED | changes)
    with pytest.raises(InputError, match=r"config.json: not the configuration of a run"):
        run.read_config()


def test_validation_on_the_training_pairs_is_refused(benchmark_folder: Path, tmp_path: Path) -> None:
    file = benchmark_folder / "train.npz"
    with pytest.raises(InputError, match="the same pairs"):
        train(SPEC, file, file, tmp_path / "run")


def test_the_message_of_a_diverging_run_has_the_place_and_what_to_try(
    fitted: Callable[..., RunFolder], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"not finite in step \d+ of epoch \d, at learning rate .*; try a lower `lr`"):
        fitted(lr=1e30, clip_norm=1e30, warmup=0.0, precision="float32")
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert finished(fitted(epochs=1).path), "another try may have the same folder"


def test_a_folder_that_cannot_be_written_is_reported_before_training(benchmark_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        train(SPEC, benchmark_folder / "train.npz", benchmark_folder / "val.npz", tmp_path / "file" / "run")


def test_a_disk_without_room_is_reported_before_training(
    fitted: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="the disk has 0 MB free"):
        fitted()
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_disk_that_fills_up_loses_nothing(
    fitted: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = fitted("whole", epochs=2)
    saved, calls = sys.modules["twinrank.models.weights"].save_file, []

    def full(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        saved(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("twinrank.models.weights.save_file", full)
        with pytest.raises(InputError, match="No space left on device"):
            fitted("full", epochs=2)
    assert sha256(resume(tmp_path / "full").weights) == sha256(whole.weights)
