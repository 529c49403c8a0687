"""A tiny training on the small benchmark, which several tests begin with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.models.registry import entry
from twinrank.models.weights import read_tensors
from twinrank.runs import RunFolder
from twinrank.training.train import train

TINY = replace(entry("order_net").train, epochs=3, batch_size=32, lr=1e-2)
OPTIONS = {"width": 4, "levels": 4}
SPEC = RunSpec("order_net", TINY, OPTIONS)
ONE = Context(threads=1)


@pytest.fixture
def fitted(benchmark_folder: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    """Trains a tiny network on the small benchmark: ``fitted(name, epochs=1)``."""

    def fit(name: str = "run", model: str = "order_net", **changes: Any) -> RunFolder:
        options = OPTIONS if model == "order_net" else {}
        files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
        return train(RunSpec(model, replace(TINY, **changes), options), *files, tmp_path / name, context=ONE)

    return fit


def assert_same_checkpoint(first: RunFolder, second: RunFolder) -> None:
    (tensors, state), (others, other_state) = (read_tensors(run.checkpoint) for run in (first, second))
    assert state == other_state
    assert tensors.keys() == others.keys()
    for key, tensor in tensors.items():
        assert torch.equal(tensor, others[key]), key
