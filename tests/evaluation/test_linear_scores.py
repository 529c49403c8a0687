"""Linear scores of image features, and the principal axes that they are fitted on."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

from twinrank.data.image_folds import assign_images
from twinrank.errors import InputError
from twinrank.evaluation import linear_scores, penalised, principal_axes
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import log_likelihood, slopes
from twinrank.evaluation.linear_scores import FoldMasks, LinearScores, fit_linear_scores
from twinrank.evaluation.penalised import Penalised, Votes
from twinrank.evaluation.principal_axes import PrincipalAxes
from twinrank.evaluation.simulate import Crowd, simulate_crowd

IMAGES, FEATURES, ROWS = 200, 12, 1500


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, true scores that are linear in the first three of them, and pairs."""
    random = np.random.default_rng(seed)
    features = random.normal(1.0, 2.0, (IMAGES, FEATURES)).astype(np.float32)
    truth = features[:, :3] @ np.array([1.0, -0.7, 0.4])
    pairs = np.array([random.choice(IMAGES, 2, replace=False) for _ in range(ROWS)])
    return features, truth, pairs


def folds_of(pairs: np.ndarray) -> FoldMasks:
    fold, _, images = assign_images(pairs, 7, 0, 0)
    return FoldMasks(fold, np.stack([images.apart(each) for each in range(7)]))


def fitted(y: np.ndarray, pairs: np.ndarray, *blocks: np.ndarray) -> LinearScores:
    return fit_linear_scores(blocks, Comparisons(pairs[:, 0], pairs[:, 1], y), folds_of(pairs))


def test_scores_are_those_behind_the_judgements() -> None:
    features, truth, pairs = made()
    z = truth[pairs[:, 0]] - truth[pairs[:, 1]]
    y = (np.random.default_rng(1).random(ROWS) < expit(z)).astype(float)
    scores = fitted(y, pairs, features)
    (block,) = scores.blocks
    assert np.allclose(block.weight[:3], [1.0, -0.7, 0.4], atol=0.25)
    assert np.abs(block.weight[3:]).max() < 0.25
    # Out-of-fold predictions are calibrated: their own scale would be 1.
    assert np.isclose(scores.log_loss, -np.mean(np.log(expit(np.where(y == 1, z, -z)))), atol=0.03)


def test_swapped_judgements_give_negated_predictions() -> None:
    features, truth, pairs = made()
    y = (truth[pairs[:, 0]] > truth[pairs[:, 1]]).astype(float)
    one, other = fitted(y, pairs, features), fitted(1 - y, pairs[:, ::-1], features)
    assert np.allclose(one.blocks[0].weight, other.blocks[0].weight, rtol=1e-3, atol=1e-4)
    assert np.allclose(one.out_of_fold, -other.out_of_fold, rtol=1e-2, atol=1e-2)


def test_no_label_of_an_image_reaches_its_out_of_fold_predictions() -> None:
    _, _, pairs = made()
    random = np.random.default_rng(2)
    # As many features as images could learn every label, yet the labels are random.
    noise = random.normal(size=(IMAGES, 2 * IMAGES)).astype(np.float32)
    scores = fitted(random.integers(0, 2, ROWS).astype(float), pairs, noise)
    assert scores.log_loss > 0.66
    assert not np.isnan(scores.unseen[np.unique(pairs)]).any()


def test_a_block_that_tells_nothing_gets_no_weight() -> None:
    features, truth, pairs = made()
    random = np.random.default_rng(3)
    y = (random.random(ROWS) < expit(truth[pairs[:, 0]] - truth[pairs[:, 1]])).astype(float)
    both = np.concatenate([features, random.normal(size=(IMAGES, 300)).astype(np.float32)], 1)
    scores = fitted(y, pairs, features, both[:, FEATURES:], both)
    shares = [block.share for block in scores.blocks]
    assert shares[0] > 3 * max(shares[1], shares[2])
    assert scores.log_loss < fitted(y, pairs, both).log_loss


def test_careless_raters_are_found_and_ties_are_modelled() -> None:
    features, truth, pairs = made()
    crowd = Crowd(np.array([1.5, 1.5, 1.5, 0.05, 0.05]), np.zeros(5), 0.5)
    seen = simulate_crowd(truth, pairs[:, 0], pairs[:, 1], crowd, 4)
    rows = Comparisons(pairs[:, 0], pairs[:, 1], seen.y, seen.tie, None, np.array(crowd.names)[seen.rater])
    scores = fit_linear_scores([features], rows, folds_of(pairs))
    assert scores.judging.sharpness[3:].max() < scores.judging.sharpness[:3].min() / 3
    assert 0.3 < scores.judging.nu < 0.8
    plain = fit_linear_scores([features], Comparisons(pairs[:, 0], pairs[:, 1], seen.y, seen.tie), folds_of(pairs))
    true = truth - truth.mean()

    def correlation(weight: np.ndarray) -> float:
        return float(np.corrcoef(features @ weight, true)[0, 1])

    assert correlation(scores.blocks[0].weight) > correlation(plain.blocks[0].weight)


