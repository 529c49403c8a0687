import numpy as np
import pytest
from scipy.special import expit

from twinrank.evaluation.agreement import (
    agreement,
    agreement_with_ties,
    best_known_agreement,
    ceiling_of,
    self_agreement,
)


def crowd(seed: int, pairs: int, votes: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and images of single votes, sides drawn by chance, and the chance of each vote for the left image."""
    rng = np.random.default_rng(seed)
    sides = np.stack([rng.permutation(80)[:2] for _ in range(pairs)])
    images = np.repeat(sides, votes, 0)
    score = rng.normal(0, spread, 80)
    turned = rng.random(len(images)) < 0.5
    images[turned] = images[turned][:, ::-1]
    chance = expit(score[images[:, 0]] - score[images[:, 1]])
    return (rng.random(len(images)) < chance).astype(np.int8), images, chance


def test_two_votes_of_some_pairs_are_compared_whichever_image_stands_left() -> None:
    y = np.array([1, 0, 1, 0, 1, 1])
    images = np.array([[4, 9], [9, 4], [2, 9], [2, 9], [5, 6], [7, 7]])
    found = agreement(y, images)
    assert found is not None
    assert (found.agreement.value, found.agreement.n) == (0.5, 2)
    assert found.rows.tolist() == [True, True, True, True, False, False]


def test_nothing_is_said_without_pairs_that_were_judged_twice() -> None:
    y = np.array([1, 0, 1])
    assert agreement(y, np.array([[0, 1], [1, 2], [2, 0]])) is None
    assert agreement(y, np.zeros((3, 2), int)) is None
    assert agreement(np.array([0.7, 0.5, 0.2]), np.array([[0, 1], [0, 1], [1, 0]])) is None
    same, tie = np.array([[0, 1]] * 3), np.array([True, True, False])
    assert agreement(np.array([0.5, 0.5, 1]), same, tie=tie) is None
    assert agreement(y, same, rater=np.array(["ann"] * 3)) is None
    # The unknown ones may be one person, or ann.
    nameless = np.array(["ann", "unknown", "unknown"])
    assert agreement(y, same, rater=nameless) is None
    assert self_agreement(y, same, nameless) is None


def test_ties_are_answers_of_their_own_beside_the_agreement() -> None:
    """Pairs by Ann and Bob: the same winner, two ties, a tie and a winner; and what Ann says again."""
    images = np.repeat([[0, 1], [3, 2], [4, 5]], 2, 0)
    y, tie = np.array([1, 1, 0.5, 0.5, 0.5, 1]), np.array([False, False, True, True, True, False])
    found = agreement(y, images, tie=tie, rater=np.array(["ann", "bob"] * 3))
    assert found is not None
    assert (found.agreement.value, found.agreement.n) == (1, 1)
    assert found.with_ties is not None
    assert (found.with_ties.value, found.with_ties.n) == (2 / 3, 3)
    again = self_agreement(y, images, np.array(["ann"] * 6), tie=tie)
    assert again is not None
    assert again.with_ties == found.with_ties
    votes = agreement(np.array([1, 0.5]), images[[0, 0]], tie=np.array([False, True]), weight=np.array([2, 1]))
    assert votes is not None
    assert votes.with_ties is not None
    assert votes.with_ties.value == pytest.approx(1 / 3)
    assert agreement_with_ties(y[4:], images[4:], tie=tie[4:], rater=np.array(["ann", "ann"])) is None
    without = agreement(y, images, rater=np.array(["ann", "bob"] * 3))
    assert without is not None
    assert without.with_ties is None


def test_counts_say_the_same_as_single_votes() -> None:
    y, images, _ = crowd(0, 300, 3, 1.5)
    single = agreement(y, images)
    sides = np.sort(images, 1)
    pairs, place = np.unique(sides, axis=0, return_inverse=True)
    lower = np.where(images[:, 0] < images[:, 1], y, 1 - y)
    count = np.bincount(place)
    counted = agreement((np.bincount(place, lower) / count).astype(np.float32), pairs, weight=count)
    assert single is not None
    assert counted is not None
    assert counted.agreement == single.agreement
    assert counted.ceiling == single.ceiling


def test_what_a_rater_says_again_counts_once() -> None:
    images = np.array([[0, 1]] * 4 + [[2, 3]] * 2)
    rater = np.array(["ann", "ann", "ann", "bob", "ann", "bob"])
    found = agreement(np.array([1, 1, 0, 0, 1, 1]), images, rater=rater)
    assert found is not None
    assert (found.agreement.value, found.agreement.n) == (0.5, 2)
    undecided = agreement(np.array([1, 0, 1, 0]), images[[0, 0, 4, 4]], rater=np.array(["ann", "ann", "ann", "bob"]))
    assert undecided is not None
    assert (undecided.agreement.value, undecided.agreement.n) == (0.0, 1)


def test_one_rater_is_compared_with_themself() -> None:
    """Two raters of other pairs; what each says again counts, and pairs of both come first where there are any."""
    images = np.array([[0, 1], [1, 0], [2, 3], [2, 3], [4, 5]])
    y, rater = np.array([1, 0, 1, 0, 1]), np.array(["ann", "ann", "bob", "bob", "ann"])
    found = self_agreement(y, images, rater)
    assert found is not None
    assert (found.agreement.value, found.agreement.n, found.own) == (0.5, 2, True)
    assert found.rows.tolist() == [True] * 4 + [False]
    known = best_known_agreement(y, images, rater=rater)
    assert known is not None
    assert known.agreement == found.agreement
    both = np.array(["ann", "bob", "bob", "bob", "ann"])
    known = best_known_agreement(y, images, rater=both)
    assert known is not None
    assert (known.agreement.value, known.own) == (1.0, False)
    assert best_known_agreement(y[3:], images[3:], rater=rater[3:]) is None


def test_the_ceiling_of_one_rater_is_that_of_their_votes() -> None:
    y, images, chance = crowd(2, 3000, 2, 1.5)
    found = self_agreement(y, images, np.full(len(y), "ann"))
    plain = agreement(y, images)
    assert found is not None
    assert plain is not None
    assert found.ceiling == plain.ceiling
    assert found.ceiling.low - 0.01 <= np.maximum(chance, 1 - chance).mean() <= found.ceiling.high + 0.01


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0, 4.0])
def test_the_ceiling_is_the_accuracy_of_the_best_decisions(spread: float) -> None:
    y, images, chance = crowd(1, 4000, 2, spread)
    found = agreement(y, images)
    assert found is not None
    best = np.maximum(chance, 1 - chance).mean()
    alike = (chance**2 + (1 - chance) ** 2).mean()
    assert found.agreement.low <= alike <= found.agreement.high
    assert found.ceiling.low - 0.01 <= best <= found.ceiling.high + 0.01
    assert ceiling_of(float(alike)) == pytest.approx(best, abs=0.01)


def test_the_ceiling_lies_where_every_distribution_has_it() -> None:
    for share in np.linspace(0.5, 1, 51):
        assert share - 1e-9 <= ceiling_of(share) <= (1 + np.sqrt(2 * share - 1)) / 2 + 1e-9
    assert ceiling_of(0.4) == 0.5


def test_intervals_are_over_images() -> None:
    y, images, _ = crowd(2, 200, 2, 1.0)
    found = agreement(y, images)
    assert found is not None
    assert (found.agreement.interval, found.agreement.images) == ("image bootstrap 95%", len(np.unique(images)))
    assert found.ceiling.low < found.ceiling.value < found.ceiling.high
