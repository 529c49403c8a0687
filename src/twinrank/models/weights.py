"""Tensors on disk: safetensors files with JSON in their header, replaced in one step. No pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file

from twinrank.core.files import read_bytes, replacing
from twinrank.core.memory import require_memory
from twinrank.core.records import as_record
from twinrank.core.tensor_header import STATE, read_tensor_header
from twinrank.errors import InputError
from twinrank.models.registry import create_model
from twinrank.models.siamese import SiameseNet


class Description(TypedDict):
    """What a network is built from; stored with its weights."""

    name: str
    options: dict[str, Any]
    channels: int
    image_size: int


def save_weights(path: Path, model: SiameseNet, description: Mapping[str, Any]) -> None:
    """Write the weights of a network.

    Args:
        path: File to write.
        model: Network.
        description: Values of a :class:`Description`.

    Raises:
        InputError: The file cannot be written.
    """
    write_tensors(path, model.state_dict(), description)


def load_weights(path: Path, expected: Mapping[str, Any] | None = None) -> SiameseNet:
    """Build a network from its weights, in evaluation mode.

    Args:
        path: File with the weights.
        expected: Part of the description, if it must be of a certain network.

    Raises:
        InputError: The file is missing or damaged, or is not the weights of a registered network, or not of this one.
    """
    header = read_tensor_header(Path(path))
    description = as_record(header.state, Description, str(path), "the weights of a network")
    if expected is not None and not expected.items() <= description.items():
        raise InputError(
            f"{path}: the weights of another network than the run's; restore the run's own, or train again"
        )
    try:
        if not fits_description(header.shapes, description):
            raise KeyError("tensors")
        tensors, _ = read_tensors(path)
        model = create_model(**description)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of a network of this version of twinrank; train again") from error
    return model.eval()


def fits_description(shapes: Mapping[str, tuple[int, ...]], description: Mapping[str, Any]) -> bool:
    """Whether stored tensors are those of a network; it is laid out without memory.

    So a file cannot describe a network that is larger than what it stores.

    Args:
        shapes: Shapes of the stored tensors by name.
        description: Values of a :class:`Description`.

    Raises:
        InputError: No such network can be built.
    """
    for value in description["options"].values():
        # Each block of a stage has a tensor of its own.
        if isinstance(value, list | tuple) and sum(each for each in value if isinstance(each, int)) > len(shapes):
            return False
    with torch.device("meta"):
        model = create_model(**description)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == dict(shapes)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors, and ``state`` as JSON in the header.

    Args:
        path: File to write.
        tensors: Tensors by name.
        state: JSON values.

    Raises:
        InputError: The file cannot be written.
    """
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(contiguous, temporary, {STATE: json.dumps(state, allow_nan=False)})
        except SafetensorError as error:
            raise OSError(f"{error}") from error


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = Path(path)
    state = read_tensor_header(path).state
    require_memory(path, path.stat().st_size)
    try:
        if any("\ud800" <= character <= "\udfff" for character in str(path)):
            # safetensors opens no path that is not UTF-8.
            return load(read_bytes(path)), state
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path}: damaged, or not written by twinrank; restore it, or train again") from error


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Digest of tensors with their names, types and shapes, in hexadecimal, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