def test_a_fold_without_anything_to_fit_is_refused() -> None:
    features, _, pairs = made()
    masks = FoldMasks(np.zeros(ROWS, int), np.zeros((1, ROWS), bool))
    with pytest.raises(InputError, match="leaves no judgement to fit"):
        fit_linear_scores([features], Comparisons(pairs[:, 0], pairs[:, 1], np.ones(ROWS)), masks)


@pytest.mark.parametrize(("images", "length"), [(50, 20), (20, 50)])
def test_all_axes_keep_all_distances(images: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(5).normal(3, 2, (images, length)).astype(np.float32)
    axes = PrincipalAxes.of(features)
    standard = (features - features.mean(0)) / (features.std(0) * np.sqrt(length))
    monkeypatch.setattr(principal_axes, "_IMAGES_AT_ONCE", 16)
    coordinates = axes.coordinates(features, np.arange(images))
    assert np.allclose(coordinates @ coordinates.T, standard @ standard.T, atol=1e-4)
    chosen = np.arange(images)[::-2]
    assert np.allclose(axes.coordinates(features, chosen), coordinates[chosen], atol=1e-6)
    weight = np.random.default_rng(6).normal(size=axes.axes.shape[1])
    expected = coordinates @ weight
    assert np.allclose((features - axes.mean) @ axes.weights(weight), expected, atol=1e-3)


def test_leading_axes_of_many_images_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    features = (random.normal(size=(300, 8)) @ random.normal(size=(8, 90)) + random.normal(0, 0.1, (300, 90))).astype(
        "f4"
    )
    exact = PrincipalAxes.of(features)
    for name, value in (("_MOST_EXACT", 10), ("_MOST_AXES", 6), ("_ROWS_AT_ONCE", 64)):
        monkeypatch.setattr(principal_axes, name, value)
    leading = PrincipalAxes.of(features)
    assert leading.axes.shape == (90, 6)
    assert np.allclose(np.abs((leading.axes * exact.axes[:, :6]).sum(0)), 1, atol=1e-3)


def test_a_feature_of_one_value_changes_nothing() -> None:
    features, truth, pairs = made()
    y = (truth[pairs[:, 0]] > truth[pairs[:, 1]]).astype(float)
    constant = np.concatenate([features, np.full((IMAGES, 1), 7.0, np.float32)], 1)
    (block,) = fitted(y, pairs, constant).blocks
    assert block.weight[-1] == 0
    assert np.isfinite(block.weight).all()


def test_many_images_and_judgements_give_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features, truth, pairs = made()
    left, right = pairs.T
    seen = simulate_crowd(truth, left, right, Crowd(np.array([2.0, 1.0, 0.1]), np.zeros(3), 0.5), 4)
    rows = Comparisons(left, right, seen.y, seen.tie, None, seen.rater.astype(str))
    exact = fit_linear_scores([features], rows, folds_of(pairs))
    for name, value in (("_MOST_FOR_AXES", 50), ("_MANY", 100)):
        monkeypatch.setattr(linear_scores, name, value)
    scores = fit_linear_scores([features.astype(np.float16)], rows, folds_of(pairs))
    assert np.std(scores.out_of_fold - exact.out_of_fold) < 0.05 * np.std(exact.out_of_fold)
    assert np.isclose(scores.log_loss, exact.log_loss, atol=1e-3)


@pytest.mark.parametrize("nu", [0.0, 0.7])
def test_fits_of_all_folds_are_those_of_each_by_itself(nu: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalised, "_ROWS_AT_ONCE", 100)
    random, (features, _, pairs) = np.random.default_rng(8), made()
    y, tie, votes, fitted = random.random(ROWS), random.random(ROWS) < 0.3, random.integers(1, 5, ROWS), folds_of(pairs)
    sharpness, spread = random.lognormal(0, 0.5, ROWS), 0.5
    order, shape = np.arange(ROWS), (ROWS, IMAGES)
    signs = np.concatenate([sharpness, -sharpness]).astype(np.float32)
    seen = csr_array((signs, (np.tile(order, 2), pairs.T.ravel())), shape)
    rows = Votes(y[:, None], tie[:, None], votes[:, None].astype(np.float32), fitted.fitted.T, nu)
    found = Penalised(features, seen, rows).weights(spread, np.zeros((FEATURES, len(fitted.fitted))))
    for weights, used in zip(found.T, fitted.fitted, strict=True):

        def objective(weight: np.ndarray, used: np.ndarray = used) -> tuple[float, np.ndarray]:
            x = (sharpness[:, None] * (features[pairs[:, 0]] - features[pairs[:, 1]])).astype(np.float64)[used]
            u = x @ weight
            likelihood = log_likelihood(u, y[used], tie[used], votes[used], nu).sum()
            slope = x.T @ (votes[used] * slopes(u, y[used], tie[used], nu)[0])
            return weight @ weight / spread**2 / 2 - likelihood, weight / spread**2 - slope

        alone = minimize(objective, np.zeros(FEATURES), jac=True, method="BFGS").x
        assert np.allclose(weights, alone, atol=1e-3)
