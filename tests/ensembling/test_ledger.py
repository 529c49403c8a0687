import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.config import Mode
from twinrank.core.files import sha256
from twinrank.data.folds import Folds, assign_folds
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.ensembling.base_models import WHOLE, BaseModel, Cell
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.ledger_rows import LedgerRows
from twinrank.errors import InputError

N, TESTS, FOLDS = 60, 20, 3
RANDOM = np.random.default_rng(0)


def pairs(name: str, rows: int) -> Judgements:
    x = RANDOM.integers(0, 255, (2, rows, 1, 8, 8), np.uint8)
    ids = np.array([f"{name}_{row}" for row in range(rows)])
    y = RANDOM.integers(0, 2, rows).astype(np.int8)
    return Judgements.of_pairs(PairArrays(x[0], x[1], y, ids), Path(f"{name}.npz"), f"{len(name):064x}")


TRAIN, VAL, TEST = pairs("train", N), pairs("val", N), pairs("public", TESTS)
TESTED = {"public": LedgerRows(TEST)}
ASSIGNED = assign_folds(TRAIN, FOLDS)
ROWS = {"oof": TRAIN, "holdout": VAL}


def created(folder: Path, mode: Mode, folds: Folds = ASSIGNED) -> Ledger:
    rows = ROWS[mode]
    return Ledger.create(folder, mode, folds, LedgerRows(rows), assign_folds(rows, FOLDS, 0), TESTED)


def base_model(name: str, mode: Mode, folder: Path) -> BaseModel:
    cells = []
    for fold in range(FOLDS) if mode == "oof" else [WHOLE]:
        run = folder / f"{name}{fold}"
        run.mkdir(parents=True)
        (run / "weights.safetensors").write_bytes(b"weights")
        given = None if fold == WHOLE else fold
        weights = sha256(run / "weights.safetensors")
        parts = ASSIGNED.fitted(given).sha256, ASSIGNED.stopped_on(given).sha256
        cells.append(Cell(fold, f"../{run.relative_to(folder.parent)}", 1, 2.0, 300.0, 0.5, "c", weights, *parts))
    fold = ASSIGNED.fold if mode == "oof" else np.full(N, WHOLE, np.int8)
    logit = RANDOM.normal(size=N).astype(np.float32)
    tests = {"public": RANDOM.normal(size=(len(cells), TESTS)).astype(np.float32)}
    return BaseModel(
        name, {"model": name, "track": "pairs-only", "parameters": 7}, tuple(cells), fold, logit, tests, None, {}
    )


