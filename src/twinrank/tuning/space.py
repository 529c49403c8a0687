"""The values that a search chooses from: ranges and lists of training values and of a network's options."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from twinrank.config import RunSpec, TrainConfig
from twinrank.core.values import described, fits, with_values
from twinrank.core.yaml_files import read_yaml
from twinrank.errors import InputError, nearest
from twinrank.models.registry import entry
from twinrank.training.checks import require_trainable

SPACES = "recipes/spaces"
"""Folder of the spaces that come with twinrank."""
_PARTS = ("train.", "options.")
_LIMITS = ("low", "high", "log")
_FIXED = {
    "train.seed": "a lucky seed is no better value; the winner is trained on others",
    "train.epochs": "trials are compared epoch by epoch; change it for all of them with `changes`",
    "train.monitor": "what is maximised is the accuracy on val",
}


@dataclass(frozen=True)
class Range:
    """Every number from ``low`` to ``high``, both included: whole ones if they are.

    Attributes:
        low: Least value.
        high: Greatest value.
        log: Whether there are as many between 1 and 10 as between 10 and 100.
    """

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Range | list[Any]]
"""Ranges, and lists of choices, by ``train.KEY`` or ``options.KEY``."""


def read_space(name: str, spec: RunSpec) -> Space:
    """A space by its name or from a YAML file.

    Args:
        name: Name of a space that comes with twinrank, or path of a YAML file.
        spec: Training whose values are searched for.

    Raises:
        InputError: The space does not exist, or a key of it or a value in it is impossible.
    """
    values, where = read_yaml(name, SPACES, "space")
    if not isinstance(values, dict) or not values:
        raise InputError(
            f"{where}: a space is a mapping of train.KEY or options.KEY to {{low, high, log}} or to a list of choices"
        )
    return {str(key): _dimension(str(key), value, spec, where) for key, value in values.items()}


def with_choices(spec: RunSpec, values: Mapping[str, Any], where: str) -> RunSpec:
    """A training with other values.

    Args:
        spec: Training to start from.
        values: Values by ``train.KEY`` or ``options.KEY``.
        where: Place of the values, for the message.

    Raises:
        InputError: A value is impossible.
    """
    train, options = (
        {key.removeprefix(part): values[key] for key in values if key.startswith(part)} for part in _PARTS
    )
    try:
        entry(spec.model).complete(options)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return RunSpec(spec.model, with_values(spec.train, train, where), spec.options | options)


def _dimension(key: str, value: Any, spec: RunSpec, where: str) -> Range | list[Any]:
    hints = _hints(spec.model)
    if key not in hints:
        raise InputError(f"{where}: unknown key '{key}'{nearest(key, hints)}")
    if key in _FIXED:
        raise InputError(f"{where}: '{key}' is not searched: {_FIXED[key]}")
    if isinstance(value, list):
        if len(value) < 2 or any(each in value[:place] for place, each in enumerate(value)):
            raise InputError(f"{where}: '{key}' is {value!r}; give two choices or more, each once")
        dimension, tried = value, value
    else:
        dimension = _range(key, value, hints[key], where)
        tried = [dimension.low, dimension.high]
    for each in tried:
        changed = with_choices(spec, {key: each}, f"{where}: '{key}'")
        try:
            require_trainable(changed.train, taught=False)
        except InputError as error:
            raise InputError(f"{where}: '{key}': {error}") from error
    return dimension


def _range(key: str, value: Any, hint: Any, where: str) -> Range:
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys() <= {*_LIMITS}:
        raise InputError(
            f"{where}: '{key}' is {value!r}; it must be a range such as {{low: 1e-4, high: 1e-2, log: true}},"
            " or a list of choices"
        )
    number = next((kind for kind in (float, int) if fits(kind(1), hint)), None)
    if number is None:
        raise InputError(f"{where}: '{key}' must be {described(hint)}; give a list of choices")
    low, high, log = (value.get(name, False) for name in _LIMITS)
    for each in (low, high):
        if not fits(each, number) or not math.isfinite(each):
            raise InputError(f"{where}: '{key}' goes from {low!r} to {high!r}; both must be {described(number)}")
    if not low < high:
        raise InputError(f"{where}: '{key}' goes from {low} to {high}; low must be below high")
    if not isinstance(log, bool):
        raise InputError(f"{where}: '{key}': log is {log!r}; it must be true or false")
    if log and low <= 0:
        raise InputError(f"{where}: '{key}' goes from {low}, which has no logarithm; low must be above 0")
    return Range(number(low), number(high), log)


def _hints(model: str) -> dict[str, Any]:
    """Types by key."""
    train, options = get_type_hints(TrainConfig), entry(model).option_types
    return {f"train.{key}": hint for key, hint in train.items()} | {
        f"options.{key}": hint for key, hint in options.items()
    }
