import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.test_train import assert_same_checkpoint
from tests.workflows.test_grid import fill

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist
from twinrank.cli.main import main
from twinrank.config import BenchmarkConfig, RunSpec
from twinrank.core.context import Context
from twinrank.core.files import sha256, write_json
from twinrank.core.run_records import FileUse, uses_as_json
from twinrank.data.judgements import load_pairs
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError, Interrupted
from twinrank.evaluation.metrics_record import rows_in_words
from twinrank.inference.evaluate import evaluate
from twinrank.inference.load import load_predictor
from twinrank.inference.network import Network
from twinrank.models.registry import entry
from twinrank.models.weights import load_weights
from twinrank.reporting.contents import read_run
from twinrank.runs import RunFolder, used_in_training
from twinrank.training.checks import holds
from twinrank.training.jobs import Job
from twinrank.training.progress import EpochProgress
from twinrank.training.teacher import Teacher, read_teacher
from twinrank.training.train import resume, train
from twinrank.workflows.distill import distill, train_or_distill
from twinrank.workflows.stack import make_stack

TINY = replace(entry("order_net").train, epochs=2, batch_size=64, lr=1e-2)
OPTIONS = {"width": 4, "levels": 4}
ONE = Context(threads=1)
STUDENT = RunSpec("order_net", replace(TINY, distill_weight=0.7), OPTIONS)
Distill = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def files(benchmark_folder: Path) -> tuple[Path, Path]:
    """The pairs that are fitted, and those that choose the epoch."""
    return benchmark_folder / "train.npz", benchmark_folder / "val.npz"


