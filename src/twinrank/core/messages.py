"""Parts of one-line messages: values, counts, examples, causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinrank.errors import shortened

if TYPE_CHECKING:
    import numpy as np

SHOWN = 3
"""How many examples a message gives."""
_LONGEST, _LONGEST_VALUE = 60, 200
_LOOKED_AT = 1000


def quoted(value: object) -> str:
    """A value from a file as it can stand in one line: quoted, control characters escaped, cut at 60 characters."""
    text = repr(str(value)[:_LOOKED_AT])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…{text[0]}"


def shown(value: object) -> str:
    """A value as Python writes it, without the middle if that has more than 200 characters."""
    return shortened(repr(value), _LONGEST_VALUE)


def kind(dtype: np.dtype) -> str:
    """The type of an array in a message: ``text`` where NumPy has a code, else NumPy's name, such as ``float64``."""
    return "text" if dtype.kind in "US" else str(dtype)


def counted(count: int, one: str, many: str) -> str:
    """A count with its noun: ``1 row has``, ``1,000 rows have``."""
    return f"{count:,} {one if count == 1 else many}"


def cause(error: Exception) -> str:
    """The first line of a library's error."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def first_few(examples: Sequence[str]) -> str:
    """The first three examples and how many are left: ``a, b, c and 4 more``."""
    listed = ", ".join(examples[:SHOWN])
    return f"{listed} and {len(examples) - SHOWN} more" if len(examples) > SHOWN else listed
