"""Checkpoints: all that the next epoch depends on, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from twinrank.core.tensor_header import read_tensor_header
from twinrank.errors import InputError
from twinrank.models.weights import fits_description, read_tensors, write_tensors
from twinrank.training.state import CheckpointRecord, read_checkpoint_record

Value = TypeVar("Value")


def save_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    """Write all that the next epoch depends on.

    Args:
        path: Checkpoint file; it holds the old checkpoint until it holds the whole of the new one.
        modules: Network, objective and running mean, by name.
        optimizer: Optimiser whose tensors are kept; its settings come from the configuration.
        state: Values of a :class:`twinrank.training.state.CheckpointRecord`.

    Raises:
        InputError: The file cannot be written.
    """
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in entries.items()}
    write_tensors(path, tensors, state)


def require_network(path: Path, description: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint is of a network, before that network takes memory.

    Args:
        path: Checkpoint file.
        description: Values of a :class:`twinrank.models.weights.Description`.

    Raises:
        InputError: The file is missing or damaged, or belongs to another network.
    """
    shapes = _below("model", read_tensor_header(path).shapes)
    if not fits_description(shapes, description):
        raise _of_another_network(path)


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> CheckpointRecord:
    """Restore what :func:`save_checkpoint` wrote, bit for bit.

    Args:
        path: Checkpoint file.
        modules: Network, objective and running mean, by name.
        optimizer: Optimiser of the run.

    Returns:
        What the checkpoint keeps besides tensors.

    Raises:
        InputError: The file is missing or damaged, or belongs to another network.
    """
    tensors, _ = read_tensors(path)
    state = read_checkpoint_record(path)
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(name, tensors))
        optimizer.state.clear()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, parameter in enumerate(parameters):
            for key, value in _below(f"optimizer.{index}", tensors).items():
                # The optimizer's kernel walks its tensors and the parameter in the same memory order.
                like = parameter if value.shape == parameter.shape else value
                kept = torch.empty_like(like, dtype=value.dtype, device=parameter.device)
                optimizer.state[parameter][key] = kept.copy_(value)
    except (KeyError, RuntimeError) as error:
        raise _of_another_network(path) from error
    return state


def _of_another_network(path: Path) -> InputError:
    return InputError(f"{path}: is of another network than the run's; restore the run's own, or train again")


def _below(prefix: str, values: Mapping[str, Value]) -> dict[str, Value]:
    return {key.removeprefix(f"{prefix}."): value for key, value in values.items() if key.startswith(f"{prefix}.")}
