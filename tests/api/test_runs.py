"""``tr.train``, ``tr.resume``, ``tr.evaluate`` and the runs that they return."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.api.conftest import TINY

import twinrank as tr
from twinrank.core.files import sha256
from twinrank.training.hooks import Hooks

FILES = "data/train.npz", "data/val.npz"


class Stop(Hooks):
    """Stops a training after its first epoch, as Ctrl-C does."""

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        raise KeyboardInterrupt


def quiet(*pairs: Any, **changes: Any) -> tr.Run:
    return tr.train("order_net", *pairs, **({"hooks": Hooks()} | TINY | changes))


def weights(run: tr.Run) -> str:
    return sha256(run.path / "weights.safetensors")


def test_a_run_describes_itself(workplace: Path) -> None:
    run = tr.Run("runs/first")
    assert repr(run) == "Run(runs/first: order_net, 2 epochs)"
    assert run.config["data"]["train"]["path"] == "data/train.npz"
    assert (run.train_config.epochs, run.train_config.batch_size) == (2, 32)
    accuracies = [entry["val"]["accuracy"] for entry in run.history]
    assert run.best_epoch == 1 + accuracies.index(max(accuracies))
    with pytest.raises(tr.InputError, match="not a run folder"):
        tr.Run("data")


def test_the_same_pairs_are_known_in_a_file_a_copy_and_memory(workplace: Path) -> None:
    train, val = map(tr.load_pairs, FILES)
    np.savez(workplace / "copy.npz", xa=train.xa, xb=train.xb, y=np.asarray(train.y))
    arrays = train.xa, train.xb, train.y
    for given in ("copy.npz", arrays):
        with pytest.raises(tr.InputError, match=r"the same pairs as data/train\.npz"):
            quiet("data/train.npz", given)
        results = tr.evaluate("runs/first", given, "data/test_public.npz")
        assert [use["role"] for use in next(iter(results.values()))["used"]] == ["fitted"]
        assert "tests" not in results
    run = quiet(arrays, (val.xa, val.xb, val.y), out="runs/memory")
    used = [result["used"] for result in run.evaluate("copy.npz", "data/val.npz", "data/test_public.npz").values()]
    assert [[use["role"] for use in each] for each in used] == [["fitted"], ["stopped on"], []]
    tr.resume("runs/first", train=arrays, val=(val.xa, val.xb, val.y), hooks=Hooks())


def test_pairs_describe_themselves(workplace: Path) -> None:
    assert repr(tr.load_pairs("data/val.npz")) == "Judgements(data/val.npz: 96 pairs, 1 x 28 x 28 uint8)"


def test_arrays_and_files_train_the_same_network(workplace: Path) -> None:
    train, val = map(tr.load_pairs, FILES)
    expected = weights(tr.Run("runs/first"))
    bare = train.xa[:, 0], train.xb[:, 0], np.asarray(train.y).tolist()
    forms = [(train, val), (bare, (val.xa, val.xb, val.y)), (tr.PairNPZDataset(FILES[0]), Path(FILES[1]))]
    runs = [quiet(*form) for form in forms]
    assert [weights(run) for run in runs] == 3 * [expected]
    # Without `out` nothing is ever replaced.
    assert [str(run.path) for run in runs] == ["runs/order_net", "runs/order_net_2", "runs/order_net_3"]


def test_two_parts_of_one_file_are_different_pairs(workplace: Path) -> None:
    pairs = tr.load_pairs(FILES[0])
    run = quiet(pairs.select(slice(300)), pairs.select(slice(300, None)))
    assert [run.config["data"][part]["n"] for part in ("train", "val")] == [300, 84]
    with pytest.raises(tr.InputError, match="the same pairs"):
        quiet(pairs, pairs)


def test_values_by_name_and_their_mistakes(workplace: Path) -> None:
    config = tr.TrainConfig(epochs=1, lr=0.5, batch_size=64)
    run = quiet(*FILES, config=config, lr=np.float32(0.25), shift=np.int64(1))
    assert (run.train_config.lr, run.train_config.shift, run.train_config.batch_size) == (0.25, 1, 32)
    for changes, words in (
        ({"epoch": 3}, "`train` knows no value 'epoch'; did you mean 'epochs'"),
        ({"colour": 3}, r"knows no value 'colour'; 'help\(twinrank.TrainConfig\)' lists all"),
        ({"lr": "fast"}, "'lr' is 'fast'; it must be a number"),
        ({"lr": -1}, "lr is -1; it must be above 0"),
        ({"options": {"with": 3}}, "no option 'with'; did you mean 'width'"),
        ({"out": "runs/first"}, "holds a run already"),
        ({"threads": 0}, "0 is not possible|`threads` is 0"),
    ):
        with pytest.raises(tr.InputError, match=words):
            quiet(*FILES, **changes)
    with pytest.raises(tr.InputError, match="model 'order_nett' does not exist; did you mean 'order_net'"):
        tr.train("order_nett", *FILES)


def test_pairs_that_cannot_be_trained_on(workplace: Path) -> None:
    val = tr.load_pairs(FILES[1])
    for given, words in (
        ("nowhere.npz", "nowhere.npz: no such file"),
        (3, "train: a value of type int is not pairs"),
        ((val.xa, val.xb), "train: has no labels"),
    ):
        with pytest.raises(tr.InputError, match=words):
            quiet(given, FILES[1])


@pytest.mark.parametrize("arrays", [False, True])
def test_a_stopped_run_goes_on_to_the_same_bits(workplace: Path, arrays: bool) -> None:
    train, val = map(tr.load_pairs, FILES)
    given = ((train.xa, train.xb, train.y), (val.xa, val.xb, val.y)) if arrays else FILES
    with pytest.raises(Exception, match="twinrank resume runs/stopped"):
        quiet(*given, out="runs/stopped", hooks=Stop())
    assert len(tr.Run("runs/stopped").history) == 1
    if arrays:
        with pytest.raises(tr.InputError, match="`train`"):
            tr.resume("runs/stopped", hooks=Hooks())
        run = tr.resume("runs/stopped", train=given[0], val=given[1], hooks=Hooks())
    else:
        run = tr.resume("runs/stopped", hooks=Hooks())
    assert weights(run) == weights(tr.Run("runs/first"))


def test_a_run_can_go_on_for_longer_where_its_schedule_allows_it(workplace: Path) -> None:
    plain = {"schedule": "constant", "warmup": 0.0, "easy_share": 1.0, "augment_from": 0.0}
    run = quiet(*FILES, **plain, epochs=1)
    assert len(tr.resume(run, epochs=2, hooks=Hooks()).history) == 2
    with pytest.raises(tr.InputError, match="epochs"):
        tr.resume("runs/first", epochs=3, hooks=Hooks())


def test_evaluation_keeps_its_results(workplace: Path) -> None:
    run = tr.Run("runs/first")
    results = run.evaluate("data/val.npz", "data/test_public.npz", Path("data/test_private.npz"))
    assert {*results} == {"val", "test_public", "test_private", "tests"}
    assert results["tests"]["metrics"]["accuracy"]["n"] == 100
    assert Path("runs/first/metrics/val.json").is_file()


def test_arrays_can_be_evaluated(workplace: Path) -> None:
    val = tr.load_pairs("data/test_public.npz")
    mine = tr.Judgements.from_arrays(val.xa, val.xb, val.y, name="mine")
    results = tr.evaluate("runs/first", mine)
    expected = tr.evaluate("runs/first", "data/test_public.npz")["test_public"]
    assert results["mine"]["metrics"] == expected["metrics"]
    with pytest.raises(tr.InputError, match="no labels"):
        tr.evaluate("runs/first", (val.xa, val.xb))


def test_arrays_of_one_name_have_results_of_their_own(workplace: Path) -> None:
    tests = [tr.load_pairs(f"data/test_{name}.npz") for name in ("public", "private")]
    results = tr.evaluate("runs/first", *((each.xa, each.xb, each.y) for each in tests))
    assert sorted(result["data"]["n"] for result in results.values()) == [40, 60, 100]
    with pytest.raises(tr.InputError, match=r"twice|same"):
        tr.evaluate("runs/first", tests[0], tests[0])


def test_labels_from_a_table(workplace: Path) -> None:
    Path("data/test_public_labels.csv").rename("labels.csv")
    run = tr.Run("runs/first")
    assert [*run.evaluate("data/test_public.npz", labels="labels.csv")] == ["test_public"]
    with pytest.raises(tr.InputError, match="labels"):
        run.evaluate("data/test_public.npz", "data/val.npz", labels="labels.csv")


def test_a_student_learns_from_a_run_or_from_several(workplace: Path) -> None:
    first = tr.Run("runs/first")
    student = quiet(*FILES, teacher=first)
    assert student.config["teacher"]["path"] == "runs/first"
    assert student.train_config.distill_weight == 0.7
    stated = replace(student.train_config, distill_weight=0.0, level_weight=1.0)
    for how, level_weight in (({"subclass_weight": 1.0, "subclasses": 2}, 0), ({"config": stated}, 1)):
        other = quiet(*map(tr.load_pairs, FILES), teacher=[first, student], **how)
        assert (other.train_config.distill_weight, other.train_config.level_weight) == (0, level_weight)


@pytest.mark.parametrize("out", ["", 3, "a\0b"])
def test_a_place_that_is_no_path_is_refused(workplace: Path, out: Any) -> None:
    with pytest.raises(tr.InputError, match=r"`out` is .*; give a path"):
        quiet(*FILES, out=out)
    with pytest.raises(tr.InputError, match="give a path"):
        tr.load_predictor(out)
    with pytest.raises(tr.InputError, match="give a path"):
        tr.load_pairs(out)


def test_impossible_settings_are_refused_before_training(workplace: Path) -> None:
    for changes, message in (
        ({"threads": "1"}, "`threads` is '1'; use 1 to"),
        ({"lr": 1e300}, r"lr is 1e\+300; it must be"),
        ({"epochs": 10**20}, "epochs is .*; it must be"),
    ):
        with pytest.raises(tr.InputError, match=message):
            quiet(*FILES, **changes)
    with pytest.raises(tr.InputError, match="model 'None' does not exist"):
        tr.train(None, *FILES)  # pyright: ignore[reportArgumentType]
