"""Run folders and stacks that older versions wrote still load; bent ones give one line."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.core.files import write_json
from twinrank.core.run_records import FileUse
from twinrank.ensembling.fitted import decide
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import read_metrics, rows_in_words
from twinrank.evaluation.order import read_order
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.evaluate import records_of
from twinrank.runs import PRETRAINED, RunFolder, teacher_folders, teacher_identities, used_in_training

RESULTS = Path(__file__).parents[1] / "results"
STUDENT = RESULTS / "record_first" / "pairs-again_seed3"
BENT: tuple[Any, ...] = (None, 3, -1.5, "x", [], {}, True, [[1]], 10**30, {"a": {"b": []}})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON values, but only the first of a list."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def bent(values: Any, kinds: Sequence[Any] = BENT) -> Iterator[Any]:
    """The values with one place removed, or of another kind."""
    for path in places(values):
        for other in (..., *kinds):
            changed = copy.deepcopy(values)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            if other is ...:
                del parent[path[-1]]
            else:
                parent[path[-1]] = other
            yield changed


def assert_read_or_refused(read: Callable[[], Any], path: Path) -> None:
    """Reading gives a value, or one line that names the file; nothing else may be raised."""
    line = None
    try:
        read()
    except InputError as error:
        line = str(error)
    assert line is None or (line.startswith(str(path)) and "\n" not in line)


@pytest.mark.parametrize("path", sorted({*RESULTS.glob("*/*/config.json"), PRETRAINED / "config.json"}), ids=str)
def test_runs_of_older_versions_load(path: Path) -> None:
    run = RunFolder(path.parent)
    config, history = run.read_config(), run.read_history()
    assert len(history) >= run.best_epoch()["epoch"] > 0
    used = used_in_training(config)
    assert used[config["data"]["train"]["sha256"]][0] == FileUse("fitted")
    assert len(teacher_folders(config)) == len(teacher_identities(config))
    for file in (run.path / "metrics").glob("*.json"):
        metrics = read_metrics(file)
        assert rows_in_words(metrics).startswith("all ")
        assert ("which" in rows_in_words(metrics)) == (metrics["data"].get("sha256") in used)


def test_metrics_of_older_versions_follow_from_their_predictions() -> None:
    run = RunFolder(STUDENT)
    made = {path.stem: Predictions.load(path) for path in (run.path / "predictions").glob("test_*.npz")}
    for key, metrics in records_of(made, used_in_training(run.read_config())).items():
        written = read_metrics(run.metrics(key))
        assert written["used"] == metrics["used"]
        assert written["metrics"]["accuracy"] == metrics["metrics"]["accuracy"]


def test_a_stack_of_an_older_version_decides_as_it_did() -> None:
    folder = StackFolder(RESULTS / "stack")
    stacked, matrix = folder.read_stack(), Ledger(folder.path / "ledger").read()
    expected = {each.name: each.logits["test_public"] for each in stacked.entrants}
    for name in ("lightgbm_usual", "logistic_regression"):
        logit = decide(stacked.fitted[name], matrix.tests["test_public"]).astype(np.float32)
        np.testing.assert_allclose(logit, expected[name], atol=1e-6)
    assert read_order(folder.order / "order.json")["used"] == []


def test_a_bent_run_configuration_is_one_line(tmp_path: Path) -> None:
    run, values = RunFolder(tmp_path), json.loads((STUDENT / "config.json").read_text())
    values["train"] = {"lr": 0.1}

    def read() -> None:
        config = run.read_config()
        run.fingerprint()
        used_in_training(config)
        teacher_folders(config)
        teacher_identities(config)

    for changed in bent(values):
        write_json(run.config, changed)
        assert_read_or_refused(read, run.config)


def test_bent_metrics_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    for name in ("val", "tests"):
        values = json.loads((STUDENT / "metrics" / f"{name}.json").read_text())
        for changed in bent(values):
            write_json(file, changed)
            assert_read_or_refused(lambda: rows_in_words(read_metrics(file)), file)


def test_a_bent_stack_is_one_line(tmp_path: Path) -> None:
    folder = StackFolder(tmp_path)
    shutil.copy(RESULTS / "stack" / "entrants.npz", folder.entrants)
    states = json.loads((RESULTS / "stack" / "learners.json").read_text())
    states = {name: states[name] for name in ("logistic_regression", "best_single")}
    config = json.loads((RESULTS / "stack" / "stack.json").read_text()) | {"best": "best_single"}
    write_json(folder.learners, states)
    write_json(folder.config, config)
    assert [*folder.read_stack().fitted] == [*states]
    for file, values in ((folder.learners, states), (folder.config, {**config, "data": {}})):
        for changed in bent(values, (None, 3, "x", [], {})):
            write_json(file, changed)
            assert_read_or_refused(folder.read_stack, tmp_path)
        write_json(file, values)
    write_json(folder.config, config | {"learners_sha256": "0"})
    with pytest.raises(InputError, match=r"learners.json: has changed since the stack was made"):
        folder.read_stack()
