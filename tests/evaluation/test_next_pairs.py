import numpy as np
import pytest

from twinrank.errors import InputError
from twinrank.evaluation import next_pairs as module
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging, outcome_probabilities
from twinrank.evaluation.next_pairs import NextPairs, information, next_pairs
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import ScorePosterior, posterior
from twinrank.evaluation.simulate import make_crowd, random_pairs, simulate_crowd

NOTHING = Comparisons(np.zeros(0), np.zeros(0), np.zeros(0))


def judged(images: int, count: int, seed: int = 0, f: np.ndarray | None = None) -> ScorePosterior:
    """Scores after judgements of random pairs; without a network unless its scores are given."""
    true = np.random.default_rng(seed).normal(0, 1.5, images) if f is None else f
    seen = simulate_crowd(true, *random_pairs(images, count, seed), make_crowd(1, 0, spread=0), seed)
    rows = Comparisons(seen.left, seen.right, seen.y)
    return posterior(np.zeros(images) if f is None else f, Prior(1.0, 1.5), rows)


def codes(found: NextPairs, images: int) -> np.ndarray:
    """One number for each pair, whatever its sides."""
    return np.minimum(found.left, found.right) * images + np.maximum(found.left, found.right)


@pytest.mark.parametrize("nu", [0.0, 0.8])
def test_the_information_is_that_of_a_simulation(nu: float) -> None:
    scores = posterior(np.array([0.0, 0.7, 3.0]), Prior(1.0, 0.9), NOTHING, Judging(nu=nu))
    z = -0.7 + np.sqrt(2) * 0.9 * np.random.default_rng(0).standard_normal(400_000)
    each = np.stack(outcome_probabilities(z, nu))
    each = each[each.sum(1) > 0]
    expected = -(each.mean(1) * np.log2(each.mean(1))).sum() + (each * np.log2(each)).sum(0).mean()
    assert information(scores, np.array([0]), np.array([1]))[0] == pytest.approx(expected, abs=2e-3)


def test_close_and_uncertain_pairs_come_first() -> None:
    scores = posterior(np.array([0.0, 0.1, 6.0, 9.0, 14.0]), Prior(1.0, 1.0), NOTHING)
    gain = information(scores, np.array([0, 0, 2]), np.array([1, 4, 3]))
    assert gain[0] > gain[2] > gain[1]
    found = next_pairs(scores, 1, share_random=0)
    assert codes(found, 5).tolist() == [1]


def test_what_a_chosen_pair_will_tell_counts_for_the_next() -> None:
    """The second pair of an image is worth less than that of two others, whose scores are a little further apart."""
    scores = posterior(np.array([0.0, 0.0, 0.0, 5.0, 5.2]), Prior(1.0, 1.0), NOTHING)
    found = next_pairs(scores, 2, share_random=0, per_image=4)
    assert len(set(np.concatenate([found.left, found.right]).tolist())) == 4


def test_pairs_are_different_marked_and_no_image_comes_too_often() -> None:
    scores = judged(60, 300)
    found = next_pairs(scores, 50, share_random=0.2, per_image=3, seed=1)
    assert len(found) == 50
    assert found.random.sum() == 10
    assert len(set(codes(found, 60).tolist())) == 50
    chosen = np.concatenate([found.left[~found.random], found.right[~found.random]])
    assert np.bincount(chosen).max() <= 3
    assert found.gain[~found.random].mean() > found.gain[found.random].mean()


def test_the_same_seed_gives_the_same_pairs() -> None:
    scores = judged(30, 100)
    one, same, other = (next_pairs(scores, 20, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.left, same.left)
    assert np.array_equal(one.random, same.random)
    assert not np.array_equal(one.left, other.left)


def test_candidates_of_many_images_are_as_good_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = judged(400, 2000)
    full = next_pairs(scores, 40, share_random=0)
    monkeypatch.setattr(module, "_FEW", 10)
    assert next_pairs(scores, 40, share_random=0).gain.mean() > 0.9 * full.gain.mean()


def test_what_is_gained_is_what_more_judgements_bring() -> None:
    """The promised share of pairs in the right order is that of the scores after the judgements."""
    now, after, told = [], [], []
    for seed in range(5):
        true = np.random.default_rng(seed).normal(0, 1.5, 40)
        seen = simulate_crowd(true, *random_pairs(40, 120, seed), make_crowd(1, 0, spread=0), seed)
        rows = Comparisons(seen.left, seen.right, seen.y)
        scores = posterior(np.zeros(40), Prior(1.0, 1.5), rows)
        found = next_pairs(scores, 60, seed=seed)
        more = simulate_crowd(true, found.left, found.right, make_crowd(1, 0, spread=0), seed + 100)
        both = Comparisons(
            *(
                np.concatenate(each)
                for each in zip((rows.left, rows.right, rows.y), (more.left, more.right, more.y), strict=True)
            )
        )
        told.append((found.right_now, found.right_after))
        for scored, share in ((scores, now), (posterior(np.zeros(40), Prior(1.0, 1.5), both), after)):
            first, second = np.triu_indices(40, 1)
            share.append(np.mean((scored.mean[first] > scored.mean[second]) == (true[first] > true[second])))
    assert np.mean(told, 0)[0] == pytest.approx(np.mean(now), abs=0.03)
    assert np.mean(told, 0)[1] == pytest.approx(np.mean(after), abs=0.03)


def test_a_ranking_settles() -> None:
    assert judged(20, 30).spread is not None
    assert not next_pairs(judged(20, 30), 20).settled
    assert next_pairs(judged(20, 30_000), 20).settled


def test_fewer_pairs_than_asked_for_are_all() -> None:
    found = next_pairs(posterior(np.zeros(4), Prior(), NOTHING), 100, per_image=9)
    assert len(found) == 6
    assert sorted(codes(found, 4).tolist()) == [1, 2, 3, 6, 7, 11]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 0}, "`count` is 0"),
        ({"share_random": 1.5}, "`share_random` is 1.5"),
        ({"per_image": 0}, "`per_image` is 0"),
        ({"posterior": posterior(np.zeros(1), Prior(), NOTHING)}, "a pair needs two"),
    ],
)
def test_bent_values_are_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        next_pairs(**{"posterior": posterior(np.zeros(3), Prior(), NOTHING), "count": 2} | change)
