"""Checkpoints: all that the next epoch depends on, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from twinrank.errors import InputError
from twinrank.models.weights import read_tensors, write_tensors


def save_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    """Write all that the next epoch depends on.

    Args:
        path: of the file; it holds the old checkpoint until it holds the whole of the new one.
        modules: the network and the objective, by name.
        optimizer: its tensors are kept, its settings come from the configuration.
        state: JSON values.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in entries.items()}
    write_tensors(path, tensors, state)


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore what :func:`save_checkpoint` wrote, bit for bit.

    Returns:
        ``state``.

    Raises:
        InputError: the file is missing or damaged, or belongs to another network.
    """
    tensors, state = read_tensors(path)
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(name, tensors))
        optimizer.state.clear()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, parameter in enumerate(parameters):
            for key, value in _below(f"optimizer.{index}", tensors).items():
                # The optimizer's kernel walks its tensors and the parameter in the same memory order.
                like = parameter if value.shape == parameter.shape else value
                optimizer.state[parameter][key] = torch.empty_like(like, dtype=value.dtype).copy_(value)
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: is of another network than the run's; restore the run's own, or train again"
        ) from error
    return state


def read_state(path: Path) -> dict[str, Any]:
    """The ``state`` of a checkpoint alone.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_tensors(path)[1]


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
