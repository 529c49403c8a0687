"""Figures of one entrant on the test of a set."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.own_images.judged import Answers, Judged
from benchmarks.own_images.sets import Set
from benchmarks.real_data.tables import rank_correlation
from twinrank.evaluation.estimates import DRAWS, Estimate
from twinrank.evaluation.metrics import score

METRICS = ("accuracy", "log_loss", "spearman")


def figures(given: Set, answers: Answers) -> dict[str, Any]:
    """Accuracy and log-loss on the test pairs, and Spearman's correlation of scores and truth, with their intervals.

    All intervals resample images.

    Args:
        given: Set with the truth.
        answers: What an entrant says of it.
    """
    test, truth = Judged.load(given.pairs), given.truth()
    found = score(test.y, answers.logit, images=test.pairs)
    values = np.array([[answers.score[name], truth[name]] for name in truth])
    metrics = {name: found[name] for name in METRICS if name in found}
    metrics |= {"spearman": resampled(lambda rows: rank_correlation(*values[rows].T), len(values))}
    return {name: metric.record() for name, metric in metrics.items()}


def resampled(statistic: Callable[[np.ndarray], float], images: int, seed: int = 0) -> Estimate:
    """A statistic of images with its percentile bootstrap interval.

    Args:
        statistic: Function of the numbers of the images, int (M,).
        images: Number M of images.
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    draws = [statistic(rng.integers(images, size=images)) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    value = statistic(np.arange(images))
    return Estimate(value, min(float(low), value), max(float(high), value), images, "image bootstrap 95%", images)


def means(seeds: dict[str, Any]) -> dict[str, Any]:
    """Mean of each figure of each entrant over the seeds that it was measured with.

    Args:
        seeds: Figures by seed, as the file of results has them.
    """
    entrants = {name: None for each in seeds.values() for name in each["entrants"]}
    found = {}
    for name in entrants:
        records = [each["entrants"][name] for each in seeds.values() if name in each["entrants"]]
        values = {key: round(float(np.mean([each[key]["value"] for each in records])), 4) for key in METRICS}
        found[name] = values | {"seeds": len(records)}
    return found
