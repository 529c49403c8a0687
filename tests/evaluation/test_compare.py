import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinrank.errors import InputError
from twinrank.evaluation.compare import accuracy_difference, detectable_difference, holm, mcnemar, paired_tests
from twinrank.evaluation.predictions import Predictions


def predictions(right: np.ndarray, y: np.ndarray) -> Predictions:
    """Predictions that are right where ``right`` is."""
    logit = np.where(right, 1.0, -1.0) * np.where(y == 1, 1.0, -1.0)
    return Predictions(np.arange(len(y)).astype(str), logit.astype(np.float32), y.astype(np.int8))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_the_difference_is_that_of_the_accuracies(seed: int, seeds: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 50)
    right = rng.random((2, seeds, 50)) < 0.7
    first, second = ([predictions(each, y) for each in way] for way in right)
    found = accuracy_difference(first, second)
    by_seed = right[1].mean(1) - right[0].mean(1)
    assert found.estimate.value == pytest.approx(by_seed.mean())
    assert found.by_seed == pytest.approx(by_seed)
    assert found.estimate.low <= found.estimate.value + 1e-12
    assert found.estimate.high >= found.estimate.value - 1e-12
    assert found.estimate.n == 50


def test_a_way_compared_with_itself_has_no_difference_and_no_doubt() -> None:
    y = np.arange(40) % 2
    one = [predictions(np.arange(40) % 3 > 0, y)]
    estimate = accuracy_difference(one, one).estimate
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_intervals_cover_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)

    def ways(n: int) -> tuple[np.ndarray, np.ndarray]:
        """What two ways of like mind are right on."""
        luck = rng.random(n)
        return luck < 0.8, luck + 0.1 * rng.standard_normal(n) < 0.8

    first, second = ways(2_000_000)
    truth, covered = second.mean() - first.mean(), 0
    for _ in range(200):
        y = rng.integers(0, 2, 400)
        one, other = (predictions(way, y) for way in ways(400))
        estimate = accuracy_difference([one], [other]).estimate
        covered += estimate.low <= truth <= estimate.high
    assert 180 <= covered <= 199


def test_what_cannot_be_compared_is_refused() -> None:
    y = np.arange(10) % 2
    one = predictions(y == 1, y)
    other = predictions(y == 1, 1 - y)
    with pytest.raises(InputError, match="different rows"):
        accuracy_difference([one], [other])
    with pytest.raises(InputError, match="1 runs are compared with 2"):
        accuracy_difference([one], [one, one])
    with pytest.raises(InputError, match="rows without labels"):
        accuracy_difference([Predictions(one.id, one.logit, None)], [one])


def test_mcnemar_is_the_binomial_test_of_the_rows_that_differ() -> None:
    y = np.ones(20, int)
    first, second = np.ones(20), np.ones(20)
    first[:3], second[3:10] = -1, -1
    found = mcnemar(y, first, second)
    assert (found.first_alone, found.second_alone) == (7, 3)
    exact = 2 * sum(math.comb(10, k) for k in range(4)) / 2**10
    assert found.p == pytest.approx(exact)
    assert mcnemar(y, second, first).p == pytest.approx(exact)
    assert mcnemar(y, first, first).p == 1.0


def test_holm_steps_down_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_detectable_difference_is_found_with_80_percent_power() -> None:
    n, discordant = 4000, 0.1
    gap = detectable_difference(math.sqrt(discordant / n))
    random = np.random.default_rng(0)
    counts = random.multinomial(n, [discordant / 2 - gap / 2, discordant / 2 + gap / 2, 1 - discordant], 400)
    found = []
    for one, other, _ in counts:
        first = np.ones(n)
        second = np.ones(n)
        first[:other] = -1
        second[other : other + one] = -1
        found.append(mcnemar(np.ones(n, int), first, second).p < 0.05)
    assert 0.7 < np.mean(found) < 0.9


def two_ways(seed: int, images: int, rows: int, better: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, images, and the logits of two ways that err by image, the second with smaller errors."""
    rng = np.random.default_rng(seed)
    truth, errors = rng.normal(0, 3, images), rng.normal(0, 2, (2, images)) * [[1], [1 - better]]
    pairs = rng.integers(0, images, (2 * rows, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]][:rows]
    difference, first, second = (each[pairs[:, 0]] - each[pairs[:, 1]] for each in (truth, *(truth + errors)))
    return (rng.random(len(pairs)) < 1 / (1 + np.exp(-difference))).astype(np.int8), pairs, first, second


def test_ways_that_err_by_image_are_tested_over_images() -> None:
    alarms = np.zeros(2)
    for seed in range(40):
        y, images, first, second = two_ways(seed, 30, 1000, better=0.0)
        over_images, counted = paired_tests(y, first, [second], images=images)[0], mcnemar(y, first, second)
        alarms += [over_images.p < 0.05, counted.p < 0.05]
        assert (over_images.first_alone, over_images.second_alone) == (counted.first_alone, counted.second_alone)
    assert alarms[0] <= 4
    assert alarms[1] >= 10


def test_a_clear_difference_is_found_over_images() -> None:
    y, images, first, second = two_ways(0, 80, 2000, better=0.9)
    worse, same = paired_tests(y, first, [second, first], images=images)
    assert worse.p < 0.01
    assert (worse.test, worse.images) == ("bootstrap over images", 80)
    assert (same.p, same.error) == (1, 0)
    ways = [Predictions(np.arange(len(y)).astype(str), way, y, images=images) for way in (first, second)]
    estimate = accuracy_difference(ways[:1], ways[1:]).estimate
    assert 0 < estimate.low < estimate.value < estimate.high
    assert (estimate.interval, estimate.images) == ("paired image bootstrap 95%", 80)


def test_rows_without_common_images_are_counted() -> None:
    y, _, first, second = two_ways(1, 40, 100, better=0.5)
    apart = np.arange(200).reshape(100, 2)
    expected = mcnemar(y, first, second)
    assert paired_tests(y, first, [second], images=apart, weight=np.ones(100)) == [expected]
    tie = np.arange(100) % 5 == 0
    assert paired_tests(np.where(tie, 0.5, y), first, [second], tie=tie) == [
        mcnemar(y[~tie], first[~tie], second[~tie])
    ]
    assert paired_tests(y, first, [second], weight=np.full(100, 3.0))[0].test == "bootstrap over rows"


def test_votes_in_one_row_are_compared_as_in_many() -> None:
    votes, left = np.array([3.0, 1.0, 2.0, 4.0]), np.array([2.0, 1.0, 1.0, 0.0])
    first, second = np.array([1.0, 1.0, -1.0, 1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    ids = np.arange(4).astype(str)
    together = [Predictions(ids, way, left / votes, weight=votes) for way in (first, second)]
    single = np.concatenate([np.r_[np.ones(int(k)), np.zeros(int(n - k))] for k, n in zip(left, votes, strict=True)])
    counts = votes.astype(int)
    apart = [Predictions(np.arange(10).astype(str), np.repeat(way, counts), single) for way in (first, second)]
    found, expected = (accuracy_difference(ways[:1], ways[1:]) for ways in (together, apart))
    assert found.estimate.value == pytest.approx(expected.estimate.value)
    assert found.by_seed == pytest.approx(expected.by_seed)
