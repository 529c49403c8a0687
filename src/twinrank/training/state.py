"""How far a training is, from the values of its epochs alone."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from twinrank.config import TrainConfig
from twinrank.core.records import as_record
from twinrank.core.tensor_header import read_tensor_header


class CheckpointRecord(TypedDict):
    """What a checkpoint keeps besides tensors.

    Attributes:
        values: Values of the monitored metric, one for each finished epoch.
        scaler: State of the scaler of gradients.
        asked: Fingerprint of the requested settings; missing in old checkpoints.
    """

    values: list[float]
    scaler: dict[str, Any]
    asked: NotRequired[dict[str, Any]]


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


def read_checkpoint_record(path: Path) -> CheckpointRecord:
    """What a checkpoint keeps besides tensors, without torch.

    Args:
        path: Checkpoint file.

    Raises:
        InputError: The file is missing or damaged.
    """
    return as_record(read_tensor_header(path).state, CheckpointRecord, str(path), "a checkpoint")


def read_train_state(path: Path) -> TrainState:
    """How far the training of a checkpoint is.

    Args:
        path: Checkpoint file.

    Raises:
        InputError: The file is missing or damaged.
    """
    return TrainState(tuple(read_checkpoint_record(path)["values"]))
