"""Learning-rate schedules, as functions of how far a run is; nothing of them is stored."""

import math
from collections.abc import Sequence

from twinrank.config import TrainConfig

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1 / 250_000
_ONE_CYCLE_BETA1 = (0.95, 0.85)
"""At the smallest and at the largest learning rate."""


def learning_rate_factor(config: TrainConfig, progress: float, values: Sequence[float] = ()) -> float:
    """The factor of the largest learning rate.

    ``cosine``: linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983).
    ``one_cycle``: half a cosine up from 1/25, then half a cosine down to nearly zero (Smith and Topin 2018,
    Super-convergence, arXiv:1708.07120). ``plateau``: warm-up, then cut by ``plateau_factor`` whenever
    ``plateau_patience`` epochs have brought nothing better. ``constant``: warm-up, then 1.

    Args:
        config: Training values with the schedule.
        progress: Share of the run that is over at the end of the step, 0 to 1.
        values: Values of the monitored metric so far, one an epoch, the higher the better.
    """
    if config.schedule == "one_cycle":
        rise = _rise(config, progress)
        low = _ONE_CYCLE_START if progress < config.warmup else _ONE_CYCLE_END
        return low + (1 - low) * rise
    if progress < config.warmup:
        return progress / config.warmup
    if config.schedule == "plateau":
        return config.plateau_factor ** _stalls(values, config.plateau_patience)
    if config.schedule == "constant" or config.warmup == 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup)))


def beta1_at(config: TrainConfig, progress: float) -> float:
    """Decay of AdamW's running mean of gradients: moves against the learning rate in ``one_cycle``, else constant."""
    if config.schedule != "one_cycle":
        return config.beta1
    high, low = _ONE_CYCLE_BETA1
    return high + (low - high) * _rise(config, progress)


def _rise(config: TrainConfig, progress: float) -> float:
    """0 at the start, 1 at the end of the warm-up, 0 at the end, by half a cosine each."""
    if progress < config.warmup:
        return 0.5 * (1 - math.cos(math.pi * progress / config.warmup))
    if config.warmup == 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup)))


def _stalls(values: Sequence[float], patience: int) -> int:
    """How often more than ``patience`` epochs in a row have brought nothing better, counted anew after each time."""
    best, since, stalls = -math.inf, 0, 0
    for value in values:
        if value > best:
            best, since = value, 0
        else:
            since += 1
        if since > patience:
            stalls, since = stalls + 1, 0
    return stalls
