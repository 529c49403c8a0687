"""How far a training is, from the values of its epochs alone."""

import math
from dataclasses import dataclass

from twinrank.config import TrainConfig


@dataclass(frozen=True)
class TrainState:
    """How far a training is; kept in its checkpoint.

    Attributes:
        values: Values of the monitored metric, one for each finished epoch.
    """

    values: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """Number of the last finished epoch; 0 before the first."""
        return len(self.values)

    def best_epoch(self, config: TrainConfig) -> int:
        """Number of the epoch whose weights are kept, the first of the best; 0 before the first."""
        return config.best(self.values) + 1 if self.values else 0

    def finished(self, config: TrainConfig) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= config.epochs or self.stopped_early(config)

    def stopped_early(self, config: TrainConfig) -> bool:
        """Whether the patience is over."""
        best, since = -math.inf, 0
        for score in config.scores(self.values):
            since += 1
            if score > best + config.min_delta:
                best, since = score, 0
        return config.patience is not None and since >= config.patience
