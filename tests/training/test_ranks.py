import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import distributed, nn

from twinrank.config import RunSpec
from twinrank.core.launched import Launched, launched
from twinrank.errors import InputError
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.checks import require_shareable
from twinrank.training.ranks import ALONE, RankLost, Ranks
from twinrank.training.shared_layers import share_layers

Call = Callable[..., subprocess.CompletedProcess[str]]
NETWORK = ("compare_net", "--contrastive-weight", "1", "--swap")
VALUES = ("--epochs", "6", "--batch-size", "31", "--cutout", "1", "--precision", "float32", "--threads", "1")
OPTIMISER = ("--optimizer", "adamw", "--lr", "1e-3")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Make this process the first of two, and start the second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in {**place, "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)

    def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "twinrank", *map(str, arguments)]
        env = os.environ | {"RANK": "1", "LOCAL_RANK": "1"}
        return subprocess.Popen(command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    yield start
    distributed.destroy_process_group()


def test_two_processes_train_as_one_and_one_goes_on_when_the_other_dies(
    two: Callable[..., subprocess.Popen[str]],
    called: Call,
    benchmark_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = ("--train", benchmark_folder / "val.npz", "--val", benchmark_folder / "test_public.npz")
    command = ("train", *NETWORK, *files, *VALUES, *OPTIMISER, "--out")
    other, run = two(*command, "run", cwd=tmp_path), RunFolder(tmp_path / "run")

    def kill_after_an_epoch() -> None:
        while not run.history.is_file() and other.poll() is None:
            time.sleep(0.01)
        other.kill()

    threading.Thread(target=kill_after_an_epoch).start()
    stopped = called(*command, "run", cwd=tmp_path)
    assert other.communicate()[0] == ""
    assert stopped.returncode == 130
    line = stopped.stderr.splitlines()[-1]
    assert line.startswith("twinrank: another process of this training has ended (")
    assert line.endswith("of 6; what came before is kept. Go on with: twinrank resume run")
    assert run.read_config()["processes"] == 2
    done = len(run.read_history())

    monkeypatch.delenv("WORLD_SIZE")
    assert called("resume", "run", cwd=tmp_path).returncode == 0
    assert called(*command, "alone", cwd=tmp_path).returncode == 0
    alone = RunFolder(tmp_path / "alone")
    assert "processes" not in alone.read_config()
    assert 0 < done < 6
    assert sorted(path.name for path in run.path.iterdir()) == sorted(path.name for path in alone.path.iterdir())
    for ours, theirs in zip(run.read_history(), alone.read_history(), strict=True):
        assert ours["train"]["contrastive_loss"] == pytest.approx(theirs["train"]["contrastive_loss"], rel=2e-3)
        assert ours["train"]["grad_norm"] == pytest.approx(theirs["train"]["grad_norm"], rel=0.1)
        assert ours["val"]["log_loss"] == pytest.approx(theirs["val"]["log_loss"], rel=2e-3)


@pytest.mark.parametrize(("count", "world"), [(7, 3), (2, 3), (6, 2)])
def test_parts_have_each_place_once(count: int, world: int) -> None:
    parts = [np.arange(count)[Ranks(Launched(rank, world)).part(count)] for rank in range(world)]
    assert np.array_equal(np.concatenate(parts), np.arange(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert ALONE.part(count) == slice(0, count)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "twinrank: error: torchrun starts only train and resume; start this"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, ""),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "twinrank: error: RANK is 2 and WORLD_SIZE 2 in the environment; start"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "twinrank: error: RANK is 'x' in the environment; start with torchrun"),
    ],
)
def test_other_commands_are_refused(
    environment: dict[str, str], line: str, called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("twinrank.core.launched._GRACE", 0.0)
    found = called("models", cwd=tmp_path)
    assert (found.returncode, bool(found.stderr)) == (2, bool(line))
    assert found.stderr.startswith(line)


def test_a_training_without_its_neighbours_is_refused(
    called: Call, benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched() == Launched()
    monkeypatch.setenv("RANK", "0")
    assert launched() == Launched(0, 2, 0, 2)
    files = ("--train", benchmark_folder / "train.npz", "--val", benchmark_folder / "val.npz")
    found = called("train", "order_net", *files, cwd=tmp_path)
    assert found.stderr == (
        "twinrank: error: MASTER_ADDR and MASTER_PORT: missing in the environment; start with torchrun\n"
    )


def test_what_processes_cannot_share_is_refused() -> None:
    frozen = entry("efficientnet_lite0")
    spec = RunSpec(frozen.name, frozen.train, {"trim": True})
    require_shareable(spec, several=False)
    with pytest.raises(InputError, match=r"`freeze` is all, .* and option 'trim' is set: several processes cannot"):
        require_shareable(spec, several=True)
    tower = nn.Sequential(nn.BatchNorm3d(2))
    share_layers(tower, ALONE)
    with pytest.raises(InputError, match=r"layers \(BatchNorm3d\) that several processes cannot train together"):
        share_layers(tower, Ranks(Launched(0, 2)))


class Answered(Ranks):
    """The first of two ranks, whose neighbour says always the same."""

    def __init__(self, answer: object, rank: int = 0) -> None:
        super().__init__(Launched(rank, 2))
        self.answer = answer

    def _values(self, value: Any) -> list[Any]:
        return [value, self.answer] if self.first else [self.answer, value]


def test_what_one_process_finds_ends_all() -> None:
    with Answered(None).agreed():
        pass
    with pytest.raises(InputError, match=r"^process 1: a\.npz: is missing$"), Answered("a.npz: is missing").agreed():
        pass
    with pytest.raises(InputError, match=r"^mine$"), Answered("theirs").agreed():
        raise InputError("mine")
    with pytest.raises(RankLost), Answered("theirs", rank=1).agreed():
        pass
    Answered(1).require_alike(1, "other pairs")
    with pytest.raises(InputError, match="other pairs"):
        Answered(2).require_alike(1, "other pairs")
    with pytest.raises(RankLost, match="other pairs"):
        Answered(2, rank=1).require_alike(1, "other pairs")
