"""``tr.PairClassifier`` behaves as classifiers of scikit-learn do."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data
from tests.api.conftest import TINY

import twinrank as tr
from twinrank.training.hooks import Hooks

SETTINGS: dict[str, Any] = {
    "options": {"width": 2, "levels": 2},
    "epochs": 1,
    "batch_size": 32,
    "threads": 1,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def pairs(trained: Path) -> tuple[np.ndarray, np.ndarray]:
    data = tr.load_pairs(trained / "data" / "train.npz")
    assert data.y is not None
    return np.stack([data.xa, data.xb], axis=1), data.y


@pytest.fixture(scope="module")
def fitted(pairs: tuple[np.ndarray, np.ndarray]) -> tr.PairClassifier:
    return tr.PairClassifier(**SETTINGS).fit(*pairs)


def tiny(**changes: Any) -> tr.PairClassifier:
    return tr.PairClassifier(**(SETTINGS | changes))


def test_predictions_agree(fitted: tr.PairClassifier, pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = pairs
    logit, probability, label = fitted.decision_function(X), fitted.predict_proba(X), fitted.predict(X)
    assert (logit.shape, probability.shape, label.shape) == ((384,), (384, 2), (384,))
    assert (label == (logit > 0)).all()
    assert (probability.argmax(1) == label).all()
    assert fitted.score(X, y) == (label == y).mean()
    assert fitted.image_shape_ == (1, 28, 28)
    assert [entry["epoch"] for entry in fitted.history_] == [1]
    assert (fitted.best_epoch_, fitted.n_features_in_) == (1, 2)


@pytest.mark.parametrize(
    "words",
    [np.array(["worse", "better"]), np.array([False, True]), np.array([-1.0, 1.0])],
    ids=["text", "bool", "float"],
)
def test_the_second_class_in_sorted_order_means_left(
    words: np.ndarray, fitted: tr.PairClassifier, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = pairs
    left = int(np.argmax(words == np.sort(words)[1]))
    labels = np.where(y == 1, words[left], words[1 - left])
    named = tiny().fit(X, labels)
    np.testing.assert_array_equal(named.classes_, np.sort(words))
    np.testing.assert_array_equal(named.predict(X), named.classes_[fitted.predict(X)])


def test_it_is_the_run_that_train_makes(pairs: tuple[np.ndarray, np.ndarray], trained: Path, workplace: Path) -> None:
    """With validation pairs of one's own, the weights are those of ``tr.train``."""
    train, val = (tr.load_pairs(trained / "data" / f"{name}.npz") for name in ("train", "val"))
    classifier = tr.PairClassifier(**TINY, random_state=42)
    classifier.fit(*pairs, validation=(np.stack([val.xa, val.xb], 1), val.y))
    run = tr.Run("runs/first")
    np.testing.assert_array_equal(classifier.decision_function(pairs[0]), run.predictor().decision_function(train))
    assert [entry["val"] for entry in classifier.history_] == [entry["val"] for entry in run.history]


def test_probabilities_are_those_of_a_run_where_images_recur(
    pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    X, y = pairs
    again = X[[0, 1, 2, 3], 0][[[0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2]]], np.array([1, 0, 1, 1, 0, 0])
    values = {"options": {"width": 2, "levels": 2}, "epochs": 1, "batch_size": 32, "threads": 1}
    files = (X[8:, 0], X[8:, 1], y[8:]), (again[0][:, 0], again[0][:, 1], again[1])
    run = tr.train("order_net", *files, out=tmp_path / "run", hooks=Hooks(), seed=0, **values)
    classifier = tiny().fit(X[8:], y[8:], validation=again)
    expected = run.predictor().predict_proba(X[:, 0], X[:, 1])
    assert classifier.calibration_ is not None
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), expected)


@pytest.mark.parametrize("through", ["pickle", "joblib"])
def test_a_fitted_one_can_be_kept(
    through: str, fitted: tr.PairClassifier, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    random = torch.get_rng_state()
    if through == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "classifier.joblib")
        again = joblib.load(tmp_path / "classifier.joblib")
    np.testing.assert_array_equal(again.decision_function(pairs[0]), fitted.decision_function(pairs[0]))
    assert torch.equal(torch.get_rng_state(), random)
    assert again.get_params() == fitted.get_params()


def test_an_unfitted_one_can_be_kept_and_cloned(fitted: tr.PairClassifier) -> None:
    bare = pickle.loads(pickle.dumps(clone(fitted)))
    assert bare.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        bare.predict(np.zeros((1, 2, 28, 28), np.uint8))


@pytest.mark.parametrize("size", [(32, 28), (28, 32), (56, 56)])
def test_images_of_another_size_are_refused(fitted: tr.PairClassifier, size: tuple[int, int]) -> None:
    other = np.zeros((4, 2, 1, *size), np.uint8)
    words = f"`X` has images of shape (1, {size[0]}, {size[1]}) (C, H, W); the classifier was fitted to (1, 28, 28)"
    for method in (fitted.decision_function, fitted.predict_proba, fitted.predict):
        with pytest.raises(tr.InputError) as refused:
            method(other)
        assert str(refused.value) == words


