"""A simulated crowd with known sharpness, bias and readiness to call a tie."""

from dataclasses import dataclass

import numpy as np

NAMES = """
ada ben cleo dan eva finn gina hugo ines jon kira leo mona nils olga paul quin rosa sven tara umut vera will xena yara
zoe"""


@dataclass(frozen=True)
class Crowd:
    """People who judge pairs.

    Attributes:
        names: R names.
        sharpness: (R,): the log-odds of a vote are this times the difference in score. The geometric mean is 1.
        bias: (R,): log-odds for the left image of two equal ones.
        tie: How readily ties are called, the parameter nu of Davidson (1970, JASA 65:317).
    """

    names: tuple[str, ...]
    sharpness: np.ndarray
    bias: np.ndarray
    tie: float


def make_crowd(raters: int, seed: int, careless: float = 0.3, bias: float = 0.3, tie: float = 0.5) -> Crowd:
    """A crowd of which some hardly look.

    Args:
        raters: Number of people, at most 26.
        seed: Seed of the draw.
        careless: Share of people who hardly look.
        bias: Standard deviation of the biases for a side.
        tie: How readily ties are called.
    """
    rng = np.random.default_rng((seed, 1))
    sharpness = np.exp(rng.normal(0, 0.25, raters))
    sharpness[rng.permutation(raters)[: round(careless * raters)]] = 0.1
    sharpness /= np.exp(np.log(sharpness).mean())
    return Crowd(tuple(NAMES.split()[:raters]), sharpness, rng.normal(0, bias, raters), tie)


def vote(crowd: Crowd, scores: np.ndarray, count: int, seed: int) -> dict[str, np.ndarray]:
    """Votes on pairs drawn at random, each by one person; some people vote more than others.

    Args:
        crowd: Those who vote.
        scores: True scores of M images.
        count: Number of votes, N.
        seed: Seed of all draws.

    Returns:
        ``left`` and ``right``, numbers of two different images, int64 (N,); ``outcome``, 1 for left, 0 for right and
        0.5 for a tie, (N,); ``rater``, int64 (N,).
    """
    rng = np.random.default_rng((seed, 2))
    left = rng.integers(len(scores), size=count)
    right = (left + rng.integers(1, len(scores), count)) % len(scores)
    rater = rng.choice(len(crowd.names), count, p=rng.dirichlet(np.full(len(crowd.names), 5.0)))
    logit = crowd.sharpness[rater] * (scores[left] - scores[right]) + crowd.bias[rater]
    parts = np.stack([np.exp(logit / 2), np.full(count, crowd.tie), np.exp(-logit / 2)])
    drawn = rng.uniform(size=count) * parts.sum(0)
    outcome = np.select([drawn < parts[0], drawn < parts[0] + parts[1]], [1.0, 0.5], 0.0)
    return {"left": left, "right": right, "outcome": outcome, "rater": rater}
