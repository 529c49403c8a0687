import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.conftest import RECORDED
from tests.workflows.test_grid import in_process

from twinrank.cli.main import main
from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.yaml_files import packaged_names
from twinrank.data.images.reading import Reading
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.checks import holds
from twinrank.training.jobs import Job
from twinrank.tuning.search import Search, SharedStudy
from twinrank.tuning.space import SPACES, Range, read_space
from twinrank.workflows import tune as module
from twinrank.workflows.recipe import model_spec
from twinrank.workflows.tune import move_earlier_winner, tune

PAGE = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
TYPEFACES = Path(__file__).parents[1] / "typefaces"
TINY = ["--set", "train.epochs=2", "--set", "train.batch_size=192", "--set", "options.width=4", "--threads", "1"]


def command(data: Path, out: Path, *more: str) -> list[str]:
    files = ["--train", str(data / "train.npz"), "--val", str(data / "val.npz"), "--out", str(out)]
    return ["tune", "order_net", *files, *TINY, *more]


def test_a_search_ends_with_the_winner_and_the_defaults_on_fresh_seeds(
    benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_jobs", in_process)
    arguments = command(benchmark_folder, tmp_path, "--trials", "2", "--retrain-seeds", "7")
    main(arguments)
    output = capsys.readouterr()
    assert "importances.png is left out: it needs 20 completed trials" in output.out
    assert re.search(r"On fresh seeds trial \d is (NOT shown to be )?better than the defaults", output.out)
    summary = json.loads((tmp_path / "study.json").read_text())
    assert [trial["state"] for trial in summary["trials"]] == ["complete"] * 2
    assert summary["space"]["train.lr"] == {"low": 1e-4, "high": 1e-2, "log": True}
    again = summary["retrained"]
    assert again["seeds"] == [7]
    for name, lr in (("winner", summary["best"]["values"]["train.lr"]), ("default", entry("order_net").train.lr)):
        run = RunFolder(tmp_path / f"{name}_seed7")
        assert (run.train_config().lr, run.train_config().seed, run.train_config().epochs) == (lr, 7, 2)
        predictions = Predictions.load(run.predictions("val"))
        assert again["accuracy"][name] == [((predictions.logit > 0) == (predictions.y == 1)).mean()]
    assert again["difference"]["value"] == pytest.approx(
        again["accuracy"]["winner"][0] - again["accuracy"]["default"][0]
    )
    assert again["better"] == (again["difference"]["low"] > 0 and again["by_seed"][0] > 0)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    main(arguments)
    assert capsys.readouterr().out == output.out
    assert json.loads((tmp_path / "study.json").read_text()) == summary
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before
    assert len(before) == 5, "the weights of the best trial, and weights and checkpoint of the two at the end"


def test_a_search_on_tables_reads_all_of_them_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, *lines = (TYPEFACES / "votes.csv").read_text().splitlines(keepends=True)
    for name, rows in (("train", lines[:60]), ("val", lines[60:90]), ("one", lines[:1])):
        (tmp_path / f"{name}.csv").write_text("".join([header, *rows]))
    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=1), {"width": 2})
    source, context = Source(TYPEFACES / "images", reading=Reading(size=16, channels=1)), Context(threads=1)
    train, val, one, out = (tmp_path / name for name in ("train.csv", "val.csv", "one.csv", "search"))
    with pytest.raises(InputError, match=r"one\.csv: has one pair; `val` needs 2 or more"):
        tune(spec, {"train.lr": Range(1e-3, 1e-2)}, train, one, out, source=source, context=context)
    assert not out.exists()
    monkeypatch.setattr(module, "run_jobs", in_process)
    assert tune(spec, {"train.lr": Range(1e-3, 1e-2)}, train, val, out, 1, None, [7], source=source) == {}
    assert json.loads((out / "study.json").read_text())["retrained"]["seeds"] == [7]
    assert RunFolder(out / "winner_seed7").read_config()["image_shape"] == [1, 16, 16]
    assert RunFolder(out / "winner_seed7").predictions("val").is_file()


def test_an_earlier_winner_is_moved_out_of_the_way(benchmark_folder: Path, tmp_path: Path) -> None:
    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=1))
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    search = Search(tmp_path, *files, {}, spec, {"train.lr": Range(1e-3, 1e-2)}, 1)
    study = SharedStudy(search)
    study._study.enqueue_trial({"train.lr": 2e-3})
    study._study.tell(study._study.ask(study._distributions), 0.5)
    earlier = replace(spec.train, lr=2e-3, seed=7)
    model = {"name": "order_net", "options": entry("order_net").options}
    folder = tmp_path / "winner_seed7"
    RunFolder(folder).create(RECORDED | {"model": model, "train": asdict(earlier)})
    lines: list[str] = []
    same = Job(folder, *files, RunSpec("order_net", earlier))
    move_earlier_winner(same, search, study.ranked(), lines.append)
    assert folder.exists()
    move_earlier_winner(replace(same, spec=spec), search, study.ranked(), lines.append)
    assert folder.exists(), "another seed is nobody's earlier winner"
    move_earlier_winner(
        replace(same, spec=RunSpec("order_net", replace(earlier, lr=5e-3))), search, study.ranked(), lines.append
    )
    assert not folder.exists()
    assert holds(RunFolder(tmp_path / "trial0_seed7"), RunSpec("order_net", earlier))
    assert lines == [f"{folder}: is of the earlier winner; moved to {tmp_path / 'trial0_seed7'}"]


def test_a_search_in_which_nothing_is_completed_is_refused(benchmark_folder: Path, tmp_path: Path) -> None:
    train = replace(entry("order_net").train, epochs=1, clip_norm=1e30, warmup=0.0, precision="float32")
    spec, files = (
        RunSpec("order_net", train, {"width": 4}),
        (benchmark_folder / "train.npz", benchmark_folder / "val.npz"),
    )
    with pytest.raises(InputError, match=r"no trial was completed, .*study.json has the reasons; try another `space`"):
        tune(spec, {"train.lr": Range(1e29, 1e30)}, *files, tmp_path, trials=1)
    summary = json.loads((tmp_path / "study.json").read_text())
    assert "not finite" in summary["trials"][0]["reason"]
    assert summary["best"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--trials", "0"], "--trials is 0; use 1 or more"),
        (["--workers", "0"], "--workers is 0; use 1 or more"),
        (["--threads", "0"], " is 0; use 1 to 1024"),
        (["--retrain-seeds", "1,x"], "--retrain-seeds: '1,x' is not possible; write whole numbers"),
        (["--retrain-seeds", "1,42"], ": 42 is the seed of the search; give others"),
        (["--space", "none"], "space 'none' does not exist; choose guide, order_net"),
        (["--set", "benchmark.severity=1"], "--set benchmark.severity=1: write train.KEY=value or options.KEY=value"),
        (["--set", "train.epochs=0"], "epochs is 0; it must be at least 1"),
        (["--val", "missing.npz"], "missing.npz"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command(benchmark_folder, tmp_path / "out", *more))
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_network_that_no_memory_holds_leaves_no_search(
    benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinrank.core.memory.available_memory", lambda: 24 << 30)
    with pytest.raises(SystemExit):
        main(command(benchmark_folder, tmp_path / "out", "--set", "options.width=4096"))
    assert "parameters, whose training needs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_page_has_every_space_and_its_examples_are_valid(tmp_path: Path) -> None:
    assert not [name for name in packaged_names(SPACES) if f"`{name}`" not in PAGE]
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for text in examples:
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        assert read_space(str(tmp_path / "own.yaml"), model_spec("resnet_optimized"))
