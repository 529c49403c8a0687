"""``tr.load_predictor``: forms of pairs, and what they give."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import twinrank as tr
from twinrank.inference.network import Network
from twinrank.runs import PRETRAINED, RunFolder


@pytest.fixture(scope="module")
def predictor(trained: Path) -> tr.PairPredictor:
    return tr.load_predictor(trained / "runs" / "first")


@pytest.fixture(scope="module")
def pairs(trained: Path) -> tr.Judgements:
    return tr.load_pairs(trained / "data" / "val.npz")


def test_logits_probabilities_and_classes_agree(predictor: tr.PairPredictor, pairs: tr.Judgements) -> None:
    logit = predictor.decision_function(pairs)
    probability, label = predictor.predict_proba(pairs), predictor.predict(pairs)
    assert logit.shape == (96,)
    assert logit.dtype.kind == "f"
    assert (probability.shape, probability.dtype) == ((96, 2), np.float64)
    assert predictor.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(probability[:, 1], 1 / (1 + np.exp(-logit.astype(float))))
    assert (probability.sum(1) == 1).all()
    assert label.tolist() == (logit > 0).astype(int).tolist()


def test_a_swapped_pair_has_the_swapped_prediction(predictor: tr.PairPredictor, pairs: tr.Judgements) -> None:
    there, back = predictor.predict_proba(pairs.xa, pairs.xb), predictor.predict_proba(pairs.xb, pairs.xa)
    np.testing.assert_array_equal(there, back[:, ::-1])


def test_every_form_of_the_same_pairs_gives_the_same(
    trained: Path, predictor: tr.PairPredictor, pairs: tr.Judgements
) -> None:
    expected = predictor.decision_function(pairs)
    path = trained / "data" / "val.npz"
    forms = [path, str(path), (pairs.xa, pairs.xb), (pairs.xa, pairs.xb, pairs.y), tr.PairNPZDataset(path)]
    for form in forms:
        np.testing.assert_array_equal(predictor.decision_function(form), expected)
    without_channels = pairs.xa[:, 0], pairs.xb[:, 0]
    np.testing.assert_array_equal(predictor.decision_function(*without_channels), expected)
    tensors = torch.from_numpy(pairs.xa.copy()), torch.from_numpy(pairs.xb.copy())
    np.testing.assert_array_equal(predictor.decision_function(*tensors), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_mean_the_same_as_bytes(predictor: tr.PairPredictor, pairs: tr.Judgements, dtype: type) -> None:
    floats = predictor.decision_function(pairs.xa.astype(dtype) / 255, pairs.xb.astype(dtype) / 255)
    np.testing.assert_allclose(floats, predictor.decision_function(pairs), atol=1e-4)


def test_labels_are_not_needed(workplace: Path, predictor: tr.PairPredictor, pairs: tr.Judgements) -> None:
    np.savez("bare.npz", xa=pairs.xa, xb=pairs.xb)
    np.testing.assert_array_equal(predictor.predict("bare.npz"), predictor.predict(pairs))


def test_nothing_given_is_the_network_that_comes_along(pairs: tr.Judgements) -> None:
    few = pairs.select(slice(5))
    expected = Network(RunFolder(PRETRAINED)).logits(few)
    np.testing.assert_array_equal(tr.load_predictor().decision_function(few), expected)


def test_several_are_their_mean(trained: Path, predictor: tr.PairPredictor, pairs: tr.Judgements) -> None:
    run, few = trained / "runs" / "first", pairs.select(slice(5))
    both = tr.load_predictor(run, PRETRAINED)
    each = predictor.decision_function(few), tr.load_predictor().decision_function(few)
    np.testing.assert_allclose(both.decision_function(few), np.mean(each, axis=0))
    assert repr(both) == f"PairPredictor({run}, {PRETRAINED})"


def test_threads_can_be_chosen(trained: Path) -> None:
    tr.load_predictor(trained / "runs" / "first", threads=2)
    assert torch.get_num_threads() == 2
    with pytest.raises(tr.InputError, match="`threads` is 0"):
        tr.load_predictor(threads=0)


IMAGES = np.zeros((4, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((IMAGES,), r"one array of shape \(4, 28, 28\) is not pairs; give a path"),
        (((IMAGES, IMAGES, IMAGES, IMAGES),), "a tuple of 4 is not pairs"),
        ((3,), "a value of type int is not pairs"),
        ((IMAGES, IMAGES[:3]), "'xa' has 4 images and 'xb' 3"),
        ((IMAGES[..., None], IMAGES[..., None]), "28 channels; channels come before height"),
        ((IMAGES[:, :4], IMAGES[:, :4]), "images of 4 x 28 pixels"),
        ((IMAGES + 0.5 * 7, IMAGES), "floats are 0 to 1|must be the same"),
        ((np.zeros((4, 3, 28, 28), np.uint8),) * 2, "images of 3 channels; .* was trained on 1"),
        ((np.zeros((4, 28, 40), np.uint8),) * 2, "images of 28 x 40 pixels; .* was trained on 28 x 28; resize them"),
        ((np.zeros((4, 56, 56), np.uint8),) * 2, "images of 56 x 56 pixels; .* was trained on 28 x 28; resize them"),
        (("nowhere.npz",), "nowhere.npz: no such file"),
    ],
)
def test_what_is_no_pairs_is_refused_in_one_line(predictor: tr.PairPredictor, given: tuple, words: str) -> None:
    with pytest.raises(tr.InputError, match=words) as refused:
        predictor.predict(*given)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("mean", [False, True])
def test_the_network_that_comes_along_refuses_other_sizes(trained: Path, mean: bool) -> None:
    predictor = tr.load_predictor(*([trained / "runs" / "first", PRETRAINED] if mean else []))
    with pytest.raises(tr.InputError, match=r"images of 28 x 40 pixels; .* was trained on 28 x 28"):
        predictor.predict(np.zeros((4, 28, 40), np.uint8), np.zeros((4, 28, 40), np.uint8))


def test_an_older_run_knows_the_shorter_side(workplace: Path) -> None:
    config = Path("runs/first/config.json")
    older = {key: value for key, value in json.loads(config.read_text()).items() if key != "image_shape"}
    config.write_text(json.dumps(older))
    predictor = tr.load_predictor("runs/first")
    assert len(predictor.predict(np.zeros((4, 28, 40), np.uint8), np.zeros((4, 28, 40), np.uint8))) == 4
    with pytest.raises(
        tr.InputError, match=r"images of 56 x 40 pixels; runs/first was trained on a shorter side of 28"
    ):
        predictor.predict(np.zeros((4, 56, 40), np.uint8), np.zeros((4, 56, 40), np.uint8))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tr.InputError, match="not a run folder"):
        tr.load_predictor(tmp_path)


def test_flipped_views_predict_as_their_copies(workplace: Path) -> None:
    pairs, predictor = tr.load_pairs("data/val.npz"), tr.load_predictor("runs/first")
    flipped = pairs.xa[..., ::-1], pairs.xb[..., ::-1]
    copied = [images.copy() for images in flipped]
    np.testing.assert_array_equal(predictor.predict_proba(*flipped), predictor.predict_proba(*copied))
    backwards = pairs.select(slice(None, None, -1))
    np.testing.assert_array_equal(predictor.predict(backwards), predictor.predict(pairs)[::-1])


def test_weights_that_are_no_numbers_predict_nothing(workplace: Path) -> None:
    file = workplace / "runs" / "first" / "weights.safetensors"
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    file.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    with pytest.raises(tr.InputError, match=r"weights\.safetensors: its predictions are not finite; restore"):
        tr.load_predictor("runs/first").predict("data/val.npz")
