"""Exported networks: the same predictions without torch, a check, a model card."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import RECORDED
from tests.reporting.browser import CHROMIUM, KEY, PLAYED, Browser

import twinrank as tr
from twinrank.cli.main import main
from twinrank.core.files import write_json, write_npz
from twinrank.data.images.reading import Reading
from twinrank.data.judgements import load_pairs
from twinrank.data.pool import pool_of
from twinrank.ensembling.fitted import Linear
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.metrics import log_loss
from twinrank.exporting import check as checking
from twinrank.exporting import quantise as quantising
from twinrank.exporting.card import model_card
from twinrank.exporting.web_runtime import web_runtime
from twinrank.inference.blocks import steady_blocks
from twinrank.inference.exported import EXPORTED, ExportedNetwork
from twinrank.inference.form import ImageForm
from twinrank.inference.load import load_predictor, unknown_use
from twinrank.inference.network import Network
from twinrank.inference.predict import image_features
from twinrank.inference.scored_files import score_files
from twinrank.inference.simple_feature import compared_with_rule
from twinrank.models.registry import entry
from twinrank.runs import FIT, FITTED, RunFolder
from twinrank.serving.models import Model
from twinrank.workflows.export import Export, export
from twinrank.workflows.rank import score_images

Called = Callable[..., subprocess.CompletedProcess[str]]
WITHOUT_TORCH = """
import importlib.abc, sys
class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "sklearn", "lightgbm", "matplotlib"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
import numpy as np, twinrank as tr
pairs = tr.load_pairs(sys.argv[2])
print(tr.load_predictor(sys.argv[1]).predict_proba(pairs)[:, 1].tolist())
"""


def test_it_predicts_as_the_run_does(run: RunFolder, exported: Export, benchmark_folder: Path) -> None:
    network, made, data = Network(run), ExportedNetwork(exported.out), load_pairs(benchmark_folder / "val.npz")
    network.model.precision = "float32"
    (logit, levels), expected = made.logits_and_levels(data), network.predictions(data)
    assert expected.logit.std() > 0.1
    np.testing.assert_allclose(logit, expected.logit, atol=1e-4)
    others = expected.levels, network.ties(expected.logit), network.calibrated(expected.logit)
    for own, other in zip((levels, made.ties(logit), made.calibrated(logit)), others, strict=True):
        assert own is not None
        assert other is not None
        np.testing.assert_allclose(own, other, atol=1e-3)
    np.testing.assert_allclose(made.scores(data.images), network.scores(data.images), atol=1e-2)
    some, views = np.array([3, 1]), image_features(network.model, data.images, np.array([3, 1]))
    np.testing.assert_allclose(made.image_features(data.images, some), views, atol=1e-3)
    pool = pool_of(data, 5)
    np.testing.assert_allclose(made.tournament(pool), network.tournament(pool), atol=1e-4)
    np.testing.assert_array_equal(made.tournament(pool), -made.tournament(pool).T)
    assert (made.track, made.used_in_training) == (network.track, network.used_in_training)
    assert made.form.shape == network.form.shape


def test_a_pair_has_the_same_bits_whatever_it_is_batched_with(exported: Export, benchmark_folder: Path) -> None:
    made, data = ExportedNetwork(exported.out, threads=1), load_pairs(benchmark_folder / "val.npz")
    with steady_blocks():
        together = made.logits(data)
        alone = [made.logits(data.select(np.array([row]))) for row in (0, 7, 90)]
    np.testing.assert_array_equal(np.concatenate(alone), together[[0, 7, 90]])


def test_it_needs_no_torch(exported: Export, benchmark_folder: Path) -> None:
    file = benchmark_folder / "val.npz"
    command = [sys.executable, "-c", WITHOUT_TORCH, exported.out, file]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == tr.load_predictor(exported.out, threads=1).predict_proba(file)[:, 1].tolist()


def test_the_check_and_the_card_say_what_was_found(exported: Export) -> None:
    found = exported.check
    assert found is not None
    assert found["largest_difference"] < 1e-4
    assert found["accuracy"]["torch"] == found["accuracy"]["onnx"]
    assert json.loads(exported.out.with_suffix(".json").read_text()) == found
    assert ExportedNetwork(exported.out).form.question == "Which digit is greater?"
    card = exported.card.read_text()
    assert "> Which digit is greater?\n" in card
    for part in ("## Data", "## Figures", "## Limits", "## Licence", "1 x 28", "largest difference", "SHA-256 val"):
        assert part.replace("1 x 28", "28 x 28") in card
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    for text, name in ((card, "digits.onnx"), (page, "model.onnx")):
        exec(text.split("```python\n")[1].split("```")[0].replace(name, str(exported.out)), {})


def test_the_card_of_a_fit_has_its_held_out_figures(run: RunFolder, tmp_path: Path) -> None:
    kept = RunFolder(tmp_path / FITTED)
    shutil.copytree(run.path, kept.path)
    estimate = {"value": 0.75, "low": 0.7, "high": 0.8, "n": 18, "interval": "Wilson 95%"}
    record = {"data": {"path": "t.csv", "sha256": "t", "n": 19}, "used": [], "confusion": [[9, 0], [0, 9]]}
    write_json(tmp_path / FIT, {"test": record | {"metrics": {"accuracy": estimate}}})
    form = ImageForm("x", (3, 8, 8), Reading(size=(8, 8), channels=3))
    card = model_card("x", "x", [kept.path], form, None)
    assert "| model | test | accuracy | 75.00% | 70.00–80.00 | 18 |" in card
    assert "`twinrank fit` held them out" in card
    assert "None" not in card


@pytest.mark.usefixtures("copied")
def test_nothing_is_kept_where_predictions_differ(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "TOLERANCE", -1)
    with pytest.raises(InputError, match="nothing is kept"):
        export([run.path], tmp_path / "x.onnx")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("copied")
def test_a_mean_and_a_stack_are_folders(
    run: RunFolder, exported: Export, benchmark_folder: Path, tmp_path: Path
) -> None:
    data = load_pairs(benchmark_folder / "val.npz")
    expected = ExportedNetwork(exported.out).logits(data)
    made = {"kind": "mean", "networks": {"a": ["a.onnx"], "b": ["b.onnx"]}}
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copyfile(exported.out, folder / f"{name}.onnx")
    (folder / EXPORTED).write_text(json.dumps(made))
    np.testing.assert_allclose(load_predictor(folder).logits(data), expected, atol=1e-6)
    about = dict.fromkeys(("model", "ledger_sha256", "learners_sha256", "trained_on", "stacked"), "x")
    fitted = Linear("logit", np.array([0.25, 0.5])).state()
    stack = made | {"kind": "stack", "fitted": fitted, "about": about | {"track": "open"}}
    (folder / EXPORTED).write_text(json.dumps(stack))
    predictor = load_predictor(folder)
    np.testing.assert_allclose(predictor.logits(data), 0.75 * expected.astype(float), atol=1e-5)
    assert unknown_use([folder], predictor, "so") == [f"{folder}: does not know the images of its training; so"]
    (folder / EXPORTED).write_text(json.dumps(made | {"networks": {"a": ["../a.onnx"]}}))
    with pytest.raises(InputError, match="no file of this folder"):
        load_predictor(folder)


@pytest.mark.usefixtures("copied")
def test_the_command_exports_a_mean_and_a_stack(
    run: RunFolder,
    other: RunFolder,
    exported: Export,
    stack_folder: StackFolder,
    benchmark_folder: Path,
    tmp_path: Path,
    called: Called,
) -> None:
    data = load_pairs(benchmark_folder / "val.npz")
    expected = ExportedNetwork(exported.out).logits(data)
    done = called("export", run.path, cwd=tmp_path)
    assert {*done.stdout.splitlines()} >= {"model.onnx", "model.md"}
    for name, given in (("mean", f"{run.path},{other.path}"), ("several", stack_folder.path)):
        done = called("export", given, "--out", name, "--check", data.path, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{name}\n{name}/README.md\n" in done.stdout
        assert len([*(tmp_path / name).glob("*.onnx")]) == 2
        # The ensemble of the stack scales the mean.
        logit = load_predictor(tmp_path / name).logits(data)
        np.testing.assert_allclose(logit / logit.std(), expected / expected.std(), atol=1e-3)


@pytest.mark.usefixtures("copied")
def test_the_command_exports_in_8_bits(
    run: RunFolder,
    exported: Export,
    benchmark_folder: Path,
    tmp_path: Path,
    called: Called,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantising, "CALIBRATED", 4)
    monkeypatch.setattr(checking, "INT8_LOSS", 1)
    done = called("export", run.path, "--int8", "--out", "small.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made, data = ExportedNetwork(tmp_path / "small.onnx"), load_pairs(benchmark_folder / "val.npz")
    assert made.record["arithmetic"] == "int8"
    logit, expected = made.logits(data), ExportedNetwork(exported.out).logits(data)
    assert np.abs(logit - expected).max() > 0
    assert np.corrcoef(logit, expected)[0, 1] > 0.9
    monkeypatch.setattr(checking, "INT8_LOSS", -1)
    done = called("export", run.path, "--int8", "--out", "x.onnx", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "x.onnx").exists()) == (2, False)
    assert "8 bits lose" in done.stderr


def test_safetensors_are_a_folder_that_is_read_like_the_run(
    run: RunFolder, benchmark_folder: Path, tmp_path: Path, called: Called
) -> None:
    assert called("export", run.path, "--format", "safetensors", "--out", "kept", cwd=tmp_path).returncode == 0
    made, data = tmp_path / "kept", load_pairs(benchmark_folder / "val.npz")
    np.testing.assert_array_equal(load_predictor(made).logits(data), load_predictor(run.path).logits(data))
    assert entry(f"run:{made}").name == "order_net"
    with pytest.raises(InputError, match="is there already"):
        export([run.path], tmp_path / "kept", format="safetensors")


def test_commands_take_the_file(
    exported: Export, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_pairs(benchmark_folder / "val.npz")
    main(["predict", "--run", str(exported.out), "--data", str(data.path), "--out", str(tmp_path / "p.csv")])
    assert "training" not in capsys.readouterr().out
    main(["evaluate", str(exported.out), str(data.path)])
    assert "accuracy" in capsys.readouterr().out
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 97
    scored = score_images([exported.out], data.images)
    assert (len(scored.names), scored.used.any()) == (192, False)


def test_the_file_knows_its_training_as_the_run_does(
    run: RunFolder, exported: Export, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The same pairs in another file.
    train, again = load_pairs(benchmark_folder / "train.npz"), tmp_path / "again.npz"
    np.savez(again, **np.load(train.path))
    main(["predict", "--run", str(exported.out), "--data", str(again), "--out", str(tmp_path / "p.csv")])
    assert f"training used both images of {len(train)} of {len(train)} pairs" in capsys.readouterr().out
    for predictor in (exported.out, run.path):
        main(["evaluate", str(predictor), str(again)])
        assert "which the network was fitted to: an in-sample number" in capsys.readouterr().out
    scored = score_images([exported.out], train.images)
    assert scored.used.all()
    assert any(f"training used {2 * len(train)} images here" in note for note in scored.notes)


def test_the_file_is_compared_with_the_simple_rule_of_the_run(
    run: RunFolder, exported: Export, benchmark_folder: Path
) -> None:
    data = load_pairs(benchmark_folder / "val.npz")
    (record,) = score_files(load_predictor(exported.out), [data.path])
    expected = compared_with_rule(run, data, Network(run).logits(data))
    assert record["simple"] == {key: value for key, value in expected.items() if key != "warning"}
    assert any("one simple feature: 'mean' alone (more ranks higher)" in line for line in record["warnings"])


def test_ties_count_as_they_do_for_the_run(
    run: RunFolder, exported: Export, benchmark_folder: Path, tmp_path: Path
) -> None:
    data = load_pairs(benchmark_folder / "val.npz")
    assert data.y is not None
    arrays = {"images": np.concatenate([data.xa, data.xb]), "left": np.arange(96), "right": np.arange(96, 192)}
    write_npz(tmp_path / "ties.npz", arrays | {"y": data.y, "tie": np.arange(96) % 4 == 0})
    (record,) = score_files(load_predictor(exported.out), [tmp_path / "ties.npz"])
    network, ties = Network(run), load_pairs(tmp_path / "ties.npz")
    assert ties.y is not None
    logit = network.calibrated(network.logits(ties))
    assert logit is not None
    expected = log_loss(ties.y, logit, tie=ties.tie, weight=ties.weight, nu=network.nu)
    assert record["metrics"]["log_loss"]["value"] == pytest.approx(expected, abs=1e-2)
    assert abs(log_loss(ties.y, logit, tie=ties.tie, weight=ties.weight) - expected) > 0.05


@pytest.fixture
def cached_runtime(users_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-web in the user's cache, where it stays."""
    monkeypatch.setenv("TWINRANK_CACHE", str(users_cache))
    try:
        web_runtime()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.usefixtures("copied", "cached_runtime")
