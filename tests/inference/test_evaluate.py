"""Evaluation of a run where images recur, people disagree, and training used some images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from tests.conftest import RECORDED

from twinrank.cli.output import print_metrics
from twinrank.core.context import Context
from twinrank.core.files import read_json
from twinrank.data.images.simple_features import FEATURES
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.overlap import images_in_rows, seen_images, training_warnings
from twinrank.errors import InputError
from twinrank.evaluation.metrics import log_loss
from twinrank.evaluation.metrics_record import read_metrics
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.evaluate import evaluate, predictions_of
from twinrank.inference.label import write_predictions
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.network import Network
from twinrank.inference.predict import image_features
from twinrank.models.comparators import LatentOrder
from twinrank.models.registry import create_model, entry
from twinrank.models.weights import save_weights
from twinrank.runs import RunFolder
from twinrank.training.finish import finish


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of a small network that is not trained."""
    run, options = RunFolder(tmp_path / "run"), entry("order_net").complete({"width": 2, "levels": 4})
    torch.manual_seed(0)
    network = create_model("order_net", options=options)
    description = {"name": "order_net", "options": options, "channels": 1, "image_size": 28}
    run.create(RECORDED | {"model": {"name": "order_net", "options": options}})
    save_weights(run.weights, network, description)
    return run


