import numpy as np
import pytest
from scipy.special import expit

from twinrank.evaluation.learning_curve import FEWEST, SHARES, LearningCurve, learning_curve

IMAGES = 40


def crowd(rows: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Judgements of images whose scores have a standard deviation of ``spread``."""
    rng = np.random.default_rng(1)
    score = rng.normal(0, spread, IMAGES)
    left = rng.integers(0, IMAGES, rows)
    right = (left + rng.integers(1, IMAGES, rows)) % IMAGES
    return left, right, (rng.random(rows) < expit(score[left] - score[right])).astype(np.float64)


def win_rates(left: np.ndarray, right: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rough scores: log-odds of the wins, with four won and four lost comparisons more."""
    won = np.bincount(left, y, IMAGES) + np.bincount(right, 1 - y, IMAGES)
    lost = np.bincount(left, 1 - y, IMAGES) + np.bincount(right, y, IMAGES)
    return np.log((won + 4) / (lost + 4))


def curve_of(rows: int, spread: float) -> LearningCurve | None:
    left, right, y = crowd(rows, spread)
    return learning_curve(left, right, y, lambda some: win_rates(left[some], right[some], y[some]))


def test_judgements_that_tell_images_apart_raise_the_curve() -> None:
    curve = curve_of(3000, 1.5)
    assert curve is not None
    assert [point.judgements for point in curve.points] == [0, 300, 600, 1200, 2400]
    assert curve.points[0].log_loss.value == pytest.approx(np.log(2))
    assert (np.diff([point.log_loss.value for point in curve.points]) < 0).all()
    assert curve.points[-1].accuracy.value > 0.7
    assert 0 < curve.gain.low < curve.gain.value < curve.gain.high
    assert curve.gain.value == pytest.approx(curve.points[-2].log_loss.value - curve.points[-1].log_loss.value)
    assert (curve.folds, curve.gain.n, curve.gain.images) == (5, 3000, IMAGES)


def test_votes_by_chance_bring_no_gain() -> None:
    curve = curve_of(3000, 0.0)
    assert curve is not None
    assert curve.gain.low < 0.002


def test_no_judgement_of_a_held_out_pair_is_ever_fitted() -> None:
    left, right, y = crowd(500, 1.0)
    pairs = np.sort(np.stack([left, right], 1), 1) @ [IMAGES, 1]
    given: list[np.ndarray] = []

    def fit(some: np.ndarray) -> np.ndarray:
        given.append(some)
        return np.zeros(IMAGES)

    learning_curve(left, right, y, fit)
    assert len(given) == 5 * len(SHARES)
    for *parts, whole in zip(*[iter(given)] * len(SHARES), strict=True):
        held_out = np.setdiff1d(np.arange(500), whole)
        assert not np.isin(pairs[held_out], pairs[whole]).any()
        for smaller, larger in zip(parts, [*parts[1:], whole], strict=True):
            assert np.isin(smaller, larger).all()
    assert len(np.unique(np.concatenate(given[len(SHARES) - 1 :: len(SHARES)]))) == 500


def test_ties_and_numbers_of_votes_count() -> None:
    left, right, y = crowd(400, 1.0)
    tie = np.arange(400) % 4 == 0
    y[tie] = 0.5
    curve = learning_curve(left, right, y, lambda _: np.zeros(IMAGES), tie=tie, weight=np.full(400, 3.0), nu=0.5)
    assert curve is not None
    assert curve.points[0].accuracy.n == 300
    assert curve.points[0].log_loss.value == pytest.approx(0.25 * np.log(5) + 0.75 * np.log(2.5))
    assert curve.gain.value == 0


def test_too_few_judgements_or_pairs_have_no_curve() -> None:
    assert curve_of(FEWEST - 1, 1.0) is None
    few = np.zeros(400, np.int64)
    assert learning_curve(few, few + 1, np.ones(400), lambda _: np.zeros(2)) is None
    left, right, _ = crowd(400, 1.0)
    tie = np.ones(400, bool)
    assert learning_curve(left, right, np.full(400, 0.5), lambda _: np.zeros(IMAGES), tie=tie) is None