def test_a_page_predicts_as_the_run_does(run: RunFolder, tmp_path: Path, called: Called) -> None:
    done = called("export", run.path, "--format", "web", "--out", "page", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"index.html", "README.md", "check.json"}
    assert "Open index.html" in (tmp_path / "page" / "README.md").read_text()
    with Browser(tmp_path) as browser:
        browser.open(tmp_path / "page" / "index.html", 380)
        found = [browser.run(PLAYED)]
        for side, key in (("left", "3"), ("right", "5")):
            browser.run(KEY % (side, key))
            found.append(browser.run(PLAYED))
        images = browser.run("['left', 'right'].map((side) => [...sides[side].content.pixels])")
        browser.run("at('swap').click()")
        back = browser.run(PLAYED)
        browser.run("explain()")
        assert browser.run("at('looked').textContent").startswith("Blue speaks for an image")
        assert browser.run("document.documentElement.scrollWidth") == 380
        assert browser.problems == []
    assert len({each["probability"] for each in found}) == 3
    there = found[-1]
    assert back["probability"] == 1 - there["probability"]
    assert (back["logit"], back["tie"]) == (-there["logit"], there["tie"])
    assert back["levels"] == {"left": there["levels"]["right"], "right": there["levels"]["left"]}
    network = Network(run)
    network.model.precision = "float32"
    model = Model("run", network)
    expected = model.compare(np.array(images, np.uint8).reshape(2, 1, 28, 28), np.array([0]), np.array([1]))
    assert expected.tie is not None
    assert expected.levels is not None
    assert there["probability"] == pytest.approx(expected.probability[0], abs=1e-5)
    assert there["tie"] == pytest.approx(expected.tie[0], abs=1e-5)
    np.testing.assert_allclose([*there["levels"].values()], expected.levels[0], atol=1e-4)


