"""Would more judgements help? How well scores from a part of the judgements predict the judgements held out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.estimates import DRAWS, Estimate
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.laplace import Rows, ScorePrior
from twinrank.evaluation.metrics import scores
from twinrank.evaluation.resampling import recurs, resampled_sums
from twinrank.evaluation.row_statistics import is_decided, outcomes, row_statistics

SHARES = (0.0, 0.125, 0.25, 0.5, 1.0)
"""Shares of the judgements that are not held out; none of them leaves the network's scores."""
FEWEST = 100
"""Fewest judgements for a curve."""
FEWEST_PAIRS = 25
"""Fewest judged pairs for a curve."""
_FOLDS = 5
_MOST_HELD_OUT = 20_000
"""Most judgements that are held out, roughly; up to so many, each is held out once."""
_SEED = 0


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve.

    Attributes:
        judgements: Number of judgements behind the scores, on average over the folds.
        accuracy: Accuracy on the held-out judgements that are decided.
        log_loss: Log-loss of all held-out judgements, in nats.
    """

    judgements: int
    accuracy: Estimate
    log_loss: Estimate


@dataclass(frozen=True)
class LearningCurve:
    """How well scores predict held-out judgements, by the number of judgements behind them.

    Attributes:
        points: Points by ascending number of judgements; the first has none.
        gain: Fall of the log-loss from half of the judgements to all, with an interval of the paired difference.
        folds: Folds that were held out, each once.
    """

    points: tuple[CurvePoint, ...]
    gain: Estimate
    folds: int


def learning_curve(
    left: np.ndarray,
    right: np.ndarray,
    y: np.ndarray,
    fit: Callable[[np.ndarray], np.ndarray],
    *,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    nu: float = 0.0,
    seed: int = 0,
) -> LearningCurve | None:
    """Hold out some judged pairs, and predict them with scores from a part of the other judgements.

    All judgements of a pair are held out together. Up to 20,000 judgements, each of five folds is held out once; of
    more judgements, one fold of about 20,000 is. No network is trained, so a curve costs a fit of scores for each fold
    and share.

    Args:
        left: Left images, int (N,).
        right: Right images, int (N,).
        y: Shares of the votes for left, float (N,).
        fit: Scores (M,) from some rows, which are given by their numbers, int (n,); n may be 0.
        tie: Whether rows are ties, bool (N,).
        weight: Numbers of votes, float (N,).
        nu: Parameter of ties, as of :func:`twinrank.evaluation.metrics.score`.
        seed: Seed of the folds and of the parts.

    Returns:
        The curve; None below 100 judgements or 25 judged pairs, or where nothing held out is decided.
    """
    images = np.sort(np.stack([left, right], 1).astype(np.int64), 1)
    pairs, pair_of = np.unique(images, axis=0, return_inverse=True)
    if len(y) < FEWEST or len(pairs) < FEWEST_PAIRS:
        return None
    random = numpy_generator(seed, "learning curve")
    folds, parts = (_FOLDS, _FOLDS) if len(y) <= _MOST_HELD_OUT else (1, max(_FOLDS, len(y) // _MOST_HELD_OUT))
    fold = (random.permutation(len(pairs)) % parts)[pair_of.reshape(-1)]
    order = random.permutation(len(y))
    logit, behind = np.empty((len(SHARES), len(y))), np.zeros(len(SHARES))
    for each in range(folds):
        rows, others = np.flatnonzero(fold == each), order[fold[order] != each]
        for place, share in enumerate(SHARES):
            some = others[: round(share * len(others))]
            score = fit(np.sort(some))
            logit[place, rows] = score[left[rows]] - score[right[rows]]
            behind[place] += len(some) / folds
    kept = fold < folds
    tie, weight = (None if each is None else each[kept] for each in (tie, weight))
    if not is_decided(y[kept], tie, weight).any():
        return None
    logits = {str(share): each[kept] for share, each in zip(SHARES, logit, strict=True)}
    found = scores(y[kept], logits, images=images[kept], tie=tie, weight=weight, nu=nu)
    points = tuple(
        CurvePoint(round(count), each["accuracy"], each["log_loss"])
        for count, each in zip(behind, found.values(), strict=True)
    )
    known = outcomes(y[kept], tie, weight)
    half, whole = (row_statistics(known, each[kept], nu)[:, 0] for each in logit[-2:])
    return LearningCurve(points, _mean(half - whole, known.votes, images[kept]), folds)


def score_curve(network: np.ndarray, tau: float, comparisons: Comparisons, judging: Judging) -> LearningCurve | None:
    """The learning curve of the scores of :mod:`twinrank.evaluation.scores`.

    Args:
        network: Scores before the judgements, float64 (M,), in logits.
        tau: Standard deviation of the scores around these.
        comparisons: Judgements that the network was not fitted to.
        judging: How people judge.

    Returns:
        As :func:`learning_curve`.
    """

    def fit(rows: np.ndarray) -> np.ndarray:
        score = network.copy()
        if len(rows):
            judged, own = comparisons.select(rows).renumbered()
            before = ScorePrior(network[judged], tau)
            score[judged] = Rows(own, judging, len(judged)).mode(before, before.mean).score
        return score

    return learning_curve(
        comparisons.left,
        comparisons.right,
        comparisons.y,
        fit,
        tie=comparisons.tie,
        weight=comparisons.weight,
        nu=judging.nu,
    )


def _mean(values: np.ndarray, votes: np.ndarray, images: np.ndarray) -> Estimate:
    """The sum of values that votes count in already, a vote, with an interval for other images."""
    drawn = resampled_sums(np.stack([values, votes], 1), images, _SEED, DRAWS)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    mean = float(values.sum() / votes.sum())
    by_image = recurs(images)
    method = "image bootstrap 95%" if by_image else "bootstrap 95%"
    distinct = len(np.unique(images)) if by_image else None
    return Estimate(mean, min(float(low), mean), max(float(high), mean), len(values), method, distinct)
