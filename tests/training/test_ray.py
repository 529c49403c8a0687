"""A real Ray cluster of two nodes on this machine: the same bits as the local pool, and a node that dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twinrank.core.files import sha256
from twinrank.runs import RunFolder

pytestmark = pytest.mark.ray
Call = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("--set", "options.width=4", "--set", "train.batch_size=64")
FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
"""A node that dies is noticed at once, not after half a minute."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose first node has no core for trainings, and whose second has one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    head = {"num_cpus": 0, "object_store_memory": 100 * 2**20, "_system_config": FAST, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    add(cluster)
    yield cluster
    cluster.shutdown()


def add(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)


def seeds(data: Path, out: Path, *more: str) -> list[str]:
    files = ("--train", str(data / "train.npz"), "--val", str(data / "val.npz"))
    return ["seeds", "order_net", "--seeds", "1,2", *files, "--out", str(out), *SMALL, *more]


def bits(out: Path) -> dict[str, str]:
    names = ("weights.safetensors", "checkpoint.safetensors", "images.npz")
    return {f"{seed}/{name}": sha256(out / f"seed_{seed}" / name) for seed in (1, 2) for name in names}


def test_a_node_that_dies_costs_its_running_cells_alone(
    cluster: Any, benchmark_folder: Path, tmp_path: Path, twinrank: Call
) -> None:
    epochs = ("--set", "train.epochs=6")
    local = twinrank(*seeds(benchmark_folder, tmp_path / "local", *epochs, "--threads", "1"), cwd=tmp_path)
    assert local.returncode == 0, local.stderr
    dying, out = add(cluster), tmp_path / "ray"
    command = [sys.executable, "-m", "twinrank", *seeds(benchmark_folder, out, *epochs)]
    command += ["--executor", "ray", "--ray-address", cluster.address]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not all((out / f"seed_{seed}" / "checkpoint.safetensors").exists() for seed in (1, 2)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    cluster.remove_node(dying, allow_graceful=False)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "its machine is lost; it goes on elsewhere" in printed
    assert all(line.startswith("seed_") for line in errors.splitlines()), errors
    assert bits(out) == bits(tmp_path / "local")
    for seed in (1, 2):
        log = (out / f"seed_{seed}.log").read_text()
        assert log.count(" 1/6  loss") == 1, "finished epochs are not trained again"
        assert RunFolder(out / f"seed_{seed}").read_config()["threads"] == 1
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_ctrl_c_ends_what_runs_elsewhere(cluster: Any, benchmark_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twinrank", *seeds(benchmark_folder, tmp_path, "--set", "train.epochs=3000")]
    command += ["--executor", "ray", "--ray-address", cluster.address, "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run = RunFolder(tmp_path / "seed_1")
    while not run.checkpoint.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert run.is_held()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("twinrank: stopped; finished epochs are kept. Go on by running the same")
    deadline = time.monotonic() + 20
    while run.is_held():
        assert time.monotonic() < deadline, "the training goes on"
        time.sleep(0.05)


def test_a_search_runs_elsewhere(cluster: Any, benchmark_folder: Path, tmp_path: Path, twinrank: Call) -> None:
    files = ("--train", benchmark_folder / "train.npz", "--val", benchmark_folder / "val.npz", "--out", "search")
    given = ("tune", "order_net", *files, *SMALL, "--set", "train.epochs=1", "--trials", "2", "--retrain-seeds", "")
    done = twinrank(*given, "--executor", "ray", "--ray-address", cluster.address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trial 1: accuracy" in done.stderr
    assert not [path for path in (tmp_path / "search").iterdir() if path.name.startswith(".")]
