"""Pairs from whatever a caller has: a path, arrays, or pairs that are loaded already."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from twinrank.core.context import Context
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.errors import InputError

if TYPE_CHECKING:
    # It loads torch, which pairs do not need.
    from twinrank.data.dataset import PairNPZDataset

Pairs = Union[str, "os.PathLike[str]", Judgements, "PairNPZDataset", tuple[Any, ...]]
"""A path, loaded pairs, a dataset of pairs, or the arrays ``(xa, xb)`` or ``(xa, xb, y)``."""


def as_pairs(
    given: Pairs,
    name: str = "arrays",
    labels: str | os.PathLike[str] | None = None,
    source: Source | None = None,
    context: Context = Context(),
) -> Judgements:
    """Pairs from any of these forms.

    Args:
        given: Path, pairs, dataset, or tuple of arrays ``(xa, xb)`` or ``(xa, xb, y)``.
        name: Name of arrays in messages and results.
        labels: CSV ``id,label`` of a path.
        source: Where the images of a table are, and how it is read.
        context: Listeners, as those of :func:`twinrank.data.judgements.load_pairs`.

    Raises:
        InputError: The pairs are refused, ``given`` is something else, or ``labels`` comes without a path.
    """
    if isinstance(given, str | os.PathLike):
        return load_pairs(Path(given), None if labels is None else Path(labels), source, context)
    if labels is not None:
        raise InputError(f"`labels`: {labels} is for a file of pairs; with arrays give (xa, xb, y)")
    if isinstance(given, Judgements):
        return given
    if isinstance(given, tuple | list) and len(given) in (2, 3):
        return Judgements.from_arrays(*given, name=name)
    if isinstance(data := getattr(given, "data", None), Judgements):
        return data
    raise InputError(
        f"{name}: {_described(given)} is not pairs; give a path, Judgements, or arrays (xa, xb) or (xa, xb, y)"
    )


def _described(given: Any) -> str:
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {len(given)}"
    shape = getattr(given, "shape", None)
    return f"one array of shape {tuple(shape)}" if shape is not None else f"a value of type {type(given).__name__}"
