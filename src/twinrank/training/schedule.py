"""Learning-rate schedules."""

import math

from twinrank.config import Schedule


def learning_rate_factor(schedule: Schedule, warmup: float, progress: float) -> float:
    """What the largest learning rate is multiplied by.

    ``one_cycle`` is a linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983);
    ``constant`` stays at 1 after the warm-up.

    Args:
        schedule: its name.
        warmup: share of the run over which the factor rises from 0 to 1.
        progress: share of the run that is over at the end of the step, 0 to 1.
    """
    if progress < warmup:
        return progress / warmup
    if schedule == "constant" or warmup == 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
