"""What tests of the front door share: a small benchmark, and one tiny run on it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import twinrank as tr
from twinrank.training.hooks import Hooks

TINY: dict[str, Any] = {"epochs": 2, "batch_size": 32, "options": {"width": 2, "levels": 4}, "threads": 1}
"""Settings of a training that takes well under a second."""


@pytest.fixture(scope="session")
def trained(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the benchmark in ``data`` and a run in ``runs/first``. Tests do not write into it."""
    folder = tmp_path_factory.mktemp("front_door")
    shutil.copytree(benchmark_folder, folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tr.train("order_net", "data/train.npz", "data/val.npz", out="runs/first", hooks=Hooks(), **TINY)
    return folder


@pytest.fixture
def workplace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the current one."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks gain nothing from more. Trainings and the network that comes along would take all cores."""
    monkeypatch.setattr("twinrank.training.ranks.available_threads", lambda: 1)
    monkeypatch.setattr("twinrank.inference.network.prepare_cpu", lambda threads: None)
    torch.set_num_threads(1)
