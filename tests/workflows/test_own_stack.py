"""Stacks of anyone's data: connected rows, votes, one-sided labels, files that are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.workflows.test_grid import in_process

from twinrank.cli.main import main
from twinrank.config import GridSpec, Mode, RunSpec
from twinrank.core.context import Context
from twinrank.data.judgements import load_pairs
from twinrank.ensembling.learners import LEARNERS
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.train import train as training
from twinrank.workflows import audit as auditing
from twinrank.workflows import grid as stacking
from twinrank.workflows import stack as making
from twinrank.workflows.audit import audit
from twinrank.workflows.grid import fill_ledger
from twinrank.workflows.own_files import OwnFiles
from twinrank.workflows.recipe import read_recipe
from twinrank.workflows.run import run_recipe
from twinrank.workflows.stack import finish_stack, make_stack
from twinrank.workflows.verify import verify

TINY = {"epochs": 1, "batch_size": 64, "lr": 1e-2}
RUNS = {
    name: RunSpec("compare_net", entry("compare_net").train.__class__(**TINY, seed=seed), options)
    for name, seed, options in (("both", 1, {}), ("sides", 2, {"antisymmetric": False}))
}
CHEAP = {name: LEARNERS[name] for name in ("mean_logit", "logistic_regression")}
"""Meta-learners whose fit takes no longer than a moment."""


def images_of(random: np.random.Generator, count: int) -> np.ndarray:
    """Noisy images by brightness, which is what decides."""
    level = np.linspace(40, 200, count)[:, None, None, None]
    return np.clip(level + random.normal(0, 20, (count, 1, 12, 12)), 0, 255).astype(np.uint8)


def write(path: Path, rows: int, images: int, seed: int, **changes: object) -> Path:
    """Comparisons of random images by brightness; with ``sorted_sides``, the winner is always on the left."""
    random = np.random.default_rng(seed)
    x = images_of(random, images)
    sides = np.stack([random.choice(images, 2, replace=False) for _ in range(rows)])
    y = (sides[:, 0] > sides[:, 1]).astype(np.int8)
    if changes.pop("sorted_sides", False):
        sides = np.where(y[:, None] == 1, sides, sides[:, ::-1])
        y = np.ones(rows, np.int8)
    arrays = {"xa": x[sides[:, 0]], "xb": x[sides[:, 1]], "y": y} | changes
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def filled(
    folder: Path, mode: Mode, train: Path, val: Path | None = None, tests: tuple[Path, ...] = (), models: str = "both"
) -> list[str]:
    lines: list[str] = []
    grid = GridSpec(mode, {name: RUNS[name] for name in models.split(",")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "run_jobs", in_process)
        assert fill_ledger(grid, folder, train, val, tests, context=Context(lines.append)) == {}
    return lines


@pytest.fixture(scope="module")
def oof(tmp_path_factory: pytest.TempPathFactory) -> tuple[StackFolder, list[str]]:
    """A stack of 500 comparisons of 80 images, the winner always on the left, without tests."""
    folder = tmp_path_factory.mktemp("own")
    train = write(folder / "mine.npz", 500, 80, 0, sorted_sides=True)
    lines = filled(folder / "grid", "oof", train, models="both,sides")
    stack = StackFolder(folder / "grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "LEARNERS", CHEAP)
        make_stack(stack.path, stack)
    finish_stack(stack)
    return stack, lines


def test_connected_rows_are_predicted_by_networks_that_saw_neither_image(oof: tuple[StackFolder, list[str]]) -> None:
    stack, lines = oof
    assert any("each of 7 leaves out 3 of 7 parts of the images" in line for line in lines), lines
    ledger = Ledger(stack.path / "ledger")
    matrix, data = ledger.read(), load_pairs(stack.path.parent / "mine.npz")
    codes, sizes = data.image_codes, np.bincount(matrix.fold)
    assert sizes.sum() == 500, "no row is lost"
    assert sizes.max() <= 1.25 * sizes.min()
    for cell in ledger.cells("both"):
        given = RunFolder(ledger.weights(cell)).read_config()["data"]
        ids = np.concatenate([load_pairs(Path(file["path"])).row_ids for file in given.values()]).astype(int)
        assert not np.intersect1d(codes[ids], codes[matrix.fold == cell.fold]).size


def test_a_winner_that_is_always_left_is_stacked_by_mirroring(oof: tuple[StackFolder, list[str]]) -> None:
    stack, lines = oof
    assert any(line.endswith("every label is 1, so a random half of the rows is mirrored") for line in lines), lines
    assert any(line.startswith("sides: every label is 1, and the network sees sides") for line in lines), lines
    matrix = Ledger(stack.path / "ledger").read()
    assert matrix.rows.y.mean() == 0.5
    assert RunFolder(stack.path / "cells" / "sides.fold0").read_config()["train"]["swap"]
    assert "sides were uneven, so 250 rows are mirrored" in stack.report.read_text()


def test_a_stack_without_tests_has_all_the_rest(oof: tuple[StackFolder, list[str]]) -> None:
    stack, _ = oof
    board = json.loads((stack.path / "leaderboard.json").read_text())
    assert {"mine"} == {key for key, value in board[0].items() if isinstance(value, dict)}
    page = stack.report.read_text()
    assert "folds are made of images" in page
    assert "There are no tests" in page
    assert "bootstrap over images" in page
    for benchmark in ("the guide's stacking", "digits"):
        assert benchmark not in page + (stack.path / "leaderboard.md").read_text()
    assert not list(stack.path.glob("pred_*.csv"))
    verify(stack.path)


def test_its_audit_looks_at_images(oof: tuple[StackFolder, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    stack, _ = oof
    monkeypatch.setattr(stacking, "run_jobs", in_process)
    monkeypatch.setattr(auditing, "_TINY", auditing._TINY | {"epochs": 1})
    checks = audit(stack)
    assert [check.name for check in checks][-1] == "images of the folds"
    assert all(check.passed for check in checks), "\n".join(map(str, checks))
    matrix = Ledger(stack.path / "ledger").read()
    leaky = auditing.replace(matrix, fold=np.arange(500) % 7)
    assert not auditing.check_images(leaky, load_pairs(stack.path.parent / "mine.npz")).passed


def test_val_is_stacked_with_a_test_of_any_name(tmp_path: Path) -> None:
    train, val = write(tmp_path / "train.npz", 200, 30, 0), write(tmp_path / "val.npz", 120, 40, 1)
    test = write(tmp_path / "tests.npz", 60, 20, 2)
    lines = filled(tmp_path / "grid", "holdout", train, val, (test,))
    matrix = Ledger(tmp_path / "grid" / "ledger").read()
    assert list(matrix.tests) == ["tests_file"], "'tests' stands for all of them together"
    assert matrix.rows.images is not None
    assert matrix.apart is not None
    stack = StackFolder(tmp_path / "grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "LEARNERS", CHEAP)
        make_stack(stack.path, stack)
    board = json.loads((stack.path / "leaderboard.json").read_text())
    assert (board[0]["val"]["n"], board[0]["tests_file"]["n"]) == (120, 60)
    assert (stack.path / "pred_tests_file.csv").is_file()
    assert sum("folds are made of images" in line for line in lines) == 2


def test_files_that_cannot_be_stacked_are_refused_before_anything(tmp_path: Path) -> None:
    train, other = write(tmp_path / "a.npz", 200, 30, 0), write(tmp_path / "b.npz", 90, 30, 1)
    with np.load(train) as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "part.npz", **{key: values[50:90] for key, values in arrays.items()})
    np.savez(tmp_path / "bare.npz", xa=arrays["xa"][:, :, :8], xb=arrays["xb"][:, :, :8], id=np.arange(200))
    np.savez(tmp_path / "small.npz", **arrays | {"xa": arrays["xa"][:, :, :8], "xb": arrays["xb"][:, :, :8]})
    few = write(tmp_path / "few.npz", 60, 6, 2)
    random, sides = np.random.default_rng(5), np.arange(200).reshape(2, 100)
    tied = {"images": images_of(random, 200), "left": sides[0], "right": sides[1], "y": np.ones(100)}
    np.savez(tmp_path / "ties.npz", **tied, tie=np.arange(100) > 0)
    ties = tmp_path / "ties.npz"
    tied = {key: values[100:] if key == "images" else values[:50] for key, values in tied.items()}
    tied |= {"left": np.arange(50), "right": np.arange(50, 100)}
    np.savez(tmp_path / "undecided.npz", **tied, tie=np.arange(50) > 1)
    undecided = tmp_path / "undecided.npz"
    scarce = write(tmp_path / "scarce.npz", 40, 60, 0)
    part, bare, small = (tmp_path / f"{name}.npz" for name in ("part", "bare", "small"))
    cases: tuple[tuple[Mode, tuple[Path, Path | None, tuple[Path, ...]], str], ...] = (
        ("holdout", (train, None, ()), "`val` is missing"),
        ("oof", (train, None, (part,)), r"part\.npz: 40 rows compare images that .*a\.npz compares, too"),
        ("holdout", (train, other, (other,)), r"the same pairs as .*b\.npz"),
        ("holdout", (train, bare, ()), r"bare\.npz: no labels"),
        ("holdout", (train, small, ()), r"small\.npz: images of 1 x 8 x 12, but those of .*a\.npz are 1 x 12 x 12"),
        ("oof", (few, None, ()), "6 images are too few for 7 folds"),
        ("oof", (scarce, None, ()), r"1 of 40 rows to choose epochs on where fold 0 is left out \(1 decided\)"),
        ("holdout", (train, undecided, ()), r"undecided\.npz: 2 rows are decided, too few to fit meta-learners on"),
        ("holdout", (ties, other, ()), r"of 100 rows to (fit|choose epochs on) \(0 decided\).*not ties alone"),
    )
    for mode, given, message in cases:
        with pytest.raises(InputError, match=message) as found:
            filled(tmp_path / "grid", mode, *given)
        assert str(found.value).count("\n") == 0
        assert not (tmp_path / "grid").exists()


def test_a_recipe_runs_on_own_files(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("{model: compare_net, train: {epochs: 1, batch_size: 64}}")
    train, val, test = (write(tmp_path / f"{name}.npz", 60, 20, seed) for seed, name in enumerate(("a", "b", "c")))
    flags = "--train", str(train), "--val", str(val), "--test", str(test)
    main(["run", str(tmp_path / "tiny.yaml"), *flags, "--out", str(tmp_path / "run")])
    assert {path.stem for path in (tmp_path / "run" / "metrics").iterdir()} == {"b", "c"}
    assert (tmp_path / "run" / "pred_c.csv").is_file()
    assert "the guide's" not in (tmp_path / "run" / "report.html").read_text()
    unlike = write(tmp_path / "d.npz", 60, 20, 4)
    for files in (OwnFiles(unlike, val), OwnFiles(train, unlike)):
        with pytest.raises(InputError, match=r"run: holds a run of other pairs than .*d\.npz; choose another folder"):
            run_recipe(read_recipe(str(tmp_path / "tiny.yaml")), tmp_path / "run", tmp_path, files)
    with pytest.raises(InputError, match="`val` is missing: the recipe needs it"):
        run_recipe(read_recipe(str(tmp_path / "tiny.yaml")), tmp_path / "other", tmp_path / "none", OwnFiles(train))


def test_tests_that_a_source_was_trained_on_are_not_pooled(tmp_path: Path) -> None:
    """The network begins with the weights of a run whose epoch one of the tests has chosen."""
    train, val, used, test = (write(tmp_path / f"{name}.npz", 60, 20, seed) for seed, name in enumerate("abcd"))
    source = training(RUNS["both"], train, used, tmp_path / "source", context=Context(threads=1)).path
    (tmp_path / "tiny.yaml").write_text(f"{{model: 'run:{source}', train: {{epochs: 1, batch_size: 64}}}}")
    files = OwnFiles(train, val, (used, test))
    for expected in ("evaluate ...", "evaluate: done before"):
        said: list[str] = []
        context = Context(said.append, threads=1)
        run_recipe(read_recipe(str(tmp_path / "tiny.yaml")), tmp_path / "run", tmp_path, files, context=context)
        assert any(line.startswith(expected) for line in said)
    assert {path.stem for path in (tmp_path / "run" / "metrics").iterdir()} == {"b", "c", "d"}
