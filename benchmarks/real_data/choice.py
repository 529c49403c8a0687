"""Chosen pairs against random ones: how many votes does the same rank correlation take?"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.real_data.tables import rank_correlation
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.next_pairs import next_pairs
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import ScorePosterior, posterior
from twinrank.evaluation.simulate import Crowd, random_pairs, simulate_crowd

Choice = Callable[[ScorePosterior, int, int], tuple[np.ndarray, np.ndarray]]


def chosen(scores: ScorePosterior, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs as ``twinrank next`` chooses them."""
    pairs = next_pairs(scores, count, seed=seed)
    return pairs.left, pairs.right


def drawn(scores: ScorePosterior, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs."""
    return random_pairs(len(scores), count, seed)


def correlations(
    f: np.ndarray,
    prior: Prior,
    judging: Judging,
    truth: np.ndarray,
    crowd: Crowd,
    choice: Choice,
    rounds: int,
    seed: int,
) -> list[float]:
    """Rank correlation with the truth after each round, the first before any vote.

    Args:
        f: Network scores, float (M,).
        prior: Prior of the scores.
        judging: How people judge, as fitted.
        truth: True scores, float (M,).
        crowd: Those who vote.
        choice: How pairs are chosen; a round has a tenth as many as there are images.
        rounds: Number of rounds.
        seed: Seed of pairs and votes.
    """
    names, found = np.array(crowd.names), []
    left, right, y, tie = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool)
    rater = np.zeros(0, names.dtype)
    for number in range(rounds + 1):
        scores = posterior(f, prior, Comparisons(left, right, y, tie=tie, rater=rater), judging)
        found.append(rank_correlation(scores.mean, truth))
        pairs = choice(scores, len(f) // 10, 1000 * seed + number)
        new = simulate_crowd(truth, *pairs, crowd, 1000 * seed + number)
        left, right = np.concatenate([left, new.left]), np.concatenate([right, new.right])
        y, tie = np.concatenate([y, new.y]), np.concatenate([tie, new.tie])
        rater = np.concatenate([rater, names[new.rater]])
    return found


def compare(
    f: np.ndarray, prior: Prior, judging: Judging, truth: np.ndarray, crowd: Crowd, rounds: int = 60, repeats: int = 6
) -> dict[str, Any]:
    """Votes that chosen pairs need for the rank correlation that random pairs have after all rounds.

    Arguments as :func:`correlations`.
    """
    curves = {
        name: np.mean([correlations(f, prior, judging, truth, crowd, way, rounds, seed) for seed in range(repeats)], 0)
        for name, way in (("chosen", chosen), ("random", drawn))
    }
    goal, step = curves["random"][-1], len(f) // 10
    reached = np.flatnonzero(curves["chosen"] >= goal)
    fewer = step * int(reached[0]) if len(reached) else None
    return {
        "images": len(f),
        "goal": float(goal),
        "votes_on_random_pairs": step * rounds,
        "votes_on_chosen_pairs": fewer,
        "times_fewer": step * rounds / fewer if fewer else None,
        "votes": [step * number for number in range(0, rounds + 1, 10)],
        **{name: [round(float(value), 4) for value in curve[::10]] for name, curve in curves.items()},
    }
