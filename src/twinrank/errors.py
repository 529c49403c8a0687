"""The errors that the user can mend."""

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Any

LONGEST_WORD, LONGEST_LINE = 500, 2000
"""Characters of a word, and of a whole message, that are shown."""
_CONTROLS = {"Cc", "Cf", "Zl", "Zp"}
"""Unicode categories: control and format characters, separators of lines."""
_UNREADABLE = {*_CONTROLS, "Cs"}
"""The same, and halves of surrogate pairs."""


class InputError(ValueError):
    """An input is wrong. The text is one line: what is wrong, where, and what to do.

    The command line prints the line and exits with status 2, without a traceback.

    Args:
        line: Message. :func:`one_line` makes sure that it is one line of readable length.
    """

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


class Diverged(InputError):
    """A training whose loss or gradient is no longer finite."""


class Interrupted(Exception):
    """The user stopped the work. The text is how to go on. The command line exits with status 130."""


class CheckFailed(Exception):
    """A check has found something. The text lists it, a line each. The command line exits with status 1."""


def one_line(text: str) -> str:
    """A text as one line that a terminal can show.

    Control characters, such as a line break in a file's name, are escaped. A word of more than 500 characters
    loses its middle, and so does a text of more than 2,000.
    """
    escaped = "".join(_escaped(letter, _UNREADABLE) for letter in text)
    words = [shortened(word, LONGEST_WORD) for word in escaped.split(" ")]
    return shortened(" ".join(words), LONGEST_LINE)


def printable(text: str) -> str:
    r"""A text that a terminal shows as it is: control characters, also line breaks, are escaped.

    Bytes of a file's name that are no text stay in it. The command line prints them as such.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    return "".join(_escaped(letter, _CONTROLS) for letter in text)


def shortened(text: str, longest: int) -> str:
    """A text of at most so many characters. A longer one loses its middle, for which an ellipsis stands."""
    if len(text) <= longest:
        return text
    head = longest // 2
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def _escaped(character: str, unreadable: set[str]) -> str:
    readable = unicodedata.category(character) not in unreadable
    return character if readable else character.encode("unicode_escape").decode("ascii")


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid name if one is near, and all of them."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, 1)
    start = f"did you mean '{close[0]}'? It" if close else "it"
    return f"; {start} is one of {', '.join(names)}"


def differences(found: Any, expected: Any, name: str = "") -> list[str]:
    """Where two values that may be mappings in mappings differ, for a message: ``train.lr is 0.1, not 0.01``."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = {**expected, **found}
        return [part for key in keys for part in differences(found.get(key), expected.get(key), f"{name}.{key}")]
    return [] if found == expected else [f"{name.removeprefix('.') or 'it'} is {found!r}, not {expected!r}"]
