"""The errors that are the user's to mend."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(Exception):
    """Something that was given is wrong: one line that says what, where, and what to do.

    The command line prints the line and exits with status 2, without a traceback.
    """


class Diverged(InputError):
    """A training whose loss or gradient is no longer finite."""


class Interrupted(Exception):
    """Work was stopped by the user; the line says how to go on. The command line exits with status 130."""


class CheckFailed(Exception):
    """A check that was asked for has found something: lines that say what. The command line exits with status 1."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one if any is near, and all of them."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, 1)
    listed = f"t is one of {', '.join(names)}"
    return f"; did you mean '{close[0]}'? I{listed}" if close else f"; i{listed}"


def differences(found: Any, expected: Any, name: str = "") -> list[str]:
    """Where two values that may be mappings in mappings differ, for a message: ``train.lr is 0.1, not 0.01``."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = {**expected, **found}
        return [part for key in keys for part in differences(found.get(key), expected.get(key), f"{name}.{key}")]
    return [] if found == expected else [f"{name.removeprefix('.') or 'it'} is {found!r}, not {expected!r}"]
