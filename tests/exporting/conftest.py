"""Runs that are exported."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import RECORDED

from twinrank.core.files import sha256, write_json
from twinrank.data.folds import assign_folds
from twinrank.data.judgements import load_pairs
from twinrank.data.overlap import images_in_rows
from twinrank.ensembling.base_models import WHOLE, BaseModel, Cell
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.ledger_rows import LedgerRows
from twinrank.ensembling.stack import stack
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.exporting import check as checking
from twinrank.inference.network import Network
from twinrank.models.comparators import LatentOrder
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import load_weights, save_weights
from twinrank.runs import RunFolder
from twinrank.workflows import export as exporting
from twinrank.workflows.export import Export, export


@pytest.fixture(scope="module")
def run(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of a network that is not trained, with a calibration that knows ties, and a simple rule."""
    run = RunFolder(tmp_path_factory.mktemp("export") / "run")
    options = entry("order_net").complete({"width": 2, "levels": 4, "views": 5})
    torch.manual_seed(0)
    network = create_model("order_net", options=options)
    spread_out(network, load_pairs(benchmark_folder / "val.npz").xa)
    pairs = {part: load_pairs(benchmark_folder / f"{part}.npz") for part in ("train", "val")}
    files = {
        part: {"path": str(data.path), "sha256": part, "n": 96, "content_sha256": data.content_sha256}
        for part, data in pairs.items()
    }
    files["train"]["source"] = {"question": "Which digit is greater?"}
    run.create(RECORDED | {"model": {"name": "order_net", "options": options}, "data": files})
    save_weights(run.weights, network, {"name": "order_net", "options": options, "channels": 1, "image_size": 28})
    run.calibration.write_text(json.dumps({"scale": 0.5, "nu": 0.3}))
    write_json(run.simple_rule, {"feature": "mean", "higher": True})
    run.write_train_images(images_in_rows(pairs["train"]))
    return run


def spread_out(network: SiameseNet, images: np.ndarray) -> None:
    """Let a network predict different levels for different images."""
    head = network.eval().comparator
    assert isinstance(head, LatentOrder)
    torch.nn.init.normal_(head.scores.weight, std=1)
    with torch.no_grad():
        levels = head.scores(network.embed_batch(torch.from_numpy(images)).features)
        scale = 3 / levels.std(0).mean()
        head.scores.weight *= scale
        head.scores.bias.copy_(-scale * (levels.mean(0) - head.scores.bias))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_SECONDS", 0)


@pytest.fixture(scope="module")
def exported(run: RunFolder) -> Export:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "_SECONDS", 0)
        return export([run.path], run.path.parent / "digits.onnx")


@pytest.fixture
def copied(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that need not make the graph again."""
    monkeypatch.setattr(exporting, "write_network", lambda run, path, command: shutil.copyfile(exported.out, path))


@pytest.fixture(scope="module")
def other(run: RunFolder) -> RunFolder:
    """A run of nearly the same network."""
    made = RunFolder(run.path.with_name("other"))
    shutil.copytree(run.path, made.path)
    network = load_weights(run.weights)
    with torch.no_grad():
        next(network.tower.parameters()).mul_(1.000001)
    save_weights(made.weights, network, run.read_config()["model"] | {"channels": 1, "image_size": 28})
    return made


@pytest.fixture
def stack_folder(run: RunFolder, other: RunFolder, benchmark_folder: Path, tmp_path: Path) -> StackFolder:
    """A stack of these two."""
    trained, rows = (load_pairs(benchmark_folder / f"{part}.npz") for part in ("train", "val"))
    folds, folder = assign_folds(trained, 4), StackFolder(tmp_path / "stack")
    ledger = Ledger.create(folder.path / "ledger", "holdout", folds, LedgerRows(rows), assign_folds(rows, 4, 0), {})
    about = {"model": "order_net", "track": "pairs-only", "parameters": 7}
    digests = folds.fitted(None).sha256, folds.stopped_on(None).sha256
    for name, each in (("a", run), ("b", other)):
        place = os.path.relpath(each.path, ledger.path)
        cell = Cell(WHOLE, place, 1, 1.0, 1.0, 1.0, "c", sha256(each.weights), *digests)
        logit, whole = Network(each).logits(rows), np.full(len(rows), WHOLE, np.int8)
        ledger.add(BaseModel(name, about, (cell,), whole, logit, {}, None, {}))
    stacked = stack(ledger.read(), ["mean_logit"], lambda name: None)
    folder.write_stack(ledger.read(), stacked)
    (best,) = stacked.fitted
    about = {"ledger": "ledger", "ledger_sha256": ledger.sha256, "mode": "holdout", "models": ["a", "b"]}
    write_json(folder.config, about | {"learners": ["mean_logit"], "best": best})
    return folder
