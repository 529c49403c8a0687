"""JSON from disk as typed records. A bent value gives one line that names the file and the key.

Unknown keys are allowed, since a newer version may write more. Keys that are known must have the right types.
"""

import re
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from twinrank.core.files import parse_json, read_json
from twinrank.errors import InputError

Kind = TypeVar("Kind")

_PLACE = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}


def parse_record(text: str | bytes, kind: type[Kind], where: str, what: str) -> Kind:
    """Decode JSON into a type.

    Args:
        text: JSON, as text or UTF-8 bytes.
        kind: Type of the record, for example a ``TypedDict``, a ``msgspec.Struct`` or a list of such.
        where: Place of the text, for the message.
        what: Name of such a record, for the message.

    Raises:
        InputError: The text is not JSON, or its values do not fit the type.
    """
    return as_record(parse_json(text, where), kind, where, what)


def read_record(path: Path, kind: type[Kind], what: str) -> Kind:
    """Decode a JSON file into a type.

    Args:
        path: JSON file.
        kind: Type of the record.
        what: Name of such a record, for the message, for example "the configuration of a run".

    Raises:
        InputError: The file is missing, is not JSON, or its values do not fit the type.
    """
    return as_record(read_json(path), kind, str(path), what)


def as_record(value: Any, kind: type[Kind], where: str, what: str) -> Kind:
    """Check JSON values against a type.

    Mappings stay as they are, with the keys that the type does not know. Structs are made.

    Args:
        value: JSON values.
        kind: Type of the record.
        where: Place of the values, for the message.
        what: Name of such a record, for the message.

    Raises:
        InputError: The values do not fit the type.
    """
    try:
        made = _converted(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{where}: not {what} ({explained(error)}); restore it, or make it again") from error
    parts = made if isinstance(made, list | tuple) else [made]
    return made if any(isinstance(part, msgspec.Struct) for part in parts) else cast(Kind, value)


def _converted(value: Any, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError:
        # The name of a file may have bytes that are no UTF-8; Python has halves of surrogate pairs for them.
        return msgspec.convert(_encodable(value), kind)


def _encodable(value: Any) -> Any:
    """JSON values with question marks in place of what UTF-8 does not have."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def explained(error: Exception) -> str:
    """What is wrong with a value, with the key that has it."""
    match = _PLACE.match(str(error))
    problem, place = (match[1], match[2]) if match else (str(error), None)
    if missing := _MISSING.fullmatch(problem):
        key = f"{place}.{missing[1]}" if place else missing[1]
        return f"'{key}' is missing"
    problem = re.sub(r"`(\w+)`", lambda name: _WORDS.get(name[1], f"'{name[1]}'"), problem)
    problem = problem[:1].lower() + problem[1:]
    return f"'{place}': {problem}" if place else problem
