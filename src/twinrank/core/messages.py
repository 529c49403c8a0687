"""One-line messages: examples, causes, failures of the file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twinrank.errors import InputError

if TYPE_CHECKING:
    import numpy as np

SHOWN = 3
"""How many examples a message gives."""
_LONGEST = 60


def quoted(value: object) -> str:
    """A value from a file as it can stand in one line: quoted, control characters escaped, cut at 60 characters."""
    text = repr(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…{text[0]}"


def kind(dtype: np.dtype) -> str:
    """What an array holds, in words where NumPy has a code: ``text``, and ``float64`` as it is."""
    return "text" if dtype.kind in "US" else str(dtype)


def counted(count: int, one: str, many: str) -> str:
    """A count and what there is of it: ``1 row has``, ``1,000 rows have``."""
    return f"{count:,} {one if count == 1 else many}"


def cause(error: Exception) -> str:
    """What a library says went wrong, cut to its first line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def first_few(examples: Sequence[str]) -> str:
    """The first three examples and how many are left: ``a, b, c and 4 more``."""
    listed = ", ".join(examples[:SHOWN])
    return f"{listed} and {len(examples) - SHOWN} more" if len(examples) > SHOWN else listed


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A block that reads ``path``.

    Raises:
        InputError: it does not exist, cannot be read, or is a device or pipe, which might never end.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: neither a file nor a folder; give one")
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check what it is") from error
