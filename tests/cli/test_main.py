import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from twinrank.benchmark.mnist import Mnist
from twinrank.core.files import sha256
from twinrank.evaluation.metrics_record import rows_in_words

Call = Callable[..., subprocess.CompletedProcess[str]]

SMALL = [
    part
    for change in (
        "benchmark={severity: 0, pairs_train: 256, pairs_val: 64, pairs_public: 40, pairs_private: 60}",
        "train.epochs=2",
        "train.batch_size=32",
        "options={width: 4}",
    )
    for part in ("--set", change)
]


@pytest.fixture(scope="module")
def done(mnist: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small recipe has been run."""
    from twinrank.cli.main import main

    folder, printed = tmp_path_factory.mktemp("user"), io.StringIO()
    with chdir(folder), redirect_stdout(printed):
        main(["run", "demo", *SMALL, "--threads", "1"])
    assert "accuracy" in printed.getvalue()
    return folder


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("twinrank: error: ")
    return result.stderr


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    from twinrank.cli.main import main

    main(["--version"])
    assert capsys.readouterr().out == f"twinrank {version('twinrank')}\n"


def test_a_stop_before_the_command_runs_has_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from twinrank.__main__ import run

    class Stopped(MetaPathFinder):
        def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
            if fullname == "twinrank.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "twinrank.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Stopped(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        run()
    assert (stopped.value.code, capsys.readouterr().err) == (130, "twinrank: stopped; run the same command again\n")


def test_a_recipe_leaves_everything(done: Path) -> None:
    run = done / "runs" / "demo"
    for name in ("config.json", "history.jsonl", "weights.safetensors", "report.html", "pred_private.csv"):
        assert (run / name).is_file()
    for stem in ("val", "test_public", "test_private"):
        assert (run / "predictions" / f"{stem}.npz").is_file()
    records = {stem: json.loads((run / "metrics" / f"{stem}.json").read_text()) for stem in ("val", "tests")}
    assert records["tests"]["metrics"]["accuracy"]["n"] == 100
    assert "chose the epoch" in rows_in_words(records["val"])
    assert json.loads((run / "config.json").read_text())["track"] == "pairs-only"
    page = (run / "report.html").read_text()
    assert "Latent levels" in page
    assert [step["step"] for step in json.loads((run / "steps.json").read_text())] == [
        *("data", "train", "evaluate", "submit", "report")
    ]


def test_training_was_not_given_a_test_file(done: Path) -> None:
    config = json.loads((done / "runs" / "demo" / "config.json").read_text())
    assert {file["path"] for file in config["data"].values()} == {"data/train.npz", "data/val.npz"}


def test_steps_that_are_done_are_skipped(called: Call, done: Path) -> None:
    result = called("run", "demo", *SMALL, cwd=done)
    assert result.returncode == 0
    assert result.stdout.count("done before") == 5
    submission = done / "runs" / "demo" / "pred_private.csv"
    submission.unlink()
    again = called("run", "demo", *SMALL, cwd=done)
    assert again.stdout.count("done before") == 4
    assert submission.is_file()


def test_a_folder_of_another_run_is_not_overwritten(called: Call, done: Path) -> None:
    other = called("run", "demo", *SMALL, "--set", "train.epochs=3", cwd=done)
    assert "holds a run with other settings; choose another folder with --out" in one_line(other)
    other = called("run", "demo", *SMALL, "--set", "benchmark.severity=1", "--out", "runs/other", cwd=done)
    assert "data: holds another benchmark" in one_line(other)


def test_the_submission_passes_and_is_what_predict_writes(called: Call, done: Path) -> None:
    submission, test = "runs/demo/pred_private.csv", "data/test_private.npz"
    checked = called("submit", "check", submission, "--test", test, cwd=done)
    assert checked.returncode == 0
    assert "60 rows" in checked.stdout
    predicted = called("predict", "--run", "runs/demo", "--data", test, "--out", "again.csv", cwd=done)
    assert predicted.stdout == f"again.csv: 60 labels for {test}\n"
    assert predicted.stderr == ""
    assert (done / "again.csv").read_bytes() == (done / submission).read_bytes()
    one_line(called("submit", "check", submission, "--test", "data/test_public.npz", cwd=done))


def test_another_test_file_gets_its_own_labels(called: Call, done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    other = ["--set", "benchmark.severity_private=1", "--data", "other"]
    assert called("run", "demo", *SMALL, *other, cwd=tmp_path).returncode == 0
    called("predict", "--run", "runs/demo", "--data", "other/test_private.npz", "--out", "again.csv", cwd=tmp_path)
    labels = [(tmp_path / path).read_bytes() for path in ("again.csv", "runs/demo/pred_private.csv")]
    assert labels[0] == labels[1] != (done / "runs" / "demo" / "pred_private.csv").read_bytes()
    other = ["--set", "benchmark.seed=7", "--data", "another"]
    refused = one_line(called("run", "demo", *SMALL, *other, cwd=tmp_path))
    assert "runs/demo: holds a run of other pairs than another/train.npz; choose another folder with --out" in refused


def test_predict_agrees_with_evaluate(done: Path) -> None:
    with np.load(done / "runs/demo/predictions/test_private.npz") as stored:
        decided = dict(zip(stored["id"].tolist(), (stored["logit"] > 0).astype(int).tolist(), strict=True))
    lines = (done / "runs/demo/pred_private.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0]: int(row.split(",")[1]) for row in lines} == decided


def test_evaluating_a_training_file_is_marked_in_sample(called: Call, done: Path) -> None:
    result = called("evaluate", "runs/demo", "data/train.npz", cwd=done)
    assert result.returncode == 0
    assert "fitted to: an in-sample number" in result.stdout
    (done / "runs/demo/predictions/train.npz").unlink()
    (done / "runs/demo/metrics/train.json").unlink()


def test_nothing_of_another_kind_is_overwritten(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twinrank.cli.main import main

    run, test = done / "runs" / "demo", done / "data" / "test_private.npz"
    before = sha256(test), sha256(run / "weights.safetensors")
    for arguments in (
        ["predict", "--run", str(run), "--data", str(test), "--out", str(test)],
        ["data", "show", str(test), "--out", str(test)],
        ["report", str(run), "--out", str(run / "weights.safetensors")],
        ["data", "show", str(test), "--out", str(done / "sheet.png"), "--seed", "-1"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert (sha256(test), sha256(run / "weights.safetensors")) == before


def test_data_can_be_made_checked_and_shown(called: Call, mnist: Mnist, tmp_path: Path) -> None:
    made = called(
        *("data", "make", "--out", "d", "--splits", "val,test_public", "--pairs_val", "30", "--pairs-public", "20"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    assert {path.name for path in (tmp_path / "d").iterdir()} == {
        *("val.npz", "test_public.npz", "test_public_labels.csv", "meta.json")
    }
    before = sha256(tmp_path / "d" / "val.npz")
    other = called("data", "make", "--out", "d", "--splits", "val", "--seed", "1", "--severity-val", "2", cwd=tmp_path)
    assert one_line(other) == (
        "twinrank: error: d: holds another benchmark (seed is 42, not 1; severity.val is 6, not 2; val.npz has"
        " 30 pairs, not 10,000); choose another folder with --out, or remove this one\n"
    )
    assert sha256(tmp_path / "d" / "val.npz") == before
    checked = called("data", "check", "d/val.npz", "d/test_public.npz", cwd=tmp_path)
    assert checked.returncode == 0
    assert "30 pairs of 28 x 28 grey uint8" in checked.stdout
    shown = called("data", "show", "d/val.npz", "--out", "sheet.png", cwd=tmp_path)
    assert shown.returncode == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_fresh_pairs_are_written_and_never_beside_a_benchmark(called: Call, mnist: Mnist, tmp_path: Path) -> None:
    made = called("data", "fresh", "--out", "d/fresh.npz", "--pairs", "50", "--seed", "3", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("d/fresh.npz: 50 pairs of the open track\n")
    assert "50 pairs of 28 x 28 grey uint8" in called("data", "check", "d/fresh.npz", cwd=tmp_path).stdout
    (tmp_path / "d" / "meta.json").write_text("{}")
    refused = called("data", "fresh", "--out", "d/train.npz", "--pairs", "50", cwd=tmp_path)
    assert "d/train.npz: the folder holds a benchmark" in one_line(refused)
    assert not (tmp_path / "d" / "train.npz").exists()


def test_models_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from twinrank.cli.main import main
    from twinrank.models import profile

    # Both forms show the same, which takes long to find.
    monkeypatch.setattr(profile, "describe_models", cache(profile.describe_models))
    main(["models"])
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split()[1:4] for line in lines[1:-2]}
    main(["models", "--json"])
    described = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in described] == list(listed)
    assert listed["compare_net"][:2] == ["1", "175,681"]
    assert listed["order_net"][:2] == ["ours", "304,622"]
    for model in described:
        assert {"name", "stage", "parameters", "macs", "source"} <= model.keys()
        assert listed[model["name"]][2] == f"{model['macs']:,}"


def test_one_model_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    from twinrank.cli.main import main

    main(["models", "order_net"])
    page = capsys.readouterr().out
    assert page.startswith("order_net: A small residual tower with a latent order head")
    assert re.search(r"^  parameters +304,622$", page, re.MULTILINE)
    assert re.search(r"^  levels +10$", page, re.MULTILINE)
    assert re.search(r"^  optimizer +muon$", page, re.MULTILINE)
    main(["models", "order_net", "--json"])
    assert [model["name"] for model in json.loads(capsys.readouterr().out)] == ["order_net"]
