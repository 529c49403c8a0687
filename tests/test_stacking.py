import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinrank.config import SPLITS, Mode, RunSpec
from twinrank.data.pairs import load_pairs
from twinrank.ensembling.ledger import Ledger
from twinrank.errors import InputError
from twinrank.evaluation.evaluate import predictions_of
from twinrank.files import sha256
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.stacking import choose_models, fill_ledger

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


def fill(folder: Path, data: Path, models: str, mode: Mode = "oof") -> list[str]:
    """Give what was said."""
    said: list[str] = []
    train, val, *tests = (data / f"{split}.npz" for split in SPLITS)
    assert fill_ledger(choose_models(RUNS, models), mode, folder, train, val, tests, folds=2, say=said.append) == {}
    return said


@pytest.fixture(scope="module")
def oof(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of one base model."""
    folder = tmp_path_factory.mktemp("oof")
    fill(folder, benchmark_folder, "order")
    return folder


def test_each_row_is_asked_of_the_network_that_did_not_see_it(oof: Path, benchmark_folder: Path) -> None:
    matrix = Ledger(oof / "ledger").read()
    train = load_pairs(benchmark_folder / "train.npz")
    assert np.array_equal(matrix.rows.y, train.y)  # pyright: ignore[reportArgumentType]
    for fold in (0, 1):
        run = RunFolder(oof / "cells" / f"order.fold{fold}")
        held = np.flatnonzero(matrix.fold == fold)
        given = [load_pairs(Path(file["path"])) for file in run.read_config()["data"].values()]
        assert not {*held.astype(str)} & {each for data in given for each in data.row_ids}
        said = predictions_of(run, train.select(held))
        assert np.array_equal(matrix.rows.logit[held, 0], said.logit.astype(np.float64))
    assert matrix.rows.levels["order"].shape == (len(train), 2, 10)
    assert matrix.tests["test_public"].logit.shape == (40, 1)


def test_a_grid_that_is_given_again_adds_what_is_new(oof: Path, benchmark_folder: Path) -> None:
    before = sha256(oof / "ledger" / "order.npz")
    said = fill(oof, benchmark_folder, "order,compare")
    assert said == [f"compare: 2 of 2 networks are in {oof / 'ledger'}"]
    assert sha256(oof / "ledger" / "order.npz") == before
    assert Ledger(oof / "ledger").read().names == ("order", "compare")


def test_only_base_models_of_the_recipe_are_chosen() -> None:
    assert list(choose_models(RUNS, "compare")) == ["compare"]
    assert choose_models(RUNS, "") == RUNS
    for models, said in (("compar", "has no run 'compar'; did you mean 'compare'"), ("order, order", "given 2 times")):
        with pytest.raises(InputError, match=said):
            choose_models(RUNS, models)


def test_a_killed_grid_ends_with_the_same_bytes(oof: Path, benchmark_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "twinrank", "grid", "--mode", "oof", "--recipe", "recipe.yaml", "--folds", "2"]
    command += ["--out", ".", "--data", str(benchmark_folder), "--models", "order"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.rglob("checkpoint.safetensors")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, text=True)
    assert done.returncode == 0, done.stderr
    assert "order: 2 of 2 networks are in ledger" in done.stdout
    for file in ("ledger/rows.npz", "ledger/folds.npz", "cells/order.fold1/weights.safetensors"):
        assert sha256(tmp_path / file) == sha256(oof / file), file
    first, second = (Ledger(folder / "ledger").read(["order"]).rows.logit for folder in (tmp_path, oof))
    assert np.array_equal(first, second)


def test_holdout_stacks_val_and_stops_on_a_slice_of_train(benchmark_folder: Path, tmp_path: Path) -> None:
    fill(tmp_path, benchmark_folder, "order", "holdout")
    matrix = Ledger(tmp_path / "ledger").read()
    val = load_pairs(benchmark_folder / "val.npz")
    assert np.array_equal(matrix.rows.y, val.y)  # pyright: ignore[reportArgumentType]
    recorded = RunFolder(tmp_path / "cells" / "order").read_config()["data"]
    assert recorded["train"]["n"] + recorded["val"]["n"] == 384
    assert recorded["val"]["n"] == 38
