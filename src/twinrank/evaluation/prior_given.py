"""The prior of scores and how people judge, from judgements at hand and from what a run knows of both."""

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.fit_crowd import fit_crowd
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.score_prior import Prior, fit_prior

_ENOUGH = 100
"""Judgements that are enough for the scale and the spread of scores."""
_CROWD_ROWS = 100_000
"""Most judgements to which raters are fitted."""


def prior_given(
    network: np.ndarray, rows: Comparisons, known: Prior | None, judging: Judging, used: np.ndarray, seed: int
) -> tuple[Prior, Judging]:
    """Prior of the scores, and how people judge, given judgements.

    Args:
        network: Scores of the network, float64 (M,); 0 for all without one.
        rows: Judgements, at least one.
        known: Prior of the run, or None.
        judging: How people judge by the run.
        used: Whether training used an image, bool (M,).
        seed: Root seed.
    """
    fitted, judging = _fitted(network, rows, judging, seed)
    return _prior_of_unused(network, rows, judging, used, seed) or (known if used.any() else None) or fitted, judging


def _fitted(network: np.ndarray, rows: Comparisons, known: Judging, seed: int) -> tuple[Prior, Judging]:
    """Prior of the scores, and judging: the known one where it has all that occurs, from no fewer judgements.

    A run's own was fitted to the logits of ``val``. Their errors make careful raters look less careful.
    """
    raters = set() if rows.rater is None else set(np.unique(rows.rater).tolist())
    ties = rows.tie is not None and bool(rows.tie.any())
    plain = not raters and not ties
    covered = raters <= set(known.raters) and (known.nu > 0 or not ties)
    if plain or (covered and known.judgements.sum() >= rows.votes.sum()):
        return fit_prior(network, rows, known, seed), known
    some = rows
    if len(rows) > _CROWD_ROWS:
        some = rows.select(numpy_generator(seed, "crowd").permutation(len(rows))[:_CROWD_ROWS])
    prior, judging = fit_crowd(network, some, seed=seed)
    return (prior if some is rows else fit_prior(network, rows, judging, seed)), judging


def _prior_of_unused(
    network: np.ndarray, rows: Comparisons, judging: Judging, used: np.ndarray, seed: int
) -> Prior | None:
    """Prior of the scores from judgements of images that training did not use; None where these are few or all."""
    unused = ~(used[rows.left] | used[rows.right])
    if unused.all() or unused.sum() < _ENOUGH:
        return None
    return fit_prior(network, rows.select(unused), judging, seed)
