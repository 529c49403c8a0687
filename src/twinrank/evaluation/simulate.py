"""A simulated crowd: images with true scores, and raters whose carefulness and bias are known."""

from dataclasses import dataclass

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.errors import InputError
from twinrank.evaluation.judging import outcome_probabilities


@dataclass(frozen=True, eq=False)
class Crowd:
    """Raters as they truly are.

    Attributes:
        sharpness: a_r, float64 (R,): 1 for a usual rater, near 0 for a careless one, below 0 for one who judges the
            wrong way round on purpose.
        bias: b_r in logits, float64 (R,), positive for a liking of the left place.
        nu: Davidson's nu; 0 for people who may not answer "equal".
    """

    sharpness: np.ndarray
    bias: np.ndarray
    nu: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the raters, (R,)."""
        digits = len(str(len(self.sharpness) - 1))
        return tuple(f"rater{row:0{digits}}" for row in range(len(self.sharpness)))


@dataclass(frozen=True, eq=False)
class SimulatedJudgements:
    """Judgements of a simulated crowd, one row for each vote.

    Attributes:
        left: Left images, int64 (N,).
        right: Right images, int64 (N,).
        y: 1 where left was chosen, 0 where right was, 0.5 at a tie, float64 (N,).
        tie: Whether the two were judged equal, bool (N,).
        rater: Numbers of the raters, int64 (N,).
    """

    left: np.ndarray
    right: np.ndarray
    y: np.ndarray
    tie: np.ndarray
    rater: np.ndarray


def make_crowd(
    raters: int,
    seed: int,
    *,
    spread: float = 0.3,
    careless: float = 0.0,
    adversarial: float = 0.0,
    bias: float = 0.0,
    nu: float = 0.0,
) -> Crowd:
    """Draw raters.

    Args:
        raters: Number R of raters.
        seed: Root seed.
        spread: Standard deviation of log a_r of the usual raters, around 0.
        careless: Share of the raters with a_r = 0.05, who hardly look. They are the last but the adversarial ones.
        adversarial: Share of the raters with a_r = -1. They are the last.
        bias: Standard deviation of b_r around 0, in logits.
        nu: Davidson's nu.

    Raises:
        InputError: There is no rater, or the shares are not from 0 to 1 together.

    Example:
        >>> make_crowd(4, seed=0, spread=0, careless=0.5).sharpness.tolist()
        [1.0, 1.0, 0.05, 0.05]
    """
    if raters < 1:
        raise InputError(f"`raters` is {raters}; give 1 or more")
    if min(careless, adversarial) < 0 or careless + adversarial > 1:
        raise InputError(f"`careless` {careless} and `adversarial` {adversarial} are not shares of at most 1 together")
    random = numpy_generator(seed, "crowd")
    sharpness = np.exp(spread * random.standard_normal(raters))
    against, idle = round(adversarial * raters), round(careless * raters)
    sharpness[raters - against - idle : raters - against] = 0.05
    sharpness[raters - against :] = -1.0
    return Crowd(sharpness, bias * random.standard_normal(raters), nu)


def random_pairs(images: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniformly drawn ordered pairs of two different images each.

    Args:
        images: Number M of images, at least 2.
        pairs: Number N of pairs; one may occur several times.
        seed: Root seed.

    Returns:
        Left and right images, int64 (N,) each.
    """
    random = numpy_generator(seed, "random pairs")
    left = random.integers(images, size=pairs)
    return left, (left + random.integers(1, images, size=pairs)) % images


def simulate_crowd(
    score: np.ndarray, left: np.ndarray, right: np.ndarray, crowd: Crowd, seed: int, votes: int = 1
) -> SimulatedJudgements:
    """Let a crowd judge pairs. Each vote is by a rater drawn at random; the votes on a pair are by different ones.

    Args:
        score: True scores, float (M,), in logits.
        left: Left images, int (P,).
        right: Right images, int (P,).
        crowd: Raters.
        seed: Root seed. The same seed gives the same judgements.
        votes: Number of votes on each pair.

    Returns:
        Judgements, N = P * votes rows; those on a pair follow each other.

    Raises:
        InputError: There are more votes on a pair than raters.

    Example:
        >>> seen = simulate_crowd(np.array([0.0, 30.0]), np.array([1]), np.array([0]), make_crowd(3, 0), 0, votes=3)
        >>> seen.y.tolist()
        [1.0, 1.0, 1.0]
    """
    raters = len(crowd.sharpness)
    if votes > raters:
        raise InputError(f"`votes` is {votes}, but there are only {raters} raters")
    random = numpy_generator(seed, "judgements")
    # Consecutive numbers from a random start are different raters, and every rater is as likely as another.
    names = random.permutation(raters)
    rater = names[(random.integers(raters, size=len(left))[:, None] + np.arange(votes)) % raters].ravel()
    left, right = np.repeat(np.asarray(left, np.int64), votes), np.repeat(np.asarray(right, np.int64), votes)
    u = crowd.sharpness[rater] * (score[left] - score[right]) + crowd.bias[rater]
    prefers_left, equal, _ = outcome_probabilities(u, crowd.nu)
    drawn = random.random(len(left))
    tie = drawn < equal
    y = np.where(tie, 0.5, (drawn < equal + prefers_left).astype(np.float64))
    return SimulatedJudgements(left, right, y, tie, rater)
