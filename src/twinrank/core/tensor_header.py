"""The header of a safetensors file, without its tensors and without torch: names, shapes, and our own JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinrank.core.files import open_file, parse_json
from twinrank.errors import InputError

STATE = "state"
"""Key of our own JSON among the metadata."""
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_LONGEST = 100_000_000
"""Bytes that a header may have; the format's own bound."""


@dataclass(frozen=True)
class TensorHeader:
    """The header of a safetensors file.

    Attributes:
        shapes: Shapes of the tensors by name.
        state: JSON that was written with the tensors.
    """

    shapes: Mapping[str, tuple[int, ...]]
    state: dict[str, Any]

    @property
    def numbers(self) -> int:
        """How many numbers are stored."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_tensor_header(path: Path) -> TensorHeader:
    """Read the header of a file that twinrank wrote.

    Args:
        path: Safetensors file.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        with open_file(path) as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if not length <= min(_LONGEST, path.stat().st_size - _LENGTH_BYTES):
                raise ValueError("a header that is longer than the file")
            header = parse_json(file.read(length), f"{path}: header")
        metadata = header.pop(_METADATA)
        shapes = {name: _shape(tensor) for name, tensor in header.items()}
        state = parse_json(metadata[STATE], f"{path}: header")
        if not isinstance(state, dict):
            raise TypeError("no mapping")
        return TensorHeader(shapes, state)
    except InputError:
        raise
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: damaged, or not written by twinrank; restore it, or train again") from error


def _shape(tensor: Any) -> tuple[int, ...]:
    shape = tensor["shape"]
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("no shape")
    return tuple(shape)