@pytest.fixture(params=["holdout", "oof"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    ledger = created(tmp_path / "ledger", request.param)
    for name in ("first", "second"):
        ledger.add(base_model(name, request.param, tmp_path / "cells"))
    return ledger


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Ledger(path).read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_added_is_read(tmp_path: Path) -> None:
    ledger = created(tmp_path / "ledger", "oof")
    models = [base_model(name, "oof", tmp_path / "cells") for name in ("first", "second")]
    for each in models:
        ledger.add(each)
    matrix = Ledger(ledger.path).read()
    assert matrix.names == ("first", "second")
    assert np.array_equal(matrix.rows.logit, np.stack([each.logit for each in models], 1).astype(np.float64))
    assert np.array_equal(matrix.rows.id, TRAIN.id)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(matrix.rows.y, TRAIN.y)  # pyright: ignore[reportArgumentType]
    means = np.stack([each.tests["public"].astype(np.float64).mean(0) for each in models], 1)
    assert np.array_equal(matrix.tests["public"].logit, means), "tests are means over the folds' networks"
    assert matrix.about["first"]["seconds"] == 2.0 * FOLDS
    assert Ledger(ledger.path).read(["second"]).names == ("second",)
    with pytest.raises(InputError, match="no base model 'secnd'; did you mean 'second'"):
        Ledger(ledger.path).read(["secnd"])


@pytest.mark.parametrize("file", ["first.npz", "rows.npz", "folds.npz"])
def test_one_changed_number_is_seen(filled: Ledger, file: str) -> None:
    with np.load(filled.path / file) as stored:
        arrays = dict(stored)
    key = {"first.npz": "logit", "rows.npz": "y", "folds.npz": "fold"}[file]
    arrays[key] = arrays[key].copy()
    arrays[key][3] = 1 - arrays[key][3]
    np.savez_compressed(filled.path / file, **arrays)
    assert f"{file}: " in refused(filled.path)
    assert "has changed" in refused(filled.path)


def test_a_changed_index_is_seen(filled: Ledger) -> None:
    index = json.loads((filled.path / "ledger.json").read_text())
    index["models"]["first"]["parameters"] = 8
    (filled.path / "ledger.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="changed since it was written"):
        Ledger(filled.path)


def test_changed_weights_are_seen_and_lost_ones_are_not_needed(filled: Ledger) -> None:
    weights = filled.path / filled.cells("first")[0].run / "weights.safetensors"
    weights.write_bytes(b"others")
    assert "holds the weights of first" in refused(filled.path)
    weights.unlink()
    assert Ledger(filled.path).read().names == ("first", "second")


def test_a_missing_row_is_named(tmp_path: Path) -> None:
    ledger = created(tmp_path / "ledger", "oof")
    whole = base_model("first", "oof", tmp_path / "cells")
    logit = whole.logit.copy()
    logit[4] = np.nan
    ledger.add(replace(whole, logit=logit))
    assert refused(ledger.path).startswith("first: has no prediction for row 'train_4' (1 row in all)")


def test_a_row_that_a_network_used_in_training_is_named(tmp_path: Path) -> None:
    ledger = created(tmp_path / "ledger", "oof")
    whole = base_model("first", "oof", tmp_path / "cells")
    fold = whole.fold.copy()
    fold[7] = (fold[7] + 1) % FOLDS
    ledger.add(replace(whole, fold=fold))
    assert "first: row 'train_7' is of fold" in refused(ledger.path)
    assert "used the row in training" in refused(ledger.path)


@pytest.mark.parametrize("field", ["fitted_sha256", "stopped_on_sha256"])
def test_a_network_trained_on_other_rows_is_refused(tmp_path: Path, field: str) -> None:
    ledger = created(tmp_path / "ledger", "holdout")
    whole = base_model("first", "holdout", tmp_path / "cells")
    cells = (replace(whole.cells[0], **{field: ASSIGNED.left_out(0).sha256}),)
    ledger.add(replace(whole, cells=cells))
    assert "first: what its network in" in refused(ledger.path)
    assert "row 'val_0' may be among it" in refused(ledger.path)


def test_stacking_the_rows_that_networks_were_trained_on_is_refused(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger", "holdout", ASSIGNED, LedgerRows(TRAIN), ASSIGNED, TESTED)
    ledger.add(base_model("first", "holdout", tmp_path / "cells"))
    assert "row 'train_0' included" in refused(ledger.path)


def test_a_folder_with_another_ledger_is_refused(filled: Ledger) -> None:
    mode: Mode = "oof" if (filled.read().mode == "holdout") else "holdout"
    with pytest.raises(InputError, match="a ledger of other rows or folds"):
        created(filled.path, mode)
    with pytest.raises(InputError, match="a ledger of other rows or folds"):
        created(filled.path, filled.read().mode, assign_folds(TRAIN, FOLDS, seed=7))
    assert created(filled.path, filled.read().mode).names == ["first", "second"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("mode", "both"), "'mode': invalid enum value 'both'"),
        (("data", []), "'data': expected a mapping, got a list"),
        (("models", {"first": {"cells": 3}}), r"'models\[...\]"),
        (("data", {}), "'data.rows' is missing"),
    ],
)
def test_a_bent_index_with_the_right_digest_is_one_line(filled: Ledger, change: tuple[str, Any], why: str) -> None:
    file = filled.path / "ledger.json"
    index = json.loads(file.read_text()) | {change[0]: change[1]}
    content = {key: value for key, value in index.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps(content | {"sha256": digest}))
    with pytest.raises(InputError, match=rf"ledger.json: not the index of a ledger \(.*{why}") as found:
        Ledger(filled.path)
    assert str(found.value).count("\n") == 0


@pytest.mark.parametrize("change", [{"levels": np.zeros((3, 2, 4), np.float32)}, {"logit": np.zeros(3, np.float32)}])
def test_predictions_of_another_shape_are_refused(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    ledger = created(tmp_path / "ledger", "holdout")
    ledger.add(replace(base_model("first", "holdout", tmp_path / "cells"), **change))
    assert "first.npz: '" in refused(ledger.path)
    assert "has shape (3" in refused(ledger.path)
