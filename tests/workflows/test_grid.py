import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinrank.cli.main import main
from twinrank.config import SPLITS, GridSpec, Mode, RunSpec
from twinrank.core.context import Context
from twinrank.core.files import sha256
from twinrank.data.judgements import load_pairs
from twinrank.ensembling.ledger import Ledger
from twinrank.errors import InputError
from twinrank.inference.evaluate import predictions_of
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.jobs import Job, train_job
from twinrank.workflows import grid as stacking
from twinrank.workflows.grid import fill_ledger
from twinrank.workflows.recipe import choose_models

TINY = {"epochs": 2, "batch_size": 64, "lr": 1e-2}
RUNS = {
    "order": RunSpec("order_net", replace(entry("order_net").train, **TINY), {"width": 4}),
    "compare": RunSpec("compare_net", replace(entry("compare_net").train, **TINY)),
}
RECIPE = """
train: {epochs: 2, batch_size: 64, lr: 1e-2}
runs:
  order: {model: order_net, options: {width: 4}}
  compare: {model: compare_net}
"""


def in_process(jobs: Sequence[Job], *_: object, **__: object) -> dict[str, str]:
    """Train as a grid does, without processes, whose start takes longer than everything here."""
    for job in jobs:
        if not finished(job.folder):
            train_job(job, Context(threads=1))
    return {}


def fill(folder: Path, data: Path, models: str, mode: Mode = "oof") -> list[str]:
    """Fill a ledger, and give the printed lines."""
    lines: list[str] = []
    fitted, val, *tests = (data / f"{split}.npz" for split in SPLITS)
    grid = GridSpec(mode, choose_models(RUNS, models), folds=2 if mode == "oof" else 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "run_jobs", in_process)
        assert fill_ledger(grid, folder, fitted, val, tests, context=Context(lines.append)) == {}
    return lines


@pytest.fixture(scope="module")
def oof(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of one base model."""
    folder = tmp_path_factory.mktemp("oof")
    fill(folder, benchmark_folder, "order")
    return folder


def test_each_row_is_predicted_by_the_network_that_was_not_fitted_to_it(oof: Path, benchmark_folder: Path) -> None:
    matrix = Ledger(oof / "ledger").read()
    data = load_pairs(benchmark_folder / "train.npz")
    assert np.array_equal(matrix.rows.y, data.y)  # pyright: ignore[reportArgumentType]
    for fold in (0, 1):
        run = RunFolder(oof / "cells" / f"order.fold{fold}")
        held = np.flatnonzero(matrix.fold == fold)
        given = [load_pairs(Path(file["path"])) for file in run.read_config()["data"].values()]
        assert not {*held.astype(str)} & {each for part in given for each in part.row_ids}
        predictions = predictions_of(run, data.select(held))
        assert np.array_equal(matrix.rows.logit[held, 0], predictions.logit.astype(np.float64))
    assert matrix.rows.levels["order"].shape == (len(data), 2, 10)
    assert matrix.tests["test_public"].logit.shape == (40, 1)


def test_a_grid_that_is_given_again_adds_what_is_new(oof: Path, benchmark_folder: Path) -> None:
    before = sha256(oof / "ledger" / "order.npz")
    lines = fill(oof, benchmark_folder, "order,compare")
    assert lines == [f"compare: 2 of 2 networks are in {oof / 'ledger'}"]
    assert sha256(oof / "ledger" / "order.npz") == before
    assert Ledger(oof / "ledger").read().names == ("order", "compare")


def test_only_base_models_of_the_recipe_are_chosen() -> None:
    assert list(choose_models(RUNS, "compare")) == ["compare"]
    assert choose_models(RUNS, "") == RUNS
    for models, message in (
        ("compar", "has no run 'compar'; did you mean 'compare'"),
        ("order, order", "given 2 times"),
    ):
        with pytest.raises(InputError, match=message):
            choose_models(RUNS, models)


@pytest.fixture(scope="module")
def holdout(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of two base models."""
    folder = tmp_path_factory.mktemp("holdout")
    fill(folder, benchmark_folder, "order,compare", "holdout")
    return folder


def test_holdout_stacks_val_and_stops_on_a_slice_of_train(holdout: Path, benchmark_folder: Path) -> None:
    matrix = Ledger(holdout / "ledger").read()
    val = load_pairs(benchmark_folder / "val.npz")
    assert np.array_equal(matrix.rows.y, val.y)  # pyright: ignore[reportArgumentType]
    recorded = RunFolder(holdout / "cells" / "order").read_config()["data"]
    assert recorded["train"]["n"] + recorded["val"]["n"] == 384
    assert recorded["val"]["n"] == 36


def test_a_killed_grid_ends_with_the_same_bytes(
    holdout: Path,
    benchmark_folder: Path,
    tmp_path: Path,
    called: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "twinrank", "grid", "--mode", "holdout", "--recipe", "recipe.yaml", "--folds", "4"]
    command += ["--out", ".", "--data", str(benchmark_folder), "--threads", "1", "--models", "order"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.rglob("checkpoint.safetensors")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    monkeypatch.setattr(stacking, "run_jobs", in_process)
    done = called(*command[3:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "order: 1 of 1 networks are in ledger" in done.stdout
    for file in ("ledger/rows.npz", "ledger/folds.npz", "ledger/order.npz", "cells/order/weights.safetensors"):
        assert sha256(tmp_path / file) == sha256(holdout / file), file


def test_a_slice_of_no_rows_is_refused_and_nothing_is_written(benchmark_folder: Path, tmp_path: Path) -> None:
    fitted, val, *tests = (benchmark_folder / f"{split}.npz" for split in SPLITS)
    with pytest.raises(InputError, match="`stop_share` of 0 leaves none of 384 rows to choose epochs on"):
        fill_ledger(GridSpec("oof", RUNS, stop_share=0), tmp_path, fitted, val, tests)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="`models`: the recipe has no runs by name"):
        choose_models({"": RUNS["order"]}, "")


def test_folds_in_which_nothing_can_be_chosen_are_refused_before_any_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), chdir(tmp_path):
        main(["grid", "--mode", "oof", "--folds", "2"])
    assert "--folds: 2 is not possible; use 4 to 100" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