def test_a_runtime_that_cannot_be_had_is_one_line(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = called("export", run.path, "--format", "web", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be had (npm is not installed)" in done.stderr
    assert [*tmp_path.iterdir()] == []


REFUSED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "garbage": (lambda run, folder: ExportedNetwork(_file(folder / "x.onnx", b"garbage")), "damaged"),
    "no weights": (lambda run, folder: export([_run(folder)], folder / "x.onnx"), "no weights"),
    "ending": (lambda run, folder: export([run], folder / "x.bin"), "ends in .onnx"),
    "int8": (lambda run, folder: export([run], folder / "x", format="safetensors", int8=True), "for `format` onnx"),
    "web": (lambda run, folder: export([run, folder], folder / "x", format="web"), "one network"),
    "others' file": (lambda run, folder: export([run], _file(folder / "n.onnx", b"x")), "has not written it"),
    "others' card": (lambda run, folder: export([run], _file(folder / "x.md", b"x").with_suffix(".onnx")), "x.md"),
    "several": (lambda run, folder: export([run, folder], folder / "x", format="safetensors"), "one run"),
    "no labels": (lambda run, folder: export([run], folder / "x.onnx", check_file=_pairs(folder)), "no labels"),
}


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _run(folder: Path) -> Path:
    RunFolder(folder / "run").create(RECORDED)
    return folder / "run"


def _pairs(folder: Path) -> Path:
    images = np.zeros((2, 28, 28), np.uint8)
    np.savez(folder / "p.npz", xa=images, xb=images + 1, id=["a", "b"])
    return folder / "p.npz"


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported_is_refused(case: str, run: RunFolder, tmp_path: Path) -> None:
    call, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        call(run.path, tmp_path)
    assert not (tmp_path / "x.onnx").exists() or case == "garbage"