def judgements(benchmark_folder: Path, images: slice, rows: int, seed: int, name: str) -> Judgements:
    """Judgements of some left images of the benchmark: two in three rows repeat an earlier pair in the other order."""
    store = ImageStore.from_arrays(load_pairs(benchmark_folder / "test_private.npz").xa[images], name=name)
    rng = np.random.default_rng(seed)
    sides = np.stack([rng.permutation(len(store))[:2] for _ in range(rows)])
    sides[rows // 3 : 2 * (rows // 3)] = sides[: rows // 3, ::-1]
    y = rng.integers(0, 2, rows).astype(np.int8)
    left, right = sides.T
    return Judgements(store, left, right, y, None, Path(name), f"digest of {name}")


def test_rows_that_share_images_are_evaluated_over_images(
    run: RunFolder, benchmark_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = judgements(benchmark_folder, slice(0, 20), 90, 0, "votes.csv")
    tie = np.arange(90) % 9 == 0
    assert data.y is not None
    data = replace(data, y=np.where(tie, 0.5, data.y).astype(np.float32), tie=tie)
    assert data.y is not None
    training = judgements(benchmark_folder, slice(15, 40), 200, 1, "train.csv")
    run.write_train_images(images_in_rows(training))
    (record,) = evaluate(run, [data]).values()
    assert record["images"] == 20
    assert (record["ties"], record["metrics"]["accuracy"]["n"], record["metrics"]["log_loss"]["n"]) == (10, 80, 90)
    assert record["shared"]["images"] == 5
    assert sum(kind["n"] for kind in record["kinds"].values()) == 90
    assert record["agreement"]["pairs"] >= 20
    stored = Predictions.load(run.predictions("votes"))
    assert stored.seen is not None
    assert stored.tie is not None
    assert np.array_equal(stored.tie, tie)
    assert np.array_equal(stored.seen, np.stack([data.left >= 15, data.right >= 15], 1))
    print_metrics(run.path)
    printed = capsys.readouterr().out
    for part in (
        "90 rows of 20 images, so intervals and tests are over images",
        "10 ties: in the log-loss alone; the other metrics are about 80 rows",
        "(image bootstrap 95%, n = 80, 20 images)",
        "two votes agree",
        "ceiling",
        "both unseen by training: ",
        "warning: votes.csv: shares 5 images with train",
        "    warning: no better than chance (accuracy ",
    ):
        assert part in printed


def test_figures_of_files_together_go_when_one_of_them_changes(run: RunFolder, benchmark_folder: Path) -> None:
    first, second = (judgements(benchmark_folder, slice(0, 20), 40, seed, f"{seed}.csv") for seed in (0, 1))
    assert [*evaluate(run, [first, second])] == ["0", "1", "tests"]
    evaluate(run, [first])
    assert run.metrics("tests").is_file()
    said: list[str] = []
    assert first.y is not None
    evaluate(run, [replace(first, y=1 - first.y)], context=Context(said.append))
    assert not run.metrics("tests").exists()
    assert said[-1].endswith(
        "tests.json: removed, since one of its files has other figures now; evaluate them together"
    )
    evaluate(run, [first, second])
    evaluate(run, [replace(second, sha256="digest of more votes")])
    assert not run.metrics("tests").exists()


def test_a_training_that_ends_at_chance_says_so(run: RunFolder, benchmark_folder: Path) -> None:
    data = judgements(benchmark_folder, slice(0, 20), 90, 0, "votes.csv")
    said = finish(run, data, data, run.train_config())
    assert said[0].startswith("warning: votes.csv: no better than chance (accuracy ")
    assert said[1].startswith("warning: votes.csv: no better than one simple feature: '")
    assert said[1].endswith("; try 'twinrank fit', or efficientnet_lite0")
    (record,) = evaluate(run, [data]).values()
    assert record["simple"]["feature"] in FEATURES
    assert record["simple"]["gain"]["low"] <= 0
    assert record["warnings"] == [said[1].removeprefix("warning: votes.csv: ")]
    assert read_metrics(run.metrics("votes"))["simple"] == record["simple"]
    logit = Network(run).logits(data)
    assert finish(run, data, replace(data, y=(logit > 0).astype(np.int8)), run.train_config()) == []


def test_where_people_judged_probabilities_are_calibrated(
    run: RunFolder, benchmark_folder: Path, tmp_path: Path
) -> None:
    data = judgements(benchmark_folder, slice(0, 20), 400, 0, "votes.csv")
    model, options = Network(run).model, run.read_config()["model"]["options"]
    assert isinstance(model.comparator, LatentOrder)
    # A network that was not trained is sure of nothing.
    levels = model.comparator.scores
    levels.weight.data *= 1e5
    levels.bias.data = -levels.weight.data @ image_features(model, data.images).mean(0)
    save_weights(run.weights, model, {"name": "order_net", "options": options, "channels": 1, "image_size": 28})
    votes = tmp_path / "votes.npz"
    images, y = data.images.take(np.arange(20)), np.zeros(400, np.int8)
    np.savez(votes, images=images, y=y, left=data.left, right=data.right)
    twin = tmp_path / "swapped.npz"
    np.savez(twin, images=images, left=data.right, right=data.left)

    def written(file: Path) -> np.ndarray:
        write_predictions(Network(run), file, tmp_path / "p.csv", probabilities=True)
        return np.genfromtxt(tmp_path / "p.csv", delimiter=",", names=True)

    raw, logit = written(votes), Network(run).logits(data).astype(float)
    assert logit.std() > 1
    np.testing.assert_array_equal(raw["logit"], logit)
    # Votes that are far less sure than the network.
    y = (np.random.default_rng(0).random(400) < expit(0.3 * logit)).astype(np.int8)
    finish(run, data, replace(data, y=y), run.train_config())
    found, swapped = written(votes), written(twin)
    np.testing.assert_array_equal(found["label"], raw["label"])
    assert ((found["probability"] > 0.5) == (found["label"] == 1)).all()
    np.testing.assert_array_equal(found["probability"] + swapped["probability"], 1)
    assert log_loss(y, found["logit"]) < log_loss(y, logit)
    (record,) = evaluate(run, [replace(data, y=y)]).values()
    np.testing.assert_allclose(record["metrics"]["log_loss"]["value"], log_loss(y, found["logit"]), rtol=1e-5)
    np.testing.assert_array_equal(predictions_of(run, data).logit, logit)
    both = MeanPredictor([Network(run), Network(run)])
    np.testing.assert_array_equal(both.calibrated(logit), Network(run).calibrated(logit))
    run.calibration.write_text('{"scale": 0, "nu": 0}')
    with pytest.raises(InputError, match=r"calibration\.json: `scale` is 0 and"):
        Network(run)


def test_pairs_without_common_images_keep_their_files(run: RunFolder, benchmark_folder: Path) -> None:
    path = benchmark_folder / "test_public.npz"
    (before,) = evaluate(run, [path]).values()
    stored = run.predictions("test_public").read_bytes()
    run.write_train_images(images_in_rows(load_pairs(benchmark_folder / "train.npz")))
    (after,) = evaluate(run, [path]).values()
    assert run.predictions("test_public").read_bytes() == stored
    assert {key: value for key, value in after.items() if key != "milliseconds"} == {
        key: value for key, value in before.items() if key != "milliseconds"
    }
    assert not {"images", "kinds", "warnings", "agreement"} & after.keys()


def test_files_that_share_images_are_evaluated_together_over_images(run: RunFolder, benchmark_folder: Path) -> None:
    pairs = load_pairs(benchmark_folder / "test_private.npz")
    first, second = pairs.select(np.arange(0, 40)), pairs.select(np.arange(20, 60))
    files = [replace(part, path=Path(f"{name}.npz")) for part, name in ((first, "first"), (second, "second"))]
    records = evaluate(run, files)
    assert records["tests"]["metrics"]["accuracy"]["interval"] == "image bootstrap 95%"
    assert records["first"]["metrics"]["accuracy"]["interval"] == "Wilson 95%"


def test_warnings_of_the_training_are_repeated(run: RunFolder, benchmark_folder: Path) -> None:
    config = read_json(run.config) | {"warnings": ["train.csv: every label is 1"]}
    run.config.write_text(json.dumps(config))
    (record,) = evaluate(run, [benchmark_folder / "val.npz"]).values()
    assert record["warnings"] == ["train.csv: every label is 1"]


def test_a_training_is_warned_of_shared_images_and_of_sides(benchmark_folder: Path) -> None:
    train = judgements(benchmark_folder, slice(0, 20), 200, 2, "train.csv")
    val = judgements(benchmark_folder, slice(18, 40), 100, 3, "val.csv")
    (line,) = training_warnings(train, val, antisymmetric=True)
    assert line.startswith("val.csv: shares 2 images with train, in ")
    apart = judgements(benchmark_folder, slice(20, 40), 100, 3, "val.csv")
    assert not training_warnings(train, apart, antisymmetric=False)
    sided = replace(train, y=np.ones(200, np.int8))
    assert not training_warnings(sided, apart, antisymmetric=True)
    (line,) = training_warnings(sided, apart, antisymmetric=False)
    assert line.startswith("train.csv: every label is 1, and this network sees sides")


def test_images_of_one_value_are_never_the_same(benchmark_folder: Path) -> None:
    pixels = load_pairs(benchmark_folder / "test_private.npz").xa[:3].copy()
    pixels[:2] = 0
    store = ImageStore.from_arrays(pixels)
    data = Judgements(store, np.array([0, 1]), np.array([2, 2]), None, None, Path("a"), "a")
    assert len(images_in_rows(data)) == 1
    assert seen_images(data, images_in_rows(data)).tolist() == [[False, True], [False, True]]


def test_damaged_images_of_a_training_are_refused(run: RunFolder) -> None:
    np.savez(run.images, train=np.zeros(3))
    with pytest.raises(InputError, match=r"images\.npz: not the images of a training"):
        run.train_images()
