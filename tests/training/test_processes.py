"""Trainings in processes of their own: they end with the command, and run no code of the working folder."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.errors import Interrupted
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.hooks import Hooks
from twinrank.training.jobs import Job, run_jobs, train_job

PLANTED = "open({marker!r}, 'a').write(__name__)\n"
"""A module that a user's folder happens to have."""


def test_children_of_a_killed_command_end_and_run_no_code_of_the_working_folder(
    benchmark_folder: Path, tmp_path: Path
) -> None:
    folder, marker = tmp_path / "mine", tmp_path / "planted"
    folder.mkdir()
    for name in ("multiprocessing", "joblib", "numpy", "torch"):
        (folder / f"{name}.py").write_text(PLANTED.format(marker=str(marker)))
    command = [sys.executable, "-m", "twinrank", "seeds", "order_net", "--seeds", "1,2", "--workers", "2"]
    command += ["--train", str(benchmark_folder / "train.npz"), "--val", str(benchmark_folder / "val.npz")]
    command += ["--out", "grid", "--set", "options.width=4", "--set", "train.epochs=3000"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    runs = [RunFolder(folder / "grid" / f"seed_{seed}") for seed in (1, 2)]
    while not all(run.checkpoint.exists() for run in runs) and process.poll() is None:
        time.sleep(0.05)
    assert all(run.is_held() for run in runs)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while any(run.is_held() for run in runs):
        assert time.monotonic() < deadline, "children go on without their parent"
        time.sleep(0.05)
    assert not marker.exists(), marker.read_text()


def test_a_job_that_another_process_trains_fails_whatever_its_log_holds(
    benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Hooks):
        def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
            raise KeyboardInterrupt

    def write(states: object) -> None:
        """The other process goes on to write into the log."""
        job.log.write_text("epoch 7/30\n")

    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=2, batch_size=64), {"width": 4})
    job = Job(tmp_path / "run", benchmark_folder / "train.npz", benchmark_folder / "val.npz", spec)
    with pytest.raises(Interrupted):
        train_job(job, Context(threads=1), Stop())
    monkeypatch.setattr("twinrank.training.jobs._POLL_SECONDS", 0.01)
    with RunFolder(job.folder).held(0):
        failed = run_jobs([job], context=Context(show=write, threads=1))
    assert failed["run"].startswith(f"{job.folder}: another process is training this run; follow it with")