def test_searches_and_pipelines(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:120] for part in pairs)
    assert len(cross_val_score(tiny(), X, y, cv=2)) == 2
    halved = make_pipeline(FunctionTransformer(lambda images: images // 2), tiny())
    search = GridSearchCV(halved, {"pairclassifier__lr": np.array([0.01, 0.02])}, cv=2).fit(X, y)
    assert search.best_params_["pairclassifier__lr"] in (0.01, 0.02)
    assert search.predict(X).shape == (120,)


def test_a_seed_decides_and_the_global_generators_are_left_alone(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:80] for part in pairs)
    random = torch.get_rng_state()
    first, second, other = (tiny(random_state=seed).fit(X, y).weights_ for seed in (1, 1, 2))
    assert first == second != other
    assert torch.equal(torch.get_rng_state(), random)
    np.random.seed(0)  # noqa: NPY002
    drawn = [tiny(random_state=None).fit(X, y).train_config_.seed for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_training_values_by_name(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:80] for part in pairs)
    values = tiny(values={"shift": np.int64(1)}, lr=np.float32(0.5)).fit(X, y).train_config_
    assert (values.shift, values.lr, values.epochs) == (1, 0.5, 1)
    with pytest.raises(tr.InputError, match="knows no value 'shiftt'; did you mean 'shift'"):
        tiny(values={"shiftt": 1}).fit(X, y)
    with pytest.raises(tr.InputError, match="model 'order_nett' does not exist; did you mean 'order_net'"):
        tiny(model="order_nett").fit(X, y)


def test_colour_and_floats(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:80] for part in pairs)
    colour = np.repeat(X, 3, axis=2) / 255
    classifier = tiny().fit(colour, y)
    assert classifier.image_shape_ == (3, 28, 28)
    assert classifier.predict(colour[:3]).shape == (3,)
    with pytest.raises(
        tr.InputError,
        match=r"`X` has images of shape \(1, 28, 28\) \(C, H, W\); the classifier was fitted to \(3, 28, 28\)",
    ):
        classifier.predict(X)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((6, 784), r"`X` has shape \(6, 784\), not \(N, 2, H, W\)"),
        ((6, 3, 28, 28), r"`X` has shape \(6, 3, 28, 28\), not \(N, 2, H, W\)"),
        ((6, 2, 28, 28, 3), "28 channels; channels come before height"),
        ((6, 2, 4, 4), "images of 4 x 4 pixels"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(tr.InputError, match=words):
        tiny().fit(np.zeros(shape, np.uint8), np.arange(len(np.zeros(shape))) % 2)


def test_what_cannot_be_fitted_is_refused(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:80] for part in pairs)
    with pytest.raises(tr.InputError, match="`y` has one class; two are needed"):
        tiny().fit(X, np.ones(80))
    with pytest.raises(tr.InputError, match="`y` has 3 classes"):
        tiny().fit(X, np.arange(80) % 3)
    with pytest.raises(tr.InputError, match="`validation` has the class 7"):
        tiny().fit(X, y, validation=(X, np.full(80, 7)))
    for share in (0, 1, 0.999):
        with pytest.raises(tr.InputError, match="`validation_fraction` is"):
            tiny(validation_fraction=share).fit(X, y)
    with pytest.raises(tr.InputError, match="floats are 0 to 1"):
        tiny().fit(X.astype(float), y)


def test_pairs_that_share_an_image_choose_the_epoch_together(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = (part[:80] for part in pairs)
    mirrored, labels = np.concatenate([X, X[:, ::-1]]), np.concatenate([y, 1 - y])
    data = tr.Judgements.from_arrays(mirrored[:, 0], mirrored[:, 1], labels)
    rest, chosen = tiny(validation_fraction=0.2)._split(data, 0)
    assert len(chosen) == 32
    assert chosen.y is not None
    assert chosen.y.mean() == 0.5
    ids = {int(row) % 80 for row in chosen.row_ids}
    assert not ids & {int(row) % 80 for row in rest.row_ids}
    # One image in every pair: single pairs have to do.
    joined = tr.Judgements.from_arrays(np.repeat(X[:1, 0], 80, 0), X[:, 1], y)
    assert len(tiny()._split(joined, 0)[1]) == 8


def test_verbose_shows_epochs(pairs: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]) -> None:
    X, y = (part[:80] for part in pairs)
    tiny().fit(X, y)
    assert capsys.readouterr().err == ""
    tiny(verbose=True).fit(X, y)
    assert "epoch   1/1" in capsys.readouterr().err


class Stop(Hooks):
    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        raise KeyboardInterrupt


def test_a_stopped_one_is_stopped(pairs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinrank.api.classifier.Hooks", Stop)
    with pytest.raises(KeyboardInterrupt):
        tiny().fit(*pairs)


class OnTables(tr.PairClassifier):
    """The classifier on tables, since the checks of scikit-learn know nothing else: a row becomes a pair of images."""

    def _images(self, X: Any, *, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, dtype=np.float64)
        image = (1 / (1 + np.exp(-X)))[:, np.resize(np.arange(X.shape[1]), (8, 8))]
        return np.stack([image, np.full_like(image, 0.5)], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


ON_TABLES = OnTables(
    "compare_net", epochs=3, batch_size=16, threads=1, values={"easy_share": 1.0, "shift": 0, "contrastive_weight": 0.0}
)


@parametrize_with_checks([ON_TABLES])
def test_the_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
