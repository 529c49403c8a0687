"""What the judgements say so far: a ranking, how far people agree, and whether the order has settled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from twinrank.core.messages import counted
from twinrank.evaluation.agreement import agreement_with_ties
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.next_pairs import NextPairs, next_pairs
from twinrank.evaluation.scores import ScorePosterior
from twinrank.labelling.storage import Shown

Fit = Callable[[Comparisons], ScorePosterior]
"""Scores of all images given judgements of them."""
_SURE = 0.95
_FEWEST, _MOST = 20, 300
"""Pairs that are chosen at a time."""


@dataclass(frozen=True, eq=False)
class Standings:
    """The state of a ranking after some judgements.

    Attributes:
        scores: Scores with intervals and ranks.
        pairs: Pairs that tell most, and what they would gain.
        judgements: Number of judgements.
        sure_neighbours: Share of neighbours in the ranking whose order is known with 95% probability.
        width: Median number of places in the 95% intervals of the places.
        raters_agree: Chance that two raters answer alike about a pair, ties included; None where no pair has two.
        raters_repeat: Chance that a rater answers alike again, ties included; None where nobody judged a pair twice.
    """

    scores: ScorePosterior
    pairs: NextPairs
    judgements: int
    sure_neighbours: float
    width: int
    raters_agree: Estimate | None
    raters_repeat: Estimate | None


def as_comparisons(rows: Sequence[Shown], names: Sequence[str]) -> Comparisons:
    """Judgements as arrays; pairs without a judgement are left out.

    Args:
        rows: Pairs that were shown.
        names: Names of all images.
    """
    number = {name: place for place, name in enumerate(names)}
    judged = [row for row in rows if row.counts]
    return Comparisons(
        np.array([number[row.left] for row in judged], np.int64),
        np.array([number[row.right] for row in judged], np.int64),
        np.array([{"left": 1.0, "right": 0.0}.get(str(row.outcome), 0.5) for row in judged]),
        tie=np.array([row.outcome == "tie" for row in judged], bool),
        rater=np.array([row.rater for row in judged], np.str_),
    )


def standings(comparisons: Comparisons, fit: Fit, seed: int = 0) -> Standings:
    """Fit the scores to all judgements, and see what is left open.

    Args:
        comparisons: Judgements, at least one.
        fit: Fit of the scores.
        seed: Root seed.
    """
    rater = comparisons.rater
    assert rater is not None
    # One rater has nobody to be compared with.
    scores = fit(comparisons if len(set(rater.tolist())) > 1 else replace(comparisons, rater=None))
    ranked = np.argsort(scores.rank, kind="stable")
    gap, variance = scores.difference(ranked[:-1], ranked[1:])
    count = int(np.clip(len(scores), _FEWEST, _MOST))
    images = np.stack([comparisons.left, comparisons.right], 1)
    return Standings(
        scores,
        # Pairs drawn at random are chosen elsewhere.
        next_pairs(scores, count, share_random=0, seed=seed),
        len(comparisons),
        float((ndtr(gap / np.sqrt(variance)) >= _SURE).mean()),
        int(np.median(scores.rank_high - scores.rank_low + 1)),
        agreement_with_ties(comparisons.y, images, tie=comparisons.tie, rater=rater),
        agreement_with_ties(comparisons.y, images, tie=comparisons.tie, rater=rater, own=True),
    )


def verdict(found: Standings) -> str:
    """Whether the order has settled, in plain words."""
    right = f"About {found.pairs.right_now:.0%} of all pairs stand in the right order now."
    if found.pairs.settled:
        return f"{right} The order has settled: one more judgement for each image would hardly change that."
    after = f"{counted(len(found.pairs), 'judgement', 'judgements')} more would make it {found.pairs.right_after:.0%}"
    return f"{right} The order has not settled: {after}."
