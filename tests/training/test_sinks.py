"""Sinks are real processes here, with modules of the sink's name put in their way."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.errors import InputError
from twinrank.runs import RunFolder
from twinrank.training.sinks import follow, parse_sinks, scalars
from twinrank.training.train import train as begin
from twinrank.training.watch import chart, watch

RECORDS = """
import json, os
class Run:
    def __init__(self, dir): self.file = open(os.path.join(dir, "logged.jsonl"), "a")
    def __enter__(self): return self
    def __exit__(self, *error): self.file.close()
    def log(self, values, step): print(json.dumps([step, values]), file=self.file, flush=True)
def init(dir, **about): return Run(dir)
"""
RAISES = "raise RuntimeError('no account')"
HANGS = "import os, time\nopen(__file__ + '.pid', 'w').write(str(os.getpid()))\ntime.sleep(1000)"


Train = Callable[[str | None], subprocess.CompletedProcess[str]]


@pytest.fixture
def train(called: Any, benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train into ``run``, followed by a sink with this module."""

    def call(wandb: str | None) -> subprocess.CompletedProcess[str]:
        # For this process, which looks for the sink, and for that of the sink.
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        if wandb is not None:
            (tmp_path / "wandb.py").write_text(wandb)
        files = "--train", benchmark_folder / "train.npz", "--val", benchmark_folder / "val.npz"
        small = "--out", tmp_path / "run", "--epochs", "2", "--width", "4", "--threads", "1"
        return called("train", "order_net", *files, *small, "--log_to", "wandb", cwd=tmp_path)

    return call


@pytest.mark.parametrize("wandb", [RAISES, HANGS], ids=["raises", "hangs"])
def test_a_sink_that_fails_does_not_stop_a_training(train: Train, tmp_path: Path, wandb: str) -> None:
    result = train(wandb)
    assert result.returncode == 0, result.stderr
    assert len(RunFolder(tmp_path / "run").read_history()) == 2
    assert (tmp_path / "run" / "wandb.log").is_file()
    if (hanging := tmp_path / "wandb.py.pid").is_file() and (pid := hanging.read_text()):
        os.kill(int(pid), signal.SIGKILL)


def test_a_sink_that_is_absent_is_named(train: Train) -> None:
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed")
    result = train(None)
    assert result.returncode == 0
    assert "wandb is not installed (pip install 'twinrank[track]'); training goes on without it" in result.stderr


def test_a_sink_gets_every_epoch(train: Train, tmp_path: Path) -> None:
    assert train(RECORDS).returncode == 0
    logged = tmp_path / "run" / "logged.jsonl"
    deadline = time.monotonic() + 60
    while not (logged.is_file() and logged.read_text().count("\n") == 2):
        assert time.monotonic() < deadline, (tmp_path / "run" / "wandb.log").read_text()
        time.sleep(0.1)
    lines = [json.loads(line) for line in logged.read_text().splitlines()]
    history = RunFolder(tmp_path / "run").read_history()
    assert lines == [[epoch["epoch"], scalars(epoch)] for epoch in history]
    assert {"train/loss", "train/grad_norm", "val/accuracy", "val/f1", "learning_rate", "images_per_second"} <= set(
        lines[0][1]
    )


def test_unknown_sinks_are_refused() -> None:
    assert parse_sinks("tensorboard, wandb") == ["tensorboard", "wandb"]
    assert parse_sinks("") == []
    with pytest.raises(InputError, match="'tensorbord' does not exist; did you mean 'tensorboard'"):
        parse_sinks("tensorbord")


def epoch(number: int) -> dict[str, object]:
    val = {"accuracy": 0.5 + number / 10, "f1": 0.5, "log_loss": 0.6}
    return {"epoch": number, "train": {"loss": 0.7}, "val": val, "learning_rate": 1e-3, "seconds": 1.0}


def test_following_gives_each_epoch_once_and_ends(tmp_path: Path) -> None:
    run, done = RunFolder(tmp_path), threading.Event()

    def write() -> None:
        for number in (1, 2, 3):
            run.write_history([epoch(each) for each in range(1, number + 1)])
            time.sleep(0.05)
        done.set()

    threading.Thread(target=write).start()
    assert [each["epoch"] for each in follow(run, done.is_set, 0.01)] == [1, 2, 3]


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_a_finished_run_shows_it_and_ends(benchmark_folder: Path, tmp_path: Path, terminal: bool) -> None:
    config = TrainConfig(epochs=2, batch_size=16, lr=1e-2)
    files = benchmark_folder / "val.npz", benchmark_folder / "train.npz"
    run = begin(RunSpec("order_net", config, {"width": 4}), *files, tmp_path / "run", context=Context(threads=1))
    out = io.StringIO()
    watch(run.path, Console(file=out, force_terminal=terminal, width=100, soft_wrap=True), 0.01)
    assert "epoch 2/2" in out.getvalue()
    assert ("█" in out.getvalue()) == terminal


def test_a_chart_goes_from_the_least_to_the_greatest() -> None:
    lines = chart([0.5, 0.75, 1.0], columns=3, height=2).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("100.00%")
    assert lines[1].startswith(" 50.00%")
    assert lines[0][-1] == "█"
    assert lines[1][8] == "▁"
    assert max(map(len, chart([0.5] * 300, columns=300).splitlines())) <= 68
