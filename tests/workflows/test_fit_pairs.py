"""From pairs of arrays to a network that was trained by epochs, without an option."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import twinrank as tr
from twinrank.cli.main import main
from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.data.formats.selection import Selection, write_selection
from twinrank.data.images.reading import Reading
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.jobs import Begin, Job
from twinrank.workflows import fit_epochs, fit_plan, fit_trials
from twinrank.workflows.fit import fit
from twinrank.workflows.fit_epochs import Paced, paced, train_until
from twinrank.workflows.fit_folds import Folded
from twinrank.workflows.fit_judged import HeldOut, compared
from twinrank.workflows.fit_parts import divided_into_parts
from twinrank.workflows.fit_plan import Candidate
from twinrank.workflows.fit_trials import Trials

SIZE, PAIRS = 8, 240


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch of a narrow network, on few pairs."""
    monkeypatch.setattr(fit_plan, "_WIDTHS", (2,))
    monkeypatch.setattr(fit_plan, "_LEAST_TRAIN", 40)
    monkeypatch.setattr(fit_plan, "LEAST_VAL", 5)
    monkeypatch.setattr(fit_plan, "_MANY", 100)
    for name in ("_MOST_EPOCHS", "_LEAST_EPOCHS"):
        monkeypatch.setattr(fit_epochs, name, 1)
    monkeypatch.setattr(fit_plan, "affordable", lambda *_: None)


def images_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE), np.uint8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    xa, xb = images_of(2 * PAIRS).reshape(2, PAIRS, SIZE, SIZE)
    np.savez(path, xa=xa, xb=xb, y=(xa.mean((1, 2)) > xb.mean((1, 2))).astype(np.int8))
    return path


