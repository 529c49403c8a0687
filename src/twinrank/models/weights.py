"""Tensors on disk: safetensors files with JSON in their header, replaced in one step. No pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file

from twinrank.core.files import parse_json, replacing, require_file
from twinrank.core.memory import require_memory
from twinrank.core.tensor_header import read_tensor_header
from twinrank.errors import InputError
from twinrank.models.registry import create_model
from twinrank.models.siamese import SiameseNet

_STATE = "state"


def save_weights(path: Path, model: SiameseNet, description: Mapping[str, Any]) -> None:
    """Write the weights of a network.

    Args:
        path: of the file.
        model: the network.
        description: what :func:`load_weights` needs to build it: ``name``, ``options``, ``channels`` and
            ``image_size``.

    Raises:
        InputError: the file cannot be written.
    """
    write_tensors(path, model.state_dict(), description)


def load_weights(path: Path, expected: Mapping[str, Any] | None = None) -> SiameseNet:
    """Build a network from its weights, in evaluation mode.

    Args:
        path: of the file.
        expected: part of its description, if it must be of a certain network.

    Raises:
        InputError: the file is missing or damaged, or is not the weights of a registered network, or not of this one.
    """
    tensors, description = read_tensors(path)
    if expected is not None and not expected.items() <= description.items():
        raise InputError(
            f"{path}: the weights of another network than the run's; restore the run's own, or train again"
        )
    try:
        model = create_model(**description)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of a network of this version of twinrank; train again") from error
    return model.eval()


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors, and ``state`` as JSON in the header.

    Raises:
        InputError: the file cannot be written.
    """
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(contiguous, temporary, {_STATE: json.dumps(state, allow_nan=False)})
        except SafetensorError as error:
            raise OSError(f"{error}") from error


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    require_file(path)
    require_memory(path, path.stat().st_size)
    try:
        if any("\ud800" <= character <= "\udfff" for character in str(path)):
            # safetensors opens no path that is not UTF-8.
            return load(path.read_bytes()), read_tensor_header(path).state
        with safe_open(path, "pt") as file:
            state = parse_json((file.metadata() or {})[_STATE], f"{path}: header")
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: damaged, or not written by twinrank; restore it, or train again") from error
