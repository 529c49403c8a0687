"""Packages that only some commands need."""

from collections.abc import Iterator
from contextlib import contextmanager

from twinrank.errors import InputError


@contextmanager
def needed(what: str, extra: str) -> Iterator[None]:
    """A block that imports packages of an extra.

    Args:
        what: What needs them, in words.
        extra: Name of the extra.

    Raises:
        InputError: One is missing.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{what} needs the package {error.name}; install it with: pip install 'twinrank[{extra}]'"
        ) from error