def test_one_command_trains_from_pairs(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "fit"
    command = ["fit", str(pairs), "--out", str(out), "--minutes", "0"]
    main(command)
    found = json.loads((out / "fit.json").read_text())
    counts = found["judgements"]
    assert (counts["train"], counts["val"], counts["test"]) == (168, 24, 48)
    # There is no time to fit the others, too.
    assert found["model"]["n"] == 168
    assert found["test"]["metrics"]["accuracy"]["n"] == 48
    assert "fitted to 168 of the 240" in found["said"][-1]
    assert (out / "report.html").is_file()
    assert not (out / "ranking.csv").exists()
    assert tr.Run(out).path == out / "model"
    ids = {name: set(load_pairs(out / "split" / f"{name}.rows.npz").row_ids) for name in ("train", "val", "test")}
    assert len(set.union(*ids.values())) == PAIRS
    before = {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    monkeypatch.setattr("twinrank.workflows.fit.report", lambda run, out, found: None)
    main(command)
    assert "done before" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")} == before


def in_this_process(jobs: Sequence[Job], begin: Begin, context: Context) -> dict[str, str]:
    """Train beside each other, but without processes, whose start takes longer."""
    assert context.workers == 2
    for job in jobs:
        begin(job, Context(threads=1))
    return {}


def test_images_that_recur_are_ranked_and_fitted_again_where_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, images = np.random.default_rng(0), images_of(60)
    left, right = np.array([random.choice(60, 2, replace=False) for _ in range(400)]).T
    y = (images.mean((1, 2))[left] > images.mean((1, 2))[right]).astype(np.int8)
    np.savez(tmp_path / "images.npz", images=images, left=left, right=right, y=y)
    monkeypatch.setattr("twinrank.workflows.fit.report", lambda run, out, found: None)
    monkeypatch.setattr("twinrank.workflows.fit_beside.run_jobs", in_this_process)
    fitted = fit(tmp_path / "images.npz", tmp_path / "fit", minutes=1, context=Context(workers=2))
    assert fitted.ranking is not None
    assert len(fitted.ranking.names) == 60
    # All that was not held out is judged by a network that was fitted without its images.
    assert fitted.found["out_of_fold"]["n"] == fitted.found["judgements"]["development"]
    # A tenth chose the epoch.
    assert 0.7 * 400 < fitted.found["model"]["n"] < 400


def test_candidates_are_compared_on_the_same_judgements(pairs: Path, tmp_path: Path) -> None:
    parts = divided_into_parts(pairs, tmp_path, Source(), 0, None)
    assert parts.votes.y is not None
    right = 4 * (2 * parts.votes.y - 1)
    val, development = parts.rows["val"], parts.rows["development"]
    # Right on all but those that judge both.
    head = HeldOut(development, np.where(np.isin(development, val), 0, right[development]))
    losses, rows = compared({Path("arrays"): head, Path("scratch"): HeldOut(val, right[val])}, parts.votes)
    assert rows == len(val)
    assert [round(loss, 2) for loss in losses.values()] == [0.69, 0.02]


def test_what_suits_no_arrays_is_refused(pairs: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "fit", Path(__file__).parent.parent / "typefaces" / "votes.csv"
    np.savez(tmp_path / "unlabelled.npz", xa=images_of(4), xb=images_of(4, 1), id=np.arange(4))
    write_selection(tmp_path / "some.rows.npz", Selection(table, "0" * 64, np.arange(4)))
    sized = Source(reading=Reading(size=16))
    for path, source, groups, message in (
        (pairs, Source(), "patient", "`groups` can name no column"),
        (pairs, sized, None, "`size`, `fit`, `background`, `range` and `page` are for tables"),
        (tmp_path / "unlabelled.npz", Source(), None, "has no outcomes; add key 'y'"),
        (tmp_path / "some.rows.npz", Source(), None, "selects rows of a table"),
    ):
        with pytest.raises(InputError, match=message):
            fit(path, out, source, groups=groups)
    assert not out.exists()


def test_a_selection_is_divided_like_its_rows(pairs: Path, tmp_path: Path) -> None:
    data = load_pairs(pairs)
    write_selection(tmp_path / "some.rows.npz", Selection(pairs, data.sha256, np.arange(0, PAIRS, 2)))
    parts = divided_into_parts(tmp_path / "some.rows.npz", tmp_path / "fit", Source(), 0, None)
    test = load_pairs(parts.part("test"))
    assert len(test) == parts.counts["test"] == 24
    assert all(int(row) % 2 == 0 for row in test.row_ids)


def test_a_training_that_is_too_slow_ends_and_can_go_on(pairs: Path, tmp_path: Path) -> None:
    data, said = load_pairs(pairs), list[str]()
    two = data.select(slice(0, 60)), data.select(slice(60, 80))
    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=2), {"width": 2})
    run = tmp_path / "run"
    train_until(spec, two, run, 0.0, Context(said.append))
    assert "ends after 1 of 2 epochs" in said[-1]
    assert RunFolder(run).weights.is_file()
    assert not finished(run)
    train_until(spec, two, run, math.inf)
    assert finished(run)


def test_little_time_takes_a_cheaper_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, epochs in (("_MOST_EPOCHS", 100), ("_LEAST_EPOCHS", 32)):
        monkeypatch.setattr(fit_epochs, name, epochs)
    monkeypatch.setattr(fit_epochs, "_epoch_seconds", lambda spec, *_: float(spec.options["width"]))
    pairs = Judgements.from_arrays(images_of(50), images_of(50, 1), np.arange(50) % 2)
    narrower = [{"width": 16}, {"width": 8}]
    candidate = Candidate("scratch", "resize", SIZE, "order_net", {"width": 24}, cheaper=narrower)

    def taken(seconds: float) -> tuple[int, int]:
        found = paced(candidate, pairs, pairs.select(slice(0, 1)), seconds, 0, 1)
        return found.candidate.options["width"], found.epochs

    assert taken(1e6) == (24, 100)
    assert taken(24 * 12.0)[0] == 24
    assert taken(24 * 8.0)[0] == 16
    assert taken(8 * 3.0) == (8, 2)
    assert taken(1.0) == (8, 0)


@pytest.mark.parametrize(("epochs", "folds"), [(1, 0), (50, 5)])
def test_a_cross_validation_needs_time(
    epochs: int, folds: int, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_epochs, "_MOST_EPOCHS", 100)
    monkeypatch.setattr(fit_trials, "LEAST_VAL", 5)
    monkeypatch.setattr(fit_trials, "paced", lambda candidate, *_: Paced(candidate, epochs, 1.0))
    monkeypatch.setattr(fit_trials, "train_in_time", lambda *_: False)
    parts = divided_into_parts(pairs, tmp_path, Source(), 0, None)
    plan = fit_plan.from_scratch(Candidate("arrays", "resize", SIZE), SIZE, 9)
    fit_plan.keep_plan(plan, tmp_path)
    work = Trials(parts, plan, tmp_path, 0, Context())
    assert not work.trained_by_epochs(tmp_path / "tried" / "scratch", plan[0], 1e9, 0)
    # A command that goes on does the same.
    assert work.plan == fit_plan.kept_plan(parts, tmp_path, 0.0, Context())
    assert work.plan[0].folds == folds


def test_too_few_images_for_folds_leave_a_network_out(tmp_path: Path) -> None:
    left, right = np.random.default_rng(0).permuted(np.tile(np.arange(40), (400, 1)), axis=1)[:, :2].T
    np.savez(tmp_path / "few.npz", images=images_of(40), left=left, right=right, y=left > right)
    parts, said = divided_into_parts(tmp_path / "few.npz", tmp_path / "fit", Source(), 0, None), list[str]()
    plan = fit_plan.from_scratch(Candidate("arrays", "resize", SIZE), SIZE, 9)
    work = Trials(parts, [replace(plan[0], folds=91)], tmp_path / "fit", 0, Context(said.append))
    assert not work.trained_by_epochs(tmp_path / "fit" / "tried" / "scratch", work.plan[0], 1e9, 0)
    assert "too few" in said[-1]


def test_folds_of_a_table_are_read_like_the_table(tmp_path: Path) -> None:
    folder = Path(__file__).parent.parent / "typefaces"
    source = Source(images=folder / "images", reading=Reading(size=16))
    parts = divided_into_parts(folder / "votes.csv", tmp_path, source, 0, None)
    folded = Folded(parts, "development", 5, parts.source, 0, Context())
    fitted, stop = folded.pairs(0)
    assert fitted.images.shape[1:] == (16, 16)
    assert fitted.path.name == "development_0_fitted.rows.npz"
    assert not set(fitted.row_ids) & set(stop.row_ids)
    cost = folded.cost(tmp_path / "folds", Context(workers=1))
    assert 0 < cost < 7
    assert folded.cost(tmp_path / "folds", Context(workers=100)) == pytest.approx(cost / 7)
