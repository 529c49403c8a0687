import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.test_grid import in_process

from twinrank.cli.main import main
from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.core.executors import Outcome, Work
from twinrank.core.files import sha256
from twinrank.errors import InputError
from twinrank.inference.evaluate import evaluate
from twinrank.reporting.seeds import seeds_summary
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.jobs import Job, JobStates, run_jobs
from twinrank.training.train import train
from twinrank.training.watch import jobs_table
from twinrank.workflows.recipe import seeds_recipe
from twinrank.workflows.seeds import train_seeds

TINY = TrainConfig(epochs=2, batch_size=64, lr=1e-2)
OPTIONS = {"width": 4}
ONE = Context(threads=1)
SCRIPT = Path(__file__).parents[2] / "examples" / "slurm_array.sh"


def jobs(folder: Path, data: Path, **changes: Any) -> list[Job]:
    files, configs = (data / "train.npz", data / "val.npz"), [replace(TINY, seed=seed, **changes) for seed in (1, 2)]
    return [Job(folder / f"seed_{config.seed}", *files, RunSpec("order_net", config, OPTIONS)) for config in configs]


def test_two_commands_share_their_jobs_and_finished_ones_are_skipped(
    benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other command is a task of a SLURM array, which trains the second of the seeds."""
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    changes = ("train.epochs=2", "train.batch_size=64", "options.width=4")
    out, recipe = tmp_path / "seeds", seeds_recipe("order_net", "42,2023", changes=changes)
    task = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "1", "DATA": str(benchmark_folder), "OUT": str(out)}
    (tmp_path / "twinrank").write_text(f'#!/bin/sh\nexec {sys.executable} -m twinrank "$@"\n')
    (tmp_path / "twinrank").chmod(0o755)
    flags = [part for change in changes for part in ("--set", change)]
    env = os.environ | task | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    other = subprocess.Popen(["bash", SCRIPT, *flags], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shown: list[JobStates] = []
    both = Context(show=shown.append, threads=2, workers=2)
    assert train_seeds(recipe, *files, out, context=both) == {}
    printed, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    assert b"seed_2023: val " in printed
    assert any(len(states.running) == 2 for states in shown)
    for seed in (42, 2023):
        log = (out / f"seed_{seed}.log").read_text()
        assert log.count(" 1/2  loss") == log.count(" 2/2  loss") == 1, "no job is done twice"
    alone = train(recipe.runs["seed_2023"], *files, tmp_path / "alone", context=ONE)
    weights = [RunFolder(out / name).weights for name in recipe.runs]
    assert sha256(weights[1]) == sha256(alone.weights), "beside others it trains as alone"
    before = [path.stat().st_mtime_ns for path in weights]
    shown.clear()
    capsys.readouterr()
    with jobs_table() as show:
        assert train_seeds(recipe, *files, out, context=Context(show=show)) == {}
        assert train_seeds(recipe, *files, out, context=Context(show=shown.append)) == {}
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert not any(states.running for states in shown)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["seed_42: epoch 2/2", "seed_2023: epoch 2/2"]


def test_a_task_of_a_slurm_array_needs_its_number() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    for number in ("", "4", "x"):
        env = os.environ | {"SLURM_ARRAY_TASK_ID": number}
        refused = subprocess.run(["bash", SCRIPT], env=env, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == "SLURM_ARRAY_TASK_ID must be 0 to 3; submit this script with sbatch\n"


class Ended:
    """Work of an executor that has ended."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = lambda: outcome

    def ended(self) -> bool:
        return True

    def stop(self) -> None: ...


class Losing:
    """An executor whose work ends as was arranged, by name of the job."""

    workers = 2

    def __init__(self, outcomes: dict[str, list[Outcome]]) -> None:
        self.outcomes = outcomes

    def start(self, work: Work) -> Ended:
        return Ended(self.outcomes[work.arguments[1].name].pop(0))


def test_a_job_is_done_again_where_its_machine_is_lost_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, taken = Outcome("lost", "gone"), Outcome("taken", "another process")
    losing = Losing({"seed_1": [lost, taken, lost, Outcome("done")], "seed_2": [lost] * 3})
    monkeypatch.setattr("twinrank.training.jobs.executor_of", lambda *_: nullcontext(losing))
    monkeypatch.setattr("twinrank.training.jobs._POLL_SECONDS", 0)
    said: list[str] = []
    assert run_jobs(jobs(tmp_path, tmp_path), context=Context(said.append)) == {"seed_2": "gone"}
    assert sorted(said) == [f"seed_{seed}: gone; it goes on elsewhere" for seed in (1, 1, 2, 2)]
    assert losing.outcomes == {"seed_1": [], "seed_2": []}


def test_a_job_that_fails_stops_those_alone_that_it_was_to_teach(benchmark_folder: Path, tmp_path: Path) -> None:
    fine = jobs(tmp_path, benchmark_folder)[1]
    diverging = jobs(tmp_path, benchmark_folder, lr=1e30, warmup=0.0, clip_norm=1e30)[0]
    taught = replace(fine, folder=tmp_path / "taught", teachers=(diverging.folder,))
    shown: list[JobStates] = []
    later = replace(fine, folder=tmp_path / "later", teachers=(taught.folder,))
    failed = run_jobs([later, taught, diverging, fine], context=Context(show=shown.append, workers=3))
    assert sorted(failed) == ["later", "seed_1", "taught"]
    assert "not finite" in failed["seed_1"]
    assert failed["taught"] == f"its teacher {diverging.folder} failed"
    assert finished(fine.folder)
    assert not any({taught.folder, later.folder} & {job.folder for job in states.running} for states in shown)
    with pytest.raises(InputError, match=r"taught: its teacher .*seed_1 is not trained beside it"):
        run_jobs([taught])


def test_a_folder_with_another_run_is_refused_before_anything_starts(benchmark_folder: Path, tmp_path: Path) -> None:
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    train(RunSpec("order_net", replace(TINY, epochs=1), OPTIONS), *files, tmp_path / "seed_2", context=ONE)
    with pytest.raises(InputError, match="seed_2: holds a run with other settings"):
        run_jobs(jobs(tmp_path, benchmark_folder))
    assert not (tmp_path / "seed_1").exists()


def test_ctrl_c_stops_every_job_and_the_same_command_goes_on(benchmark_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twinrank", "seeds", "order_net", "--seeds", "1,2", "--workers", "2"]
    command += ["--train", str(benchmark_folder / "train.npz"), "--val", str(benchmark_folder / "val.npz")]
    command += ["--out", str(tmp_path / "seeds"), "--set", "options.width=4", "--set", "train.batch_size=16"]
    process = subprocess.Popen([*command, "--set", "train.epochs=300"], stderr=subprocess.PIPE, text=True)
    checkpoints = [tmp_path / "seeds" / f"seed_{seed}" / "checkpoint.safetensors" for seed in (1, 2)]
    while not all(path.exists() for path in checkpoints) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "Go on by running the same command again" in message
    assert "Traceback" not in message
    for path in checkpoints:
        assert RunFolder(path.parent).read_history()


def test_seeds_are_summed_up(
    benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinrank.workflows.seeds.run_jobs", in_process)
    files = "--train", benchmark_folder / "train.npz", "--val", benchmark_folder / "val.npz"
    small = "--set", "options.width=4", "--set", "train.batch_size=64", "--simple", "--set", "train.monitor=log_loss"
    main(["seeds", "order_net", *map(str, files), "--seeds", "1,2", "--out", str(tmp_path / "seeds"), *small])
    output = capsys.readouterr().out
    epochs = [len(RunFolder(tmp_path / "seeds" / f"seed_{seed}").read_history()) for seed in (1, 2)]
    assert epochs == [4, 4], "a quarter of 14 epochs, rounded up"
    assert "deviation over 2 seeds" in output
    assert "other rows (n = 96)" in output
    for seed in (1, 2):
        history = RunFolder(tmp_path / "seeds" / f"seed_{seed}").read_history()
        kept = min((epoch["val"] for epoch in history), key=lambda val: val["log_loss"])
        assert f"seed_{seed}: val {kept['accuracy']:.2%}" in output
    assert "deviation" not in seeds_summary([tmp_path / "seeds" / "seed_1"])
    for seed in (1, 2):
        evaluate(RunFolder(tmp_path / "seeds" / f"seed_{seed}"), [benchmark_folder / "val.npz"])
    main(
        [
            "leaderboard",
            *(str(tmp_path / "seeds" / f"seed_{seed}") for seed in (1, 2)),
            "--out",
            str(tmp_path / "table"),
        ]
    )
    assert (tmp_path / "table" / "leaderboard.md").read_text().count("| seed_") == 2
    assert (tmp_path / "table" / "leaderboard.csv").read_text().count("pairs-only") == 2
    with pytest.raises(SystemExit):
        main(["seeds", "order_net", *map(str, files), "--seeds", "1,x"])
    assert "--seeds: '1,x' is not possible" in capsys.readouterr().err
    for change, problem in (
        ("train.seed=7", "the seeds are those of --seeds"),
        ("benchmark.seed=1", "write train.KEY"),
    ):
        with pytest.raises(SystemExit):
            main(["seeds", "order_net", *map(str, files), "--set", change])
        assert f"--set {change}: {problem}" in capsys.readouterr().err
