"""A training step of ``order_net`` on random pairs, for benchmarks of its parts and of its speed."""

from typing import NamedTuple

import torch

from twinrank.config import TrainConfig
from twinrank.data.batches import Batch
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.training.loop import Step
from twinrank.training.objectives import Objective

PAIRS = 128


class OrderStep(NamedTuple):
    """What a step needs; its loss is ``objective(model, batch).total``."""

    config: TrainConfig
    model: SiameseNet
    objective: Objective
    step: Step
    batch: Batch


def order_step(width: int, views: int = 5) -> OrderStep:
    """The step of a new network, with seed 0 and a batch of :data:`PAIRS` pairs of the benchmark's size.

    Args:
        width: Width of the network.
        views: Views that its inference averages over; training has one.
    """
    torch.manual_seed(0)
    config = entry("order_net").train
    model = create_model("order_net", options={"width": width, "views": views})
    objective = Objective(config, model)
    step = Step(torch.nn.ModuleDict({"model": model, "objective": objective}), config)
    xa, xb = torch.randint(0, 256, (2, PAIRS, 1, 28, 28), dtype=torch.uint8)
    return OrderStep(config, model, objective, step, Batch.of_pairs(xa, xb, (torch.rand(PAIRS) < 0.5).float()))
