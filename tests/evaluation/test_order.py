import json
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from twinrank.errors import InputError
from twinrank.evaluation.order import OrderReport, order_report

SEEDS = st.integers(0, 2**32 - 1)


def of_strengths(strengths: np.ndarray) -> np.ndarray:
    return strengths[:, None] - strengths


def undecided(images: int, seed: int) -> np.ndarray:
    """Random logits that are antisymmetric."""
    above = np.triu(np.random.default_rng(seed).normal(0, 2, (images, images)), 1)
    return above - above.T


def noisy(images: int, seed: int) -> np.ndarray:
    """Differences of strengths, and noise."""
    strengths = np.random.default_rng([seed, 1]).normal(0, 2, images)
    return of_strengths(strengths) + undecided(images, seed) / 2


def is_cycle(logit: np.ndarray, images: Any) -> bool:
    """Of images in ascending order: the first is over the second, and so on round, or all the other way round."""
    first, second, third = images
    decided = logit[first, second] > 0, logit[second, third] > 0, logit[first, third] <= 0
    return len(set(decided)) == 1


def cycles_of(logit: np.ndarray) -> list[tuple[int, ...]]:
    return [triad for triad in combinations(range(len(logit)), 3) if is_cycle(logit, triad)]


@settings(max_examples=25)
@given(
    st.lists(st.integers(-100, 100), min_size=3, max_size=30, unique=True),
    st.floats(0.02, 0.2),
    st.sampled_from([0, 2]),
)
def test_differences_of_strengths_are_one_ranking(ranks: list[int], scale: float, power: int) -> None:
    strengths = scale * np.array(ranks)
    difference = of_strengths(strengths)
    # Any odd function of the difference has the same order, but few are differences of strengths themselves.
    report = order_report(difference * np.abs(difference) ** power, draws=20)
    assert (report.cyclic, report.cyclic_triads.value, report.cycles) == (0, 0, ())
    assert (report.explained.value, report.explained.low) == (1, 1)
    assert (report.swap_violations, report.ties) == (0, 0)
    assert np.array_equal(report.ranking, np.argsort(-strengths))
    assert report.strengths.sum() == pytest.approx(0, abs=1e-9)
    if power == 0:
        np.testing.assert_allclose(report.strengths, strengths - strengths.mean(), atol=1e-6)


@settings(max_examples=25)
@given(st.integers(3, 12), SEEDS)
def test_cyclic_triads_are_those_that_brute_force_finds(images: int, seed: int) -> None:
    logit = undecided(images, seed)
    report = order_report(logit, draws=20)
    assert report.cyclic == len(cycles_of(logit))
    assert report.cyclic_triads.value == pytest.approx(report.cyclic / report.triads)
    assert report.triads == len(list(combinations(range(images), 3)))


@settings(max_examples=25)
@given(st.integers(3, 12), SEEDS)
def test_the_listed_cycles_are_the_clearest_ones(images: int, seed: int) -> None:
    logit = undecided(images, seed)
    report = order_report(logit, cycles=images, draws=20)
    left = cycles_of(logit)
    for cycle in report.cycles:
        round_it = list(zip(cycle.images, np.roll(cycle.images, -1).tolist(), strict=True))
        assert [logit[pair] for pair in round_it] == list(cycle.logits)
        assert min(cycle.logits) == cycle.logits[2] > 0
        clarity = {triad: sorted(abs(logit[pair]) for pair in combinations(triad, 2)) for triad in left}
        assert max(clarity, key=lambda triad: clarity[triad]) == tuple(sorted(cycle.images))
        left = [triad for triad in left if not set(triad) & set(cycle.images)]
    assert not left
    assert len(order_report(logit, cycles=1, draws=20).cycles) == min(1, len(report.cycles))


@settings(max_examples=25)
@given(st.integers(3, 12), SEEDS)
def test_the_ranking_is_the_likeliest_and_explains_what_it_agrees_with(images: int, seed: int) -> None:
    logit = noisy(images, seed)
    report = order_report(logit, draws=20)
    difference = of_strengths(report.strengths)
    # Where the likelihood is flat, each image wins as often as its strength predicts.
    np.testing.assert_allclose((expit(difference) - expit(logit)).sum(1), 0, atol=1e-5)
    above = np.triu_indices(images, 1)
    assert report.explained.value == pytest.approx(np.mean((difference > 0)[above] == (logit > 0)[above]))
    assert np.array_equal(report.ranking, np.argsort(-report.strengths))


