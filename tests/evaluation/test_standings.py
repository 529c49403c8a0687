import numpy as np
import pytest
from scipy.stats import norm

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import posterior
from twinrank.evaluation.standings import closest_calls, disagreements


def test_close_calls_are_neighbours_that_are_known_to_be_close() -> None:
    """Images 0 and 1 have even votes; nothing is known of 2 and 3, whose scores are alike, too."""
    left, right = np.zeros(40, int), np.ones(40, int)
    even = Comparisons(left, right, np.arange(40) % 2)
    scores = posterior(np.array([3.0, 3.0, 0.0, 0.0, -3.0]), Prior(), even)
    calls = closest_calls(scores, most=2)
    assert {calls[0].upper, calls[0].lower} == {0, 1}
    assert {calls[1].upper, calls[1].lower} == {2, 3}
    assert calls[0].within < 1 < calls[1].within
    gap, variance = scores.difference(np.array([calls[0].upper]), np.array([calls[0].lower]))
    assert calls[0].sure == pytest.approx(float(norm.cdf(gap[0] / np.sqrt(variance[0]))))
    assert len(closest_calls(scores)) == 4


def test_a_ranking_of_one_image_has_no_close_calls() -> None:
    none = Comparisons(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    assert closest_calls(posterior(np.zeros(1), Prior(), none)) == []


def test_disagreements_count_the_votes_of_a_pair_whatever_its_sides() -> None:
    score = np.array([2.0, 0.0, 0.1])
    rows = [(0, 1, 0.0, 1), (1, 0, 1.0, 2), (0, 1, 1.0, 1), (1, 2, 1.0, 1), (0, 2, 1.0, 9)]
    left, right, y, weight = map(np.array, zip(*rows, strict=True))
    first, second = disagreements(Comparisons(left, right, y, weight=weight), score)
    assert (first.chosen, first.other, first.votes, first.of) == (1, 0, 3.0, 4.0)
    assert first.predicted == pytest.approx(1 / (1 + np.exp(-2)))
    assert (second.chosen, second.other, second.votes, second.of) == (1, 2, 1.0, 1.0)
    assert second.predicted == pytest.approx(1 / (1 + np.exp(-0.1)))


def test_ties_and_even_votes_are_no_disagreement() -> None:
    left, right = np.array([0, 0, 1]), np.array([1, 1, 0])
    score = np.array([5.0, 0.0])
    assert disagreements(Comparisons(left, right, np.array([0.5, 0.0, 0.0])), score) == []
    assert len(disagreements(Comparisons(left, right, np.array([0.5, 0.0, 0.5])), score)) == 1
