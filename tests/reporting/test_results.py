"""Published results still load, and still give the published figures."""

import json
from pathlib import Path

import pytest

from twinrank.errors import InputError
from twinrank.evaluation.order import read_order
from twinrank.reporting.ablation import read_ablation
from twinrank.reporting.contents import read_run
from twinrank.reporting.leaderboard import read_field
from twinrank.reporting.pictures import draw_curves
from twinrank.reporting.records import read_audit, read_figures, read_steps
from twinrank.reporting.targets import read_targets, record_values
from twinrank.runs import PRETRAINED

RESULTS = Path(__file__).parents[2] / "results"
RUNS = [*sorted(path.parent for path in RESULTS.glob("*/*/config.json")), RESULTS / "demo", PRETRAINED]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}/{run.name}")
def test_every_published_run_is_read(run: Path) -> None:
    contents = read_run(run)
    assert contents.history
    assert contents.val_metrics is not None
    assert contents.metrics["test_private"].role == "test"
    assert list(contents.metrics) == ["val", "test_public", "test_private", "tests"]


def test_the_record_is_what_was_published() -> None:
    published = {each["target"]: each for each in json.loads((RESULTS / "record.json").read_text())}
    found = record_values(read_targets(sorted((RESULTS / "record").iterdir())))
    assert found
    for target in found:
        assert target == published[target["target"]] | {"uncounted": target["uncounted"]}


def test_predictions_of_runs_and_of_the_stack_are_of_the_same_rows() -> None:
    folders = [*sorted((RESULTS / "ceiling").iterdir()), RESULTS / "stack"]
    field = read_field(folders)
    assert list(field.rows) == ["val", "test_public", "test_private"]
    assert len(field.entrants) == len(folders) - 1 + 19
    with pytest.raises(InputError, match=r"fpn: has no predictions of data/val\.npz and no weights to make them"):
        read_field([RESULTS / "zoo" / "fpn"])


def test_everything_else_of_the_stack_is_read() -> None:
    stack = RESULTS / "stack"
    assert len(read_figures(stack / "figures.json")["folds"]) == 9
    assert all(check["passed"] for check in read_audit(stack / "audit.json"))
    assert read_order(stack / "order" / "order.json")["images"]
    assert read_steps(stack / "steps.json")


def test_curves_and_ablations_of_published_runs(tmp_path: Path) -> None:
    assert draw_curves(sorted((RESULTS / "zoo").glob("*/")), tmp_path / "curves.png").is_file()
    runs = sorted((RESULTS / "record").glob("*_seed42"))
    effects = {(effect.factor, effect.rows): effect for effect in read_ablation(runs, "pairs-42epochs")}
    assert effects["open-45epochs", "tests"].difference.estimate.low > 0