@settings(max_examples=25)
@given(st.integers(3, 12), SEEDS)
def test_names_of_images_change_nothing(images: int, seed: int) -> None:
    logit = noisy(images, seed)
    places = np.random.default_rng(seed).permutation(images)
    report, renamed = order_report(logit, draws=20), order_report(logit[np.ix_(places, places)], draws=20)
    assert (renamed.cyclic, renamed.explained.value) == (report.cyclic, pytest.approx(report.explained.value))
    np.testing.assert_allclose(renamed.strengths, report.strengths[places], atol=1e-5)
    assert [places[list(cycle.images)].tolist() for cycle in renamed.cycles] == [
        list(cycle.images) for cycle in report.cycles
    ]
    assert [cycle.logits for cycle in renamed.cycles] == [cycle.logits for cycle in report.cycles]


def test_random_decisions_have_a_quarter_of_cycles() -> None:
    report = order_report(undecided(300, 0))
    assert report.cyclic_triads.value == pytest.approx(0.25, abs=0.002)
    assert report.explained.value < 0.6
    assert len(report.cycles) == 6
    assert len({each for cycle in report.cycles for each in cycle.images}) == 18


def test_intervals_cover_what_other_images_give() -> None:
    truth: OrderReport = order_report(noisy(400, 1000), cycles=0, draws=10)
    reports = [order_report(noisy(40, seed), cycles=0, draws=200) for seed in range(100)]
    # The ranking is fitted to the same decisions, so how many it explains depends on how many there are.
    explained = np.mean([report.explained.value for report in reports])
    for name, expected in (("cyclic_triads", truth.cyclic_triads.value), ("explained", explained)):
        estimates = [getattr(report, name) for report in reports]
        assert sum(each.low <= expected <= each.high for each in estimates) >= 85, name
        assert all(each.low <= each.value <= each.high for each in estimates)
        assert {each.interval for each in estimates} == {"bootstrap over images 95%"}


def test_ties_and_swaps_that_matter_are_counted_and_decided_as_everywhere() -> None:
    logit = of_strengths(np.array([2.0, 1.0, 0.0]))
    logit[0, 2] = logit[2, 0] = 0.0
    tied = order_report(logit)
    assert (tied.ties, tied.swap_violations, tied.cyclic) == (1, 0, 1)
    assert tied.cycles == (), "a tie closes no cycle that could be shown"
    logit[2, 1] = np.nextafter(logit[2, 1], 0)
    logit[1, 0] = 5.0
    swapped = order_report(logit)
    assert swapped.swap_violations == 2
    assert np.array_equal(swapped.strengths, tied.strengths), "the earlier image's view counts"


def test_the_record_is_json_with_names() -> None:
    report = order_report(undecided(9, 1))
    record = json.loads(json.dumps(report.record([f"image {place}" for place in range(9)]), allow_nan=False))
    assert (record["images"], record["pairs"], record["triads"], record["cyclic"]) == (9, 36, 84, report.cyclic)
    assert [each["image"] for each in record["ranking"]] == [f"image {place}" for place in report.ranking]
    assert record["ranking"][0]["strength"] == report.strengths.max()
    assert [each["logits"] for each in record["cycles"]] == [list(cycle.logits) for cycle in report.cycles]
    assert record["explained"]["value"] == report.explained.value


@pytest.mark.parametrize(
    ("logit", "message"),
    [
        (np.zeros((2, 2)), r"logits \(2, 2\) must be a square"),
        (np.zeros((3, 4)), r"logits \(3, 4\) must be a square"),
        (np.zeros(9), r"logits \(9,\) must be a square"),
        (np.array([[0, 1, 1], [1, 0, np.nan], [1, 1, 0]]), r"logit nan of image 1 over image 2 \(counting from 0\)"),
        (np.array([[0, 1, 1], [1, 0, 1], [-np.inf, 1, 0]]), "logit -inf of image 2 over image 0"),
    ],
)
def test_what_is_no_tournament_is_refused(logit: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        order_report(logit)


def test_the_diagonal_is_ignored() -> None:
    logit = noisy(5, 0)
    filled = logit + np.diag([np.nan, 1, -1, np.inf, 7])
    assert order_report(filled).record("abcde") == order_report(logit).record("abcde")
