"""Metrics of what people said: shares, ties, numbers of votes, and images that recur."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from twinrank.errors import InputError
from twinrank.evaluation import metrics
from twinrank.evaluation.estimates import mean_over_runs, share
from twinrank.evaluation.resampling import recurs, resampled_sums

APART = np.arange(80).reshape(40, 2)


def judged(seed: int, images: int, rows: int, noise: float = 1.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, logits and images where a predictor errs by image."""
    rng = np.random.default_rng(seed)
    truth, error = rng.normal(0, 3, images), rng.normal(0, 2 * noise, images)
    pairs = rng.integers(0, images, (2 * rows, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]][:rows]
    difference, wrong = (each[pairs[:, 0]] - each[pairs[:, 1]] for each in (truth, error))
    return (rng.random(len(pairs)) < expit(difference)).astype(np.int8), difference + wrong, pairs


def counted(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes for left, votes in all, and logits of some pairs."""
    rng = np.random.default_rng(seed)
    votes = rng.integers(1, 6, 40)
    return rng.binomial(votes, 0.6), votes, rng.normal(0, 2, 40)


@given(st.integers(0, 1000))
def test_votes_count_the_same_in_one_row_or_in_many(seed: int) -> None:
    left, votes, logit = counted(seed)
    single = np.concatenate([np.r_[np.ones(k), np.zeros(n - k)] for k, n in zip(left, votes, strict=True)])
    apart = metrics.score(single, np.repeat(logit, votes), draws=2)
    together = metrics.score(left / votes, logit, weight=votes, draws=2)
    for name, estimate in together.items():
        assert estimate.value == pytest.approx(apart[name].value), name
    assert np.array_equal(
        metrics.confusion_matrix(left / votes, logit, weight=votes),
        metrics.confusion_matrix(single, np.repeat(logit, votes)),
    )


def test_ties_are_left_to_the_log_loss() -> None:
    y, logit, _ = judged(0, 1000, 40)
    tie = np.arange(40) % 4 == 0
    shares = np.where(tie, 0.5, y)
    found, decided = metrics.score(shares, logit, tie=tie), metrics.score(y[~tie], logit[~tie])
    for name in ("accuracy", "macro_f1", "brier", "expected_calibration_error"):
        assert found[name].value == pytest.approx(decided[name].value)
        assert found[name].n == 30
    assert found["accuracy"] == decided["accuracy"]
    assert found["log_loss"].n == 40
    # A tie is half a vote for each side where the network knows no ties.
    each = np.where(
        tie, (np.logaddexp(0, -logit) + np.logaddexp(0, logit)) / 2, np.logaddexp(0, np.where(y, -1, 1) * logit)
    )
    assert found["log_loss"].value == pytest.approx(each.mean())


def test_the_log_loss_of_three_outcomes_is_that_of_davidson() -> None:
    y, logit, nu = np.array([1.0, 0.0, 0.5]), np.array([0.8, 0.3, -0.4]), 0.7
    parts = np.stack([np.exp(logit / 2), np.full(3, nu), np.exp(-logit / 2)])
    chance = (parts / parts.sum(0))[[0, 2, 1], [0, 1, 2]]
    found = metrics.log_loss(y, logit, tie=np.array([False, False, True]), nu=nu)
    assert found == pytest.approx(-np.log(chance).mean())


def test_a_share_is_a_cross_entropy() -> None:
    chance = expit(0.9)
    expected = -(0.7 * np.log(chance) + 0.3 * np.log(1 - chance))
    assert metrics.log_loss(np.array([0.7]), np.array([0.9])) == pytest.approx(expected)
    assert metrics.accuracy(np.array([0.7]), np.array([0.9])) == pytest.approx(0.7)
    assert metrics.log_loss(np.array([0.5]), np.array([0.0])) == pytest.approx(np.log(2))


def test_where_no_image_recurs_nothing_changes() -> None:
    y, logit, _ = judged(1, 1000, 40)
    assert metrics.score(y, logit, images=APART) == metrics.score(y, logit)
    assert metrics.score(y.astype(np.float32), logit, weight=np.ones(40)) == metrics.score(y, logit)
    assert not recurs(APART)
    assert recurs(np.array([[0, 1], [2, 0]]))
    assert not recurs(np.array([[0, 0], [1, 2]]))


def test_images_are_named_where_they_recur() -> None:
    y, logit, images = judged(2, 30, 200)
    for name, estimate in metrics.score(y, logit, images=images).items():
        assert "image bootstrap 95%" in estimate.interval, name
        assert estimate.images == len(np.unique(images))
        assert estimate.record()["images"] == estimate.images
        assert estimate.low <= estimate.value <= estimate.high
    assert "images" not in metrics.score(y, logit)["brier"].record()


def test_intervals_cover_other_images_where_those_of_rows_do_not() -> None:
    truth = np.mean([metrics.accuracy(*judged(1000 + seed, 500, 2000)[:2]) for seed in range(40)])
    covered = np.zeros(2)
    for seed in range(50):
        y, logit, images = judged(seed, 50, 500)
        found = metrics.share_right(y, logit, images=images), metrics.share_right(y, logit)
        covered += [each.low <= truth <= each.high for each in found]
    assert covered[0] >= 46
    assert covered[1] <= 40


def test_few_images_and_right_decisions_alone_leave_doubt() -> None:
    images = np.stack(np.triu_indices(8, 1), 1)
    right = share(np.ones(28), images=images)
    assert right.value == right.high == 1
    assert 0.7 < right.low < 0.88
    one_pair = share(np.r_[np.ones(7), np.zeros(3)], images=np.tile([4, 9], (10, 1)))
    assert one_pair.low < 0.1 < 0.95 < one_pair.high
    assert (one_pair.value, one_pair.images, one_pair.n) == (0.7, 2, 10)


def test_an_image_beside_itself_counts_as_one_image() -> None:
    images = np.array([[0, 0], [0, 1], [2, 2], [1, 2]])
    drawn = resampled_sums(np.eye(4), images, seed=0, draws=4000)
    # Of three images one is drawn once on average; the product of two multiplicities is 2 / 3 on average.
    everything = drawn.sum(0) / 4000
    assert everything == pytest.approx([1, 2 / 3, 1, 2 / 3], abs=0.06)
    assert np.array_equal(drawn[:, 1] > 0, (drawn[:, 0] > 0) & (drawn[:, 1] > 0))


def test_equal_pairs_are_resampled_together() -> None:
    images = np.array([[3, 7], [7, 3], [3, 5]])
    drawn = resampled_sums(np.eye(3), images, seed=1, draws=200)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])
    assert len(drawn) < 200


def test_one_row_after_the_other_is_all_the_same() -> None:
    y, logit, images = judged(3, 12, 60)
    order = np.random.default_rng(0).permutation(60)
    found, again = (
        metrics.score(y[rows], logit[rows], images=images[rows])["log_loss"] for rows in (np.arange(60), order)
    )
    assert (found.value, found.low, found.high) == pytest.approx((again.value, again.low, again.high))


def test_curves_have_the_intervals_of_their_rows() -> None:
    y, logit, images = judged(4, 20, 400)
    plain, by_image = metrics.reliability_curve(y, logit), metrics.reliability_curve(y, logit, images=images)
    assert np.array_equal(plain.accuracy, by_image.accuracy)
    assert (by_image.low <= plain.low + 1e-12).all()
    assert (by_image.high >= plain.high - 1e-12).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0.5, 1.5]}, "label 1.5 in row 1"),
        ({"y": [0.5, np.nan]}, "label nan in row 1"),
        ({"weight": [1.0, 0.0]}, "weight 0.0 in row 1"),
        ({"weight": [1.0, np.inf]}, "weight inf in row 1"),
        ({"weight": [1.0]}, "`weight`"),
        ({"tie": [True, True]}, "every row is a tie"),
        ({"y": [0.5, 0.5]}, "every row is a tie or an even share"),
        ({"images": [[0, 1]]}, "`images` has shape"),
    ],
)
def test_what_nobody_can_have_said_is_refused(change: dict, message: str) -> None:
    given: dict[str, Any] = {name: np.array(values) for name, values in change.items()}
    y = given.pop("y", np.array([1.0, 0.0]))
    with pytest.raises(InputError, match=message):
        metrics.score(y, np.array([0.5, 0.5]), **given)


def test_the_mean_over_runs_has_the_interval_of_one_run() -> None:
    y, logit, images = judged(5, 30, 300)
    runs = [metrics.share_right(y, logit + shift) for shift in (-0.5, 0.5)]
    mean = mean_over_runs(runs)
    assert mean.value == pytest.approx((runs[0].value + runs[1].value) / 2)
    assert (mean.interval, mean.n) == ("Wilson 95%", 300)
    over_images = [metrics.share_right(y, logit + shift, images=images) for shift in (-0.5, 0.5)]
    wide = mean_over_runs([runs[0], *over_images[1:]])
    assert (wide.images, wide.interval) == (30, "image bootstrap 95%")
    assert wide.value == pytest.approx(mean.value)
    assert wide.low < mean.low < mean.high < wide.high