@pytest.fixture(scope="module")
def teacher(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A network whose training did not use the pairs that choose the student's epoch."""
    folder = tmp_path_factory.mktemp("teacher")
    with np.load(files[1]) as arrays:
        np.savez(folder / "other.npz", x=arrays["x"][:50], y=arrays["y"][:50])
    return train(
        RunSpec("compare_net", replace(TINY, epochs=1)), files[0], folder / "other.npz", folder / "run", context=ONE
    )


@pytest.fixture(scope="module")
def levelled(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two networks that have latent levels."""
    folder = tmp_path_factory.mktemp("levelled")
    specs = {f"ordered{seed}": RunSpec("order_net", replace(TINY, lr=1.5e-2, seed=seed), OPTIONS) for seed in (1, 2)}
    return [train(spec, *files, folder / name, context=ONE).path for name, spec in specs.items()]


@pytest.fixture
def taught(files: tuple[Path, Path], teacher: RunFolder, tmp_path: Path) -> Distill:
    """Distills into a folder of that name: ``taught("run", epochs=1)``."""

    def distilled(name: str = "run", *teachers: Path, **changes: Any) -> RunFolder:
        student = replace(STUDENT, train=replace(STUDENT.train, **changes))
        return distill(teachers or [teacher.path], student, *files, tmp_path / name, context=ONE)

    return distilled


def no_levels(n: int) -> np.ndarray:
    return np.empty((n, 2, 0), np.float32)


def never(*_: Any) -> Any:
    raise AssertionError("the teacher predicted again")


def test_a_student_learns_a_sure_teachers_predictions_and_not_the_labels(digits: Mnist, tmp_path: Path) -> None:
    easy = BenchmarkConfig(severity=0, weight_diff1=0, pairs_train=1000, pairs_val=300)
    make_benchmark(digits, tmp_path, easy, ["train", "val"], jobs=1)
    with np.load(tmp_path / "train.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    np.savez(tmp_path / "coin.npz", x=x, y=np.random.default_rng(0).permutation(y))
    pairs = load_pairs(tmp_path / "coin.npz")
    about = {"path": "sure", "of_sha256": pairs.sha256, "track": "open", "identity": {}, "used_in_training": {}}
    sure = Teacher(pairs.row_ids, np.where(y == 1, 8, -8).astype(np.float32), no_levels(len(y)), about)
    config = replace(TINY, epochs=5, lr=1.5e-2, distill_weight=1.0, contrastive_weight=0.0, balance_weight=0.0)
    files = tmp_path / "coin.npz", tmp_path / "val.npz"
    run = train(RunSpec("order_net", config, {"width": 4}), *files, tmp_path / "run", teacher=sure, context=ONE)
    history = run.read_history()
    assert max(epoch["val"]["accuracy"] for epoch in history) > 0.8
    assert {"pair_loss", "soft_loss"} <= history[0]["train"].keys()
    assert run.read_config()["track"] == "open", "the teacher's"
    assert load_weights(run.weights).antisymmetric


def test_a_student_learns_the_levels_of_a_teacher_that_has_them(
    taught: Distill, teacher: RunFolder, levelled: list[Path]
) -> None:
    run = taught("run", levelled[0], level_weight=1.0, epochs=4)
    with np.load(run.teacher) as kept:
        np.testing.assert_allclose(np.exp(kept["levels"]).sum(2), 1, atol=1e-5)
    losses = [epoch["train"]["level_loss"] for epoch in run.read_history()]
    assert losses[-1] < losses[0]
    with pytest.raises(
        InputError, match="`level_weight` needs a teacher's levels, and there are none: not of a stack or"
    ):
        taught("untold", teacher.path, level_weight=1.0)


def test_a_student_learns_which_images_of_a_level_look_alike_to_its_teachers(
    taught: Distill, teacher: RunFolder, levelled: list[Path], files: tuple[Path, Path], tmp_path: Path
) -> None:
    pairs = load_pairs(files[0])
    values: dict[str, Any] = {"distill_weight": 0.0, "level_weight": 1.0, "subclass_weight": 1.0, "subclasses": 3}
    run = taught("run", *levelled, **values, epochs=4, lr=1.5e-2)
    kept = read_teacher(run.teacher, run.read_config()["teacher"]["identity"], pairs, subclasses=3)
    assert kept.levels is not None
    assert kept.subclasses is not None
    np.testing.assert_array_equal(kept.subclasses // 3, kept.levels.argmax(2))
    losses = [epoch["train"]["subclass_loss"] for epoch in run.read_history()]
    assert losses[-1] < losses[0]
    # Images of a subclass have features that are nearer to each other than to those of their level.
    both = load_predictor(*levelled).image_features(pairs.images, np.arange(len(pairs.images)))
    assert both.shape[1] == sum(Network(RunFolder(each)).model.features for each in levelled)
    divided = np.empty(len(both), np.int64)
    divided[np.stack([pairs.left, pairs.right], 1)] = kept.subclasses

    def spread(groups: np.ndarray) -> float:
        return sum(((both[groups == each] - both[groups == each].mean(0)) ** 2).sum() for each in np.unique(groups))

    assert spread(divided) < 0.8 * spread(divided // 3)
    # Another number of subclasses needs other predictions.
    (tmp_path / "other").mkdir()
    shutil.copy(run.teacher, tmp_path / "other")
    other = taught("other", *levelled, **values | {"subclasses": 2}, epochs=1)
    with np.load(other.teacher) as arrays:
        assert arrays["subclasses"].max() < 8
    with pytest.raises(InputError, match="`subclass_weight` needs a teacher's levels, and there are none"):
        taught("undivided", teacher.path, subclass_weight=1.0)
    with pytest.raises(InputError, match="`subclass_weight` needs a teacher that divides its levels; distill again"):
        train(
            replace(STUDENT, train=replace(STUDENT.train, **values)),
            *files,
            tmp_path / "without",
            teacher=replace(kept, subclasses=None),
            context=ONE,
        )
    config = run.read_config()
    write_json(run.config, config | {"train": config["train"] | {"subclasses": 2}})
    asked = "teacher.npz: has 3 subclasses of each level, and the training values ask for 2; restore them"
    with pytest.raises(InputError, match=asked):
        resume(run.path)
    write_json(run.config, config)
    replace(kept, subclasses=kept.subclasses[::-1].copy()).save(run.teacher)
    with pytest.raises(InputError, match="has changed since the run began"):
        resume(run.path)


def test_several_teach_by_their_mean(
    taught: Distill, teacher: RunFolder, levelled: list[Path], files: tuple[Path, Path], tmp_path: Path
) -> None:
    pairs = load_pairs(files[0])
    run = taught("levelled", *levelled, level_weight=1.0, epochs=1)
    (first, first_levels), (second, second_levels) = (
        load_predictor(each).logits_and_levels(pairs) for each in levelled
    )
    assert first_levels is not None
    assert second_levels is not None
    with np.load(run.teacher) as kept:
        np.testing.assert_allclose(kept["logit"], (first + second) / 2, atol=1e-5)
        product = np.exp(first_levels) * np.exp(second_levels)
        geometric = np.sqrt(product) / np.sqrt(product).sum(2, keepdims=True)
        np.testing.assert_allclose(np.exp(kept["levels"]), geometric, atol=1e-5)
    recorded = run.read_config()["teacher"]
    assert recorded["path"] == [*map(str, levelled)]
    digests = [sha256(RunFolder(each).weights) for each in levelled]
    assert [member["weights_sha256"] for member in recorded["identity"]["members"]] == digests
    assert recorded["used_in_training"][pairs.sha256] == [{"role": "fitted", "by": "network", "of_teacher": False}]
    # One of them has no levels, so that there are none of both.
    with np.load(taught("mixed", levelled[0], teacher.path, epochs=1).teacher) as kept:
        assert kept["levels"].shape == (384, 2, 0)
    with pytest.raises(InputError, match="`level_weight` needs a teacher's levels, and there are none"):
        taught("unlike", levelled[0], teacher.path, level_weight=1.0)
    assert not (tmp_path / "unlike").exists(), "refused before anything was predicted"
    by_level = replace(STUDENT.train, distill_weight=0.0, level_weight=1.0)
    fewer = replace(STUDENT, train=by_level, options=OPTIONS | {"levels": 3})
    with pytest.raises(InputError, match=r"has \d+ levels, and the student has 3; give it as many by its option"):
        distill(levelled[:1], fewer, *files, tmp_path / "fewer", context=ONE)
    assert not (tmp_path / "fewer").exists()
    (tmp_path / "same").symlink_to(levelled[0])
    with pytest.raises(InputError, match=r"same: the same run as .*ordered1; name each run once"):
        taught("twice", levelled[0], tmp_path / "same")
    shutil.copytree(levelled[0], tmp_path / "copy")
    with pytest.raises(InputError, match=r"copy: has the weights of .*ordered1; name each network once"):
        taught("twice", levelled[0], tmp_path / "copy")


def test_a_teacher_that_changes_nothing_is_refused(taught: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "logits_and_levels", never)
    weights = "`distill_weight`, `level_weight` and `subclass_weight` are 0"
    with pytest.raises(InputError, match=f"{weights}, so that a teacher changes nothing"):
        taught(distill_weight=0.0)
    with pytest.raises(InputError, match="images are 28 x 28 pixels, so `crop` 40 is too large"):
        taught(crop=40)


def test_a_student_that_was_stopped_goes_on_to_the_same_bits_without_its_teacher(
    taught: Distill, teacher: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"swap": True, "shift": 1, "easy_share": 0.5}
    whole = taught("whole", **changes)
    shutil.copytree(teacher.path, tmp_path / "teacher")
    ended = EpochProgress.epoch_ended

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    def stop_after_one(self: EpochProgress, entry: dict[str, Any], best: bool) -> None:
        ended(self, entry, best)
        stop()

    with monkeypatch.context() as patch:
        patch.setattr(EpochProgress, "epoch_ended", stop_after_one)
        with pytest.raises(Interrupted):
            taught("stopped", tmp_path / "teacher", **changes)
        patch.setattr("twinrank.training.train._fit", stop)
        with pytest.raises(Interrupted, match=r"stopped before the first epoch\. Go on with: twinrank resume .*early"):
            taught("early", tmp_path / "teacher", **changes)
    shutil.rmtree(tmp_path / "teacher")
    resumed = resume(tmp_path / "stopped")
    assert sha256(resumed.weights) == sha256(whole.weights)
    assert sha256(resume(tmp_path / "early").weights) == sha256(whole.weights)
    assert len(resumed.read_history()) == 2
    moved = json.loads(whole.config.read_text())["teacher"]["identity"]
    assert resumed.read_config()["teacher"]["identity"] == moved


def test_a_job_of_a_recipe_learns_from_the_run_that_teaches_it(
    taught: Distill, teacher: RunFolder, files: tuple[Path, Path], tmp_path: Path
) -> None:
    job = Job(tmp_path / "job", *files, STUDENT, (teacher.path,))
    train_or_distill(job, ONE)
    assert sha256(RunFolder(job.folder).weights) == sha256(taught().weights)
    before = RunFolder(job.folder).weights.stat().st_mtime_ns
    train_or_distill(job, ONE)
    assert RunFolder(job.folder).weights.stat().st_mtime_ns == before, "done"


def test_predictions_that_a_teacher_made_before_the_training_are_taken(
    taught: Distill, teacher: RunFolder, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taught("whole")
    (tmp_path / "begun").mkdir()
    shutil.copy(whole.teacher, tmp_path / "begun")
    with monkeypatch.context() as patch:
        patch.setattr(Network, "logits_and_levels", never)
        begun = taught("begun")
        with pytest.raises(InputError, match="holds a run already; continue it with 'twinrank resume"):
            taught("begun")
    assert_same_checkpoint(begun, whole)
    # Another network has other weights.
    (tmp_path / "other").mkdir()
    shutil.copy(whole.teacher, tmp_path / "other")
    assert RunFolder(tmp_path / "other").teacher.read_bytes() != taught("other", whole.path).teacher.read_bytes()


def test_predictions_of_a_teacher_cannot_be_changed(
    taught: Distill, teacher: RunFolder, files: tuple[Path, Path]
) -> None:
    run = taught(epochs=1)
    before, pairs = run.teacher.read_bytes(), load_pairs(files[0])
    with np.load(run.teacher) as arrays:
        stored = dict(arrays)
    about = json.loads(str(stored["about"]))

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message) as found:
            resume(run.path)
        assert str(found.value).count("\n") == 0

    arrays = pairs.row_ids, stored["logit"], stored["levels"]
    others: list[dict[str, Any]] = [
        {"logit": -stored["logit"]},
        {"levels": np.zeros((len(pairs), 2, 1), np.float32)},
    ]
    for other in others:
        np.savez(run.teacher, **stored | other)
        refused("teacher.npz: has been edited since the teacher predicted")
    Teacher(pairs.row_ids, -stored["logit"], stored["levels"], about).save(run.teacher)
    refused("teacher.npz: has changed since the run began")
    Teacher(pairs.row_ids[::-1], stored["logit"], stored["levels"], about).save(run.teacher)
    refused("teacher.npz: predicted other rows than those of .*train.npz")
    Teacher(*arrays, about | {"identity": {"weights_sha256": "0"}}).save(run.teacher)
    refused(r"teacher.npz: has the predictions of another teacher \(weights_sha256 is '0', not")
    run.teacher.write_bytes(b"PK")
    refused("teacher.npz: not an NPZ file")
    run.teacher.unlink()
    refused("teacher.npz")
    # Whoever edits both is found out by the checkpoint.
    Teacher(pairs.row_ids, -stored["logit"], stored["levels"], about).save(run.teacher)
    config = run.read_config()
    write_json(run.config, config | {"teacher": config["teacher"] | {"sha256": sha256(run.teacher)}})
    refused("config.json: has been changed since the run began .teacher.sha256 is")
    write_json(run.config, config | {"teacher": {"path": "gone"}})
    refused("config.json: not the configuration of a run")
    write_json(run.config, config)
    run.teacher.write_bytes(before)
    resume(run.path)


def test_a_weight_without_a_teacher_and_a_teacher_of_other_pairs_are_refused(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    untaught = r"`distill_weight` is 0\.7, but there is no teacher; name a teacher with 'twinrank distill'"
    with pytest.raises(InputError, match=untaught):
        train(STUDENT, *files, out, context=ONE)
    fresh = replace(STUDENT, train=replace(STUDENT.train, fresh=True))
    with pytest.raises(InputError, match="a teacher predicts no fresh pairs"):
        distill([tmp_path / "no-teacher"], fresh, *files, out, context=ONE)
    with pytest.raises(InputError, match="`threads` is 0; use 1 to"):
        distill([tmp_path / "no-teacher"], STUDENT, *files, out, context=Context(threads=0))
    pairs = load_pairs(files[1])
    nothing = np.zeros(len(pairs), np.float32), no_levels(len(pairs))
    foreign = Teacher(pairs.row_ids, *nothing, {"of_sha256": pairs.sha256})
    with pytest.raises(InputError, match="the teacher: predicted other rows than those of"):
        train(STUDENT, *files, out, teacher=foreign, context=ONE)
    assert not out.exists()


def test_a_stack_teaches_and_a_line_names_what_it_was_fitted_to(
    files: tuple[Path, Path], benchmark_folder: Path, tmp_path: Path
) -> None:
    folder, lines = StackFolder(tmp_path / "stack"), []
    fill(folder.path, benchmark_folder, "order", "holdout")
    make_stack(folder.path, folder)
    run = distill([folder.path], STUDENT, *files, tmp_path / "run", context=Context(lines.append, threads=1))
    (line,) = [each for each in lines if "val.npz: chooses the student's epoch" in each]
    assert "used it in training, too (rows which meta-learners were fitted to: an in-sample number); so" in line
    with pytest.raises(InputError, match="a stack shows no features of images; use one of its networks"):
        load_predictor(folder.path).image_features(load_pairs(files[0]).images, np.arange(1))
    with np.load(run.teacher) as kept:
        np.testing.assert_array_equal(
            kept["logit"], load_predictor(folder.path).logits(load_pairs(files[0])).astype(np.float32)
        )
    recorded = run.read_config()["teacher"]
    assert recorded["path"] == str(folder.path)
    assert recorded["identity"] == {
        "model": folder.read_config()["best"],
        "ledger_sha256": folder.read_config()["ledger_sha256"],
        "learners_sha256": sha256(folder.learners),
    }
    assert recorded["sha256"] == sha256(run.teacher)
    assert load_pairs(files[1]).sha256 in recorded["used_in_training"]
    assert run.read_config()["track"] == "pairs-only"
    rows = rows_in_words(evaluate(run, [files[1]])["val"])
    assert rows.endswith("reads slightly too well; which its teacher's meta-learners were fitted to")


def test_the_command_trains_a_student_of_a_network(
    teacher: RunFolder, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_file, val_file = map(str, files)
    where = ["--teacher", str(teacher.path), "--train", train_file, "--val", val_file, "--out", str(tmp_path / "run")]
    values = {"train.epochs": 1, "options.width": 4, "train.distill_temperature": 2}
    changes = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    main(["distill", *where, "--student", "order_net", "--threads", "1", *changes])
    run = RunFolder(tmp_path / "run")
    config = run.train_config()
    assert (config.distill_weight, config.distill_temperature) == (0.7, 2)
    assert holds(run, RunSpec("order_net", config, {"width": 4}))
    written = run.read_config()
    options = {name: value for name, value in written["model"]["options"].items() if name != "layers"}
    write_json(run.config, written | {"model": written["model"] | {"options": options}})
    assert holds(run, RunSpec("order_net", config, {"width": 4})), "networks had fewer options once"
    write_json(run.config, written)
    assert not holds(run, RunSpec("order_net", config, {"width": 4, "layers": (2, 2, 2)}))
    output = capsys.readouterr().out
    assert "predicting all 384 rows of train.npz, which the network was fitted to" in output
    assert "chooses the student's epoch" not in output, "this teacher does not know val"
    # A file that the teacher was given is no test of its student.
    other = Path(teacher.read_config()["data"]["val"]["path"])
    shutil.copy(other, tmp_path / "test_other.npz")
    rows = rows_in_words(evaluate(run, [files[1], tmp_path / "test_other.npz"])["test_other"])
    assert rows.endswith("which chose its teacher's epoch, so it reads slightly too well")
    assert not read_run(run.path).metrics["test_other"].held_out
    main(["report", str(run.path)])
    assert "<dt>teacher</dt>" in run.report.read_text()


def test_what_teachers_of_teachers_used_counts_once() -> None:
    def config(train: str, val: str, *taught: dict[str, Any]) -> dict[str, Any]:
        used = [used_in_training(each) for each in taught]
        records = {digest: uses_as_json(uses) for each in used for digest, uses in each.items()}
        teacher = {"teacher": {"path": "t", "identity": {}, "used_in_training": records}} if taught else {}
        return {"data": {"train": {"sha256": train}, "val": {"sha256": val}}} | teacher

    first = config("a", "b")
    taught = config("a", "b", first)
    again = config("a", "c", taught)
    fitted, stopped_on = FileUse("fitted"), FileUse("stopped on")
    of_teacher = FileUse("fitted", of_teacher=True), FileUse("stopped on", of_teacher=True)
    assert used_in_training(taught) == {"a": (fitted, of_teacher[0]), "b": (stopped_on, of_teacher[1])}
    assert used_in_training(again) == {"a": (fitted, of_teacher[0]), "b": (of_teacher[1],), "c": (stopped_on,)}
