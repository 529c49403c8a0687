"""The errors that are the user's to mend."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Something that was given is wrong: one line that says what, where, and what to do.

    The command line prints the line and exits with status 2, without a traceback.
    """


class Interrupted(Exception):
    """Work was stopped by the user; the line says how to go on. The command line exits with status 130."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one if any is near, and all of them."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, 1)
    listed = f"t is one of {', '.join(names)}"
    return f"; did you mean '{close[0]}'? I{listed}" if close else f"; i{listed}"
