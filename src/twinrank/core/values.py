"""Values by name, checked against the types of a dataclass."""

import math
import sys
import types
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from twinrank.core.messages import quoted, shown
from twinrank.errors import InputError, nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")


def with_values(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """A configuration with some values replaced, checked by name and type.

    Args:
        config: Configuration to start from.
        values: Values by field, as YAML or JSON gives them.
        where: Place of the values, for the message.

    Raises:
        InputError: A field does not exist, or a value has the wrong type or is out of range.
    """
    hints = get_type_hints(type(config))
    known = [each.name for each in fields(config)]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}: unknown key {quoted(name)}{nearest(str(name), known)}")
        if not fits(value, hints[name]):
            raise InputError(f"{where}: '{name}' is {shown(value)}; it must be {described(hints[name])}")
    try:
        return replace(config, **values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def fits(value: Any, hint: Any) -> bool:
    """Whether a value, as YAML or JSON gives it, is of a type; a list is a tuple."""
    if get_origin(hint) is Literal:
        # True equals 1, but is another value.
        return any(type(value) is type(option) and value == option for option in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(fits(part, get_args(hint)[0]) for part in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def described(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(described(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each {described(get_args(hint)[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}[hint]


def require_types(config: "DataclassInstance") -> None:
    """Refuse a value of a configuration that has another type than its field.

    Args:
        config: Dataclass instance, whose fields have types that :func:`fits` knows.

    Raises:
        InputError: A value has another type, or is none of the possible ones.
    """
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not fits(value, hint):
            raise InputError(f"{name} is {shown(value)}; it must be {described(hint)}")


def require_range(
    config: object,
    name: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Refuse a value of a configuration that is out of range; None is always in it.

    Args:
        config: Dataclass instance.
        name: Field name.
        at_least: Smallest possible value.
        at_most: Largest possible value.
        above: Value that must be exceeded.
        below: Value that must not be reached.

    Raises:
        InputError: The value is out of range.
    """
    value = getattr(config, name)
    if value is None or (_finite(value) and at_least <= value <= at_most and above < value < below):
        return
    limits = {"at least": at_least, "at most": at_most, "above": above, "below": below}
    possible = [f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)]
    if not _finite(value) and at_most == below == math.inf:
        possible.append(f"at most {sys.float_info.max:.1e}")
    raise InputError(f"{name} is {shown(value)}; it must be {' and '.join(possible)}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number beyond the range of floats.
        return False
