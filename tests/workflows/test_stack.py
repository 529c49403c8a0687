import json
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from tests.workflows.test_grid import fill, in_process

from twinrank.benchmark.mnist import Mnist
from twinrank.cli.main import main
from twinrank.core.context import Context
from twinrank.core.files import sha256
from twinrank.data.judgements import load_pairs
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import CheckFailed, InputError
from twinrank.evaluation.entrants import load_entrants
from twinrank.inference.evaluate import evaluate
from twinrank.inference.label import write_predictions
from twinrank.inference.load import load_predictor
from twinrank.inference.order import order
from twinrank.reporting.leaderboard import read_field
from twinrank.runs import RunFolder
from twinrank.workflows import audit as auditing
from twinrank.workflows import grid as stacking
from twinrank.workflows.audit import check_chance, check_out_of_fold, permuted_pipeline
from twinrank.workflows.recipe import read_recipe
from twinrank.workflows.report import report
from twinrank.workflows.run import run_recipe
from twinrank.workflows.stack import finish_stack, make_stack
from twinrank.workflows.verify import verify

TIMES = {"steps.json"}


@pytest.fixture(scope="module")
def stacked(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StackFolder:
    """A stack of two base models, as the command leaves it."""
    folder = tmp_path_factory.mktemp("stacked")
    fill(folder, benchmark_folder, "order,compare", "holdout")
    made(StackFolder(folder))
    return StackFolder(folder)


@pytest.fixture
def copy(stacked: StackFolder, tmp_path: Path) -> StackFolder:
    """The same, to be changed."""
    shutil.copytree(stacked.path, tmp_path / stacked.path.name)
    return StackFolder(tmp_path / stacked.path.name)


def made(folder: StackFolder) -> None:
    main(["stack", "--grid", str(folder.path)])


def test_the_leaderboard_has_what_is_promised(stacked: StackFolder) -> None:
    rows = json.loads((stacked.path / "leaderboard.json").read_text())
    assert {row["kind"] for row in rows} == {"model", "ensemble"}
    for row in rows:
        assert row.keys() >= {"name", "kind", "track", "parameters", "seconds", "milliseconds", "p_vs_best_model"}
        for stem, n in (("val", 96), ("test_public", 40), ("test_private", 60), ("tests", 100)):
            assert row[stem].keys() >= {"accuracy", "low", "high", "n", "log_loss", "expected_calibration_error"}
            assert row[stem]["n"] == n
    accuracies = [row["val"]["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_page_shows_everything(stacked: StackFolder, tmp_path: Path) -> None:
    page = stacked.report.read_text()
    for text in (
        "struck-out column is not a result",
        "Tied for first",
        "significantly better than the best single model",
        "Sets of labels with a stated coverage",
        "Not audited yet",
        "Correlation of the base models",
        "What each base model adds",
        "Time and memory",
        "training of 2 networks",
    ):
        assert text in page, text
    assert page.count("<s>") == 10, "in-sample numbers are struck out, nine in the table and one in the sentence"
    drawn = tmp_path / "figures"
    report(stacked.path, tmp_path / "page.html", drawn)
    assert len(list(drawn.glob("*.png"))) == 7


def test_a_stack_predicts_a_file_as_in_the_ledger(stacked: StackFolder, benchmark_folder: Path, tmp_path: Path) -> None:
    predictor, data = load_predictor(stacked.path), load_pairs(benchmark_folder / "test_private.npz")
    best = stacked.read_config()["best"]
    entrants, _ = load_entrants(stacked.entrants)
    (expected,) = [each.logits["test_private"] for each in entrants if each.name == best]
    assert np.array_equal(predictor.logits(data).astype(np.float32), expected)
    assert write_predictions(predictor, benchmark_folder / "test_private.npz", tmp_path / "pred.csv") == 60
    assert sha256(tmp_path / "pred.csv") == sha256(stacked.path / "pred_private.csv")


def test_a_stack_is_antisymmetric_to_the_bit_about_all_pairs(stacked: StackFolder, benchmark_folder: Path) -> None:
    found = order(load_predictor(stacked.path), benchmark_folder / "val.npz", 20)
    assert (found.report.pairs, found.report.swap_violations) == (190, 0)
    assert "in-sample" in found.rows, "meta-learners were fitted to val"


def test_several_folders_decide_by_their_mean(stacked: StackFolder, benchmark_folder: Path, tmp_path: Path) -> None:
    test, cells = (
        benchmark_folder / "test_private.npz",
        [stacked.path / "cells" / name for name in ("order", "compare")],
    )
    folders = [stacked.path, *cells]
    main(["predict", "--run", ",".join(map(str, folders)), "--data", str(test), "--out", str(tmp_path / "mean.csv")])
    each = [load_predictor(folder).logits(load_pairs(test)) for folder in folders]
    decided = [line.split(",")[1] for line in (tmp_path / "mean.csv").read_text().splitlines()[1:]]
    assert decided == (np.mean(each, 0) > 0).astype(int).astype(str).tolist()
    given = [",".join(map(str, cells)), str(benchmark_folder / "train.npz"), "--images", "20"]
    main(["order", *given, "--out", str(tmp_path / "order")])
    found = json.loads((tmp_path / "order" / "order.json").read_text())
    assert found["model"] == "mean of order_net, compare_net"
    assert (found["images"], found["used"]) == (20, [])


def test_a_stack_without_its_networks_is_refused(copy: StackFolder) -> None:
    (copy.path / "cells" / "order" / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="cells/order: the weights are not there"):
        load_predictor(copy.path)
    made(copy)


@pytest.mark.parametrize(
    "until", ["entrants.npz", "leaderboard.json", "figures.json", "pred_private.csv", "report.html"]
)
def test_a_stack_that_was_stopped_anywhere_ends_with_the_same_bytes(
    stacked: StackFolder, copy: StackFolder, until: str
) -> None:
    order_made = ["entrants.npz", "leaderboard.json", "figures.json", "pred_private.csv", "report.html"]
    for name in order_made[order_made.index(until) :]:
        (copy.path / name).unlink()
    with chdir(copy.path.parent):
        made(copy)
    for path in stacked.path.glob("*"):
        # The page has the times.
        if path.is_file() and path.name not in TIMES | {"report.html"}:
            assert sha256(copy.path / path.name) == sha256(path), path.name


def test_some_base_models_go_into_a_folder_of_their_own(stacked: StackFolder, tmp_path: Path) -> None:
    folder = StackFolder(tmp_path / "one")
    make_stack(stacked.path, folder, "order")
    assert folder.read_config()["models"] == ["order"]
    finish_stack(folder)
    with pytest.raises(InputError, match="has no base model 'ordr'; did you mean 'order'"):
        make_stack(stacked.path, folder, "ordr")
    with pytest.raises(InputError, match="'order' is given 2 times"):
        make_stack(stacked.path, folder, "order,order")


def test_a_stack_is_not_put_over_other_things(stacked: StackFolder, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for folder in (tmp_path, stacked.path / "cells" / "order", tmp_path / "config.json"):
        with pytest.raises(InputError, match="is there already and holds no stack; choose a new folder with `out`"):
            make_stack(stacked.path, StackFolder(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("change", [{"models": ["order"]}, {"best": "nope"}])
def test_a_changed_configuration_is_refused(copy: StackFolder, change: dict[str, object]) -> None:
    copy.config.write_text(json.dumps(json.loads(copy.config.read_text()) | change))
    for use in (load_predictor, verify):
        with pytest.raises(InputError, match="is not about what"):
            use(copy.path)
    copy.config.write_text("[]")
    with pytest.raises(InputError, match="not the configuration of a stack"):
        read_field([copy.path])


def test_stacks_and_runs_stand_in_one_leaderboard(stacked: StackFolder, tmp_path: Path) -> None:
    folder = StackFolder(tmp_path / "one")
    make_stack(stacked.path, folder, "order")
    board = read_field([stacked.path, folder.path]).rank()
    names = [row.entrant.name for row in board.rows]
    first = stacked.path.name
    assert {f"{first}/order", "one/order", "compare", f"{first}/mean_logit", "one/mean_logit"} <= {*names}
    assert len(names) == len({*names})


def test_every_figure_is_verified(copy: StackFolder) -> None:
    main(["verify", str(copy.path)])


def test_one_changed_number_anywhere_is_found(copy: StackFolder) -> None:
    board, figures = copy.path / "leaderboard.json", copy.figures
    rows, other = json.loads(board.read_text()), json.loads(figures.read_text())
    rows[2]["val"]["accuracy"] += 0.001
    board.write_text(json.dumps(rows))
    other["folds"][0]["mean"] += 0.01
    figures.write_text(json.dumps(other))
    with np.load(copy.entrants) as stored:
        arrays = dict(stored)
    arrays["test_public.logit"][3, 0] += 1
    np.savez_compressed(copy.entrants, **arrays)
    (copy.path / "pred_private.csv").write_text("id,label\n")
    copy.report.write_text(copy.report.read_text().replace("</h1>", "!</h1>"))
    with pytest.raises(CheckFailed) as caught:
        verify(copy.path)
    message = str(caught.value)
    for each in (
        "leaderboard.json",
        "figures.json: folds[best_single].mean",
        "entrants.npz: order predicts",
        "pred_private",
    ):
        assert each in message
    assert "report.html" in message


def test_a_run_is_verified_from_its_predictions(stacked: StackFolder, benchmark_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(stacked.path / "cells" / "order", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="has no figures to verify"):
        verify(run.path)
    evaluate(run, [benchmark_folder / f"{stem}.npz" for stem in ("val", "test_public", "test_private")])
    report(run.path)
    verify(run.path)
    record = json.loads(run.metrics("tests").read_text())
    record["metrics"]["brier"]["high"] += 0.001
    run.metrics("tests").write_text(json.dumps(record))
    with pytest.raises(CheckFailed, match=r"tests\.json: metrics\.brier\.high is"):
        verify(run.path)
    run.predictions("val").unlink()
    with pytest.raises(CheckFailed, match=r"val\.json: cannot be computed again"):
        verify(run.path)


def test_a_changed_ledger_does_not_verify(copy: StackFolder) -> None:
    with np.load(copy.path / "ledger" / "order.npz") as stored:
        arrays = dict(stored)
    arrays["logit"][0] += 1
    np.savez_compressed(copy.path / "ledger" / "order.npz", **arrays)
    with pytest.raises(InputError, match="has changed"):
        verify(copy.path)


def test_an_honest_stack_is_green(copy: StackFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacking, "run_jobs", in_process)
    monkeypatch.setattr(auditing, "_TINY", auditing._TINY | {"epochs": 1})
    # With so few rows a cross-validated tree often falls below a half further than its interval allows; not here.
    monkeypatch.setattr(auditing, "_ROWS", {"train": 120, "rows": 96, "test": 40})
    main(["audit", str(copy.path)])
    assert [check["passed"] for check in json.loads(copy.audit.read_text())] == [True] * 3
    assert "Not audited yet" not in copy.report.read_text()


def test_networks_that_predict_fitted_rows_turn_an_audit_red(
    stacked: StackFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plant: rows that are fitted, under labels that mean nothing, are stacked."""
    monkeypatch.setattr(stacking, "run_jobs", in_process)
    monkeypatch.setattr(auditing, "_TINY", auditing._TINY | {"epochs": 12})
    monkeypatch.setattr(auditing, "_ROWS", {"train": 200, "rows": 96, "test": 40})
    matrix = permuted_pipeline(Ledger(stacked.path / "ledger"), tmp_path, 0)
    planted = Ledger(tmp_path / "grid" / "ledger")
    train = load_pairs(tmp_path / "train.npz")
    predictors = [load_predictor(tmp_path / "grid" / "cells" / name) for name in matrix.names]
    logit = np.stack([predictor.logits(train) for predictor in predictors], 1).astype(np.float64)
    rows = type(matrix.rows)(train.row_ids, train.y, logit, {})  # pyright: ignore[reportArgumentType]
    fold = np.arange(len(train)) % 4
    assert check_chance("honest", matrix).passed
    check = check_chance("planted", type(matrix)(**{**vars(matrix), "rows": rows, "fold": fold}))
    assert not check.passed, check
    assert "labels leak" in check.found
    assert planted.names == list(matrix.names)


def test_a_planted_ledger_with_everything_forged_turns_an_audit_red(stacked: StackFolder) -> None:
    matrix = Ledger(stacked.path / "ledger").read()
    assert check_out_of_fold(matrix).passed
    knows = np.where(matrix.rows.y[:, None] == 1, 3.0, -3.0) * np.ones_like(matrix.rows.logit)
    planted = type(matrix)(**{**vars(matrix), "rows": type(matrix.rows)(matrix.rows.id, matrix.rows.y, knows, {})})
    check = check_out_of_fold(planted)
    assert not check.passed
    assert "its training must have used them" in check.found


RECIPES = {
    "small.yaml": """
train: {epochs: 1, batch_size: 64}
runs:
  order: {model: order_net, options: {width: 4}}
  compare: {model: compare_net}
""",
    "stack.yaml": """
runs_of: small.yaml
benchmark: {severity: 1, pairs_train: 300, pairs_val: 90, pairs_public: 40, pairs_private: 120}
grids:
  .: {mode: holdout, folds: 4}
""",
}


def test_one_recipe_goes_on_after_a_failure_then_all_the_way_and_again_does_nothing(
    mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "_TINY", auditing._TINY | {"epochs": 1})
    for name, text in RECIPES.items():
        (tmp_path / name).write_text(text)
    lines: list[str] = []
    with chdir(tmp_path):
        monkeypatch.setattr(stacking, "run_jobs", lambda jobs, **_: in_process(jobs[1:]) | {jobs[0].name: "killed"})
        with pytest.raises(InputError, match=r"1 training failed; those that are done are kept\. order: killed"):
            run_recipe(read_recipe("stack.yaml"), Path("run"), Path("data"), context=Context(lines.append))
        monkeypatch.setattr(stacking, "run_jobs", in_process)
        for _ in range(2):
            lines.clear()
            assert run_recipe(read_recipe("stack.yaml"), Path("run"), Path("data"), context=Context(lines.append)) == {}
    done = [*("data", "ledger", "meta-learners", "leaderboard", "figures", "submit", "order", "audit", "report")]
    assert [line.partition(":")[0] for line in lines] == done
    assert all("done before" in line for line in lines)
    folder = StackFolder(tmp_path / "run")
    assert [step["step"] for step in json.loads(folder.steps.read_text())] == done
    assert "Is it an order?" in folder.report.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("runs_of: small.yaml", "runs_of: 3"), "'runs_of' is 3"),
        (("holdout", "both"), "grid '.': must be a mapping with 'mode', holdout or oof"),
        (("folds: 4", "folds: 3"), "grid '.': 'folds': 3 is not possible"),
        (("runs_of: small.yaml", "runs_of: stack.yaml"), "'runs_of' is 'stack.yaml', a recipe of stacks itself"),
        (("grids:", "options: {width: 4}\ngrids:"), "'options' has no place in a recipe with 'grids'"),
        (("folds: 4", "stop_share: 1.0"), "grid '.': stop_share is 1.0; it must be at least 0 and below 1"),
        (("folds: 4", "folds: many"), "'folds' is 'many'"),
        (("folds: 4", "models: [ordr]"), "grid '.': 'models': the recipe has no run 'ordr'; did you mean 'order'"),
        (("folds: 4", "models: order"), "'models' is 'order'; it must be a list"),
        (("folds: 4", "fold: 4"), "unknown key 'fold'"),
        (("  .:", "  ../up:"), "grid '../up': names become folders"),
    ],
)
def test_recipes_of_stacks_are_judged_before_anything_is_done(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(RECIPES["small.yaml"])
    (tmp_path / "stack.yaml").write_text(RECIPES["stack.yaml"].replace(*change))
    with chdir(tmp_path), pytest.raises(InputError) as caught:
        read_recipe("stack.yaml")
    assert message in str(caught.value)
