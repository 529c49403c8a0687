"""Values that callers give by name."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from twinrank.core.values import with_values
from twinrank.data.images.reading import Reading
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.runs import fitted_run

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")


def changed(config: Config, values: Mapping[str, Any], caller: str) -> Config:
    """A configuration with values that a caller gave as keywords.

    Args:
        config: Configuration to start from.
        values: Values by field; NumPy's scalars count as Python's.
        caller: Name of the function, for the message.

    Raises:
        InputError: A field does not exist, or a value has the wrong type or is out of range.
    """
    known = [each.name for each in fields(config)]
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"'help(twinrank.{type(config).__name__})' lists all; options of a network go into `options`"
            hint = f"did you mean '{close[0]}'?" if close else hint
            raise InputError(f"`{caller}` knows no value '{name}'; {hint}")
    return with_values(config, plain(values), f"`{caller}`")


def as_path(value: Any, parameter: str) -> Path:
    """A path that a caller gave.

    Args:
        value: Text or path.
        parameter: Parameter name, for the message.

    Raises:
        InputError: It is something else, is empty, or has a zero byte.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(f"`{parameter}` is {value!r}; give a path")
    return Path(text)


def as_run(value: Any, parameter: str) -> Path:
    """A run folder that a caller gave, or one of :func:`twinrank.fit`, which stands for the model in it.

    Args:
        value: Text or path.
        parameter: Parameter name, for the message.

    Raises:
        InputError: As :func:`as_path`.
    """
    return fitted_run(as_path(value, parameter))


def source(
    images: Any = None, columns: Mapping[str, str] | None = None, resize: bool = False, **reading: Any
) -> Source:
    """How tables are read, from what a caller gave.

    Args:
        images: Folder of the images that a table names, or None.
        columns: Columns of a table by their role, or None.
        resize: Whether images of another size than in training are resized.
        reading: Values of :class:`twinrank.data.images.reading.Reading`.

    Raises:
        InputError: A value is impossible.
    """
    folder = None if images is None else as_path(images, "images")
    return Source(folder, dict(columns or {}), with_values(Reading(), plain(reading), "images"), resize)


def plain(value: Any) -> Any:
    """A scalar of NumPy as Python's own, since a search draws the former; also inside of mappings and lists."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value
