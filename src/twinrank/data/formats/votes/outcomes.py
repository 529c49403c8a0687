"""What the cells of an outcome mean: left, right, a tie, a share of the votes, or votes for each side."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twinrank.core.messages import first_few, quoted
from twinrank.data.formats.votes.cells import Cells
from twinrank.data.formats.votes.names import normal_name
from twinrank.data.formats.votes.roles import Roles, plain, points, side_words
from twinrank.errors import InputError

SKIPPED = ("skip", "skipped")
TIES = ("tie", "ties", "tied", "equal", "equals", "draw", "drawn", "same", "both", "neither", "nopreference", *SKIPPED)
"""Outcomes that are ties. To skip a pair is to see no difference."""
_TRUE, _FALSE = ("true", "yes", "t"), ("false", "no", "f")
MOST_VOTES = 1e15
"""Votes of a row. With more, no other vote would count in sums of double precision."""
TIE = -1.0
"""Stands for a tie among shares."""


@dataclass
class Outcomes:
    """The outcome of each row.

    Attributes:
        value: Share of the votes for left, or :data:`TIE`, float64 (N,); NaN where there is a defect.
        how: In brackets after the column's name: what its values mean.
        skipped: Number of ties that were written as skipped.
        defects: What is wrong, a text for each kind.
    """

    value: np.ndarray
    how: str
    skipped: int = 0
    defects: list[str] = field(default_factory=list)


def examples(kind: str, found: Sequence[str]) -> list[str]:
    """One text for a kind of defect, with its count and first examples; none if there are no examples."""
    return [f"{kind}: {len(found):,} ({first_few(found)})"] if found else []


def number(text: str, comma: bool = False) -> float:
    """A finite number, or NaN where the text is none.

    Args:
        text: Cell.
        comma: Whether it may have a decimal comma.
    """
    try:
        value = float(text.replace(",", ".") if comma else text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in text else math.nan


def read_outcomes(
    cells: Cells, roles: Roles, left: Sequence[str], right: Sequence[str], tied: Sequence[bool]
) -> Outcomes:
    """Outcomes from the column that has them.

    Args:
        cells: Table of N rows.
        roles: Its columns; one has the role ``outcome``, ``winner`` or ``share``.
        left: Names of the left images, (N,).
        right: Names of the right images, (N,).
        tied: Rows that another column says are ties, (N,); their outcome is not read.

    Raises:
        InputError: The values can be read in several ways; the line has them, and how to choose.
    """
    role = next(each for each in ("winner", "share", "outcome") if each in roles.columns)
    column = roles.columns[role]
    values = ["tie" if tie else value for value, tie in zip(cells.columns[column], tied, strict=True)]
    distinct = set(values)
    if role == "share":
        return _by_value(cells, values, _shares(distinct, cells.comma), "share of the votes for left")
    by_name = _by_name(cells, roles, values, left, right)
    if role == "winner":
        return by_name
    try:
        meaning, how = _meaning(cells, roles, column, distinct)
    except InputError:
        # Images may be called 0, 1 and 2.
        if points(column) and not by_name.defects:
            return by_name
        raise
    by_value = _by_value(cells, values, meaning, how)
    likely, other = (by_name, by_value) if points(column) else (by_value, by_name)
    if by_name.defects and by_value.defects:
        # Most rows decide which of the two readings was meant.
        return min(likely, other, key=lambda read: np.isnan(read.value).sum())
    if by_name.defects or by_value.defects:
        return other if likely.defects else likely
    if roles.values.keys() & _STATED.keys():
        return by_value
    if likely is by_value or np.array_equal(by_name.value, by_value.value):
        return likely
    raise InputError(
        f"{cells.path}: column {quoted(column)} could have the winner's name, or {how}; choose with `columns`:"
        f" winner={column} or left_is=VALUE,right_is=VALUE"
    )


def tie_flags(cells: Cells, column: str) -> tuple[list[bool], list[str]]:
    """Whether a column says that rows are ties, (N,), and what is wrong in it."""
    known = {**dict.fromkeys((*_TRUE, "1", *TIES), True), **dict.fromkeys((*_FALSE, "0", ""), False)}
    flags = [known.get(plain(value)) for value in cells.columns[column]]
    wrong = [
        f"{quoted(value)} in {cells.unit} {line}"
        for value, flag, line in zip(cells.columns[column], flags, cells.lines, strict=True)
        if flag is None
    ]
    return [bool(flag) for flag in flags], examples(f"values of {quoted(column)} that are not true or false", wrong)


def _by_value(cells: Cells, values: Sequence[str], meaning: Mapping[str, float], how: str) -> Outcomes:
    result = np.fromiter((meaning.get(value, math.nan) for value in values), float, len(values))
    return _outcomes(cells, values, result, how, ("missing outcomes", "outcomes that are not understood"))


def _by_name(cells: Cells, roles: Roles, values: Sequence[str], left: Sequence[str], right: Sequence[str]) -> Outcomes:
    """Each value is the name of one of the row's images, with or without folder and ending; or it is a tie."""
    normal = {value: normal_name(value) for value in set(values)}
    tie_words = {*TIES, plain(roles.values.get("tie_is", "tie"))}
    ties = {value for value in normal if plain(value) in tie_words}
    result = np.full(len(values), math.nan)
    for row, (value, first, second) in enumerate(zip(values, left, right, strict=True)):
        if not value:
            continue
        for given, one, other in zip(*map(_spellings, (normal[value], first, second)), strict=True):
            if (given == one) != (given == other):
                result[row] = given == one
                break
            if given == one and first == second:
                # The winner is not what is wrong here: an image with itself is refused by another message.
                result[row] = TIE
                break
        else:
            if value in ties:
                result[row] = TIE
    return _outcomes(
        cells, values, result, "the winner's name", ("missing winners", "winners that are not one of the two images")
    )


def _spellings(name: str) -> tuple[str, str, str]:
    """A name, its last part, and that without its ending."""
    last = name.rpartition("/")[2]
    return name, last, last.rpartition(".")[0] or last


def _outcomes(cells: Cells, values: Sequence[str], result: np.ndarray, how: str, kinds: tuple[str, str]) -> Outcomes:
    wrong = np.flatnonzero(np.isnan(result)).tolist()
    missing = [f"{cells.unit} {cells.lines[row]}" for row in wrong if not values[row]]
    other = [f"{quoted(values[row])} in {cells.unit} {cells.lines[row]}" for row in wrong if values[row]]
    ties = Counter(values[row] for row in np.flatnonzero(result == TIE).tolist())
    skipped = sum(count for value, count in ties.items() if plain(value) in SKIPPED)
    return Outcomes(result, how, skipped, examples(kinds[0], missing) + examples(kinds[1], other))


def _shares(values: Iterable[str], comma: bool) -> dict[str, float]:
    """Shares from 0 to 1, and ties, by their spelling."""
    shares = {value: number(value, comma) for value in values}
    found = {value: share for value, share in shares.items() if 0 <= share <= 1}
    return found | {value: TIE for value in values if plain(value) in TIES}


def _meaning(cells: Cells, roles: Roles, column: str, values: Iterable[str]) -> tuple[dict[str, float], str]:
    """What each spelling means, and that in words.

    Raises:
        InputError: Numbers have several readings.
    """
    found = {value: TIE for value in values if plain(value) in TIES}
    how = []
    words = side_words(roles)
    sides = {value: words[key] for value in values if (key := _side_of(value)) in words}
    if sides:
        how.append("left or right")
    truths = {value: 1.0 for value in values if plain(value) in _TRUE}
    truths |= {value: 0.0 for value in values if plain(value) in _FALSE}
    if truths:
        how.append("true is left")
    found |= sides | truths
    stated = {name: meant for name, meant in _STATED.items() if name in roles.values}
    for name, meant in stated.items():
        found |= {value: meant for value in values if _same(value, roles.values[name], cells.comma)}
    if stated:
        return found, ", ".join(f"{roles.values[name]} is {name.removesuffix('_is')}" for name in stated)
    numbers = {value: number(value, cells.comma) for value in values if value not in found}
    numbers = {value: each for value, each in numbers.items() if not math.isnan(each)}
    if numbers:
        as_shares, words_for = _numbers(cells, roles, column, numbers)
        found |= as_shares
        how.append(words_for)
    return found, ", ".join(how) or "left or right"


_STATED = {"left_is": 1.0, "right_is": 0.0, "tie_is": TIE}


def _same(value: str, stated: str, comma: bool) -> bool:
    return plain(value) == plain(stated) or (value != "" and number(value, comma) == number(stated, comma))


def _side_of(value: str) -> str:
    """An outcome without what follows the side in words such as ``Left is better``."""
    return re.sub(r"(is)?(better|wins|won|preferred|higher|more)$", "", plain(value)) or plain(value)


def _numbers(cells: Cells, roles: Roles, column: str, numbers: Mapping[str, float]) -> tuple[dict[str, float], str]:
    """Shares for numbers, and what they mean in words.

    Raises:
        InputError: They have several readings.
    """
    found = set(numbers.values())
    choices = []
    if found <= {0, 1} and (roles.marks == ("0", "1") or points(column)):
        choices = ["left_is=1,right_is=0", "left_is=0,right_is=1"]
    elif all(0 <= value <= 1 for value in found):
        return dict(numbers), "1 is left" if found <= {0, 1} else "share of the votes for left"
    elif found <= {1, 2}:
        if roles.marks == ("1", "2") or (points(column) and roles.marks != ("0", "1")):
            return {value: 2 - each for value, each in numbers.items()}, "1 is left, 2 is right"
        choices = ["left_is=1,right_is=2", "left_is=2,right_is=1"]
    elif found <= {0, 1, 2}:
        choices = ["tie_is=0,left_is=1,right_is=2", "left_is=0,right_is=1,tie_is=2", "left_is=0,tie_is=1,right_is=2"]
    elif found <= {-1, 0, 1}:
        tie = ",tie_is=0" if 0 in found else ""
        choices = [f"left_is=1,right_is=-1{tie}", f"left_is=-1,right_is=1{tie}"]
    if choices:
        shown = ", ".join(f"{value:g}" for value in sorted(found))
        raise InputError(
            f"{cells.path}: column {quoted(column)} has {shown}, which can be read in several ways; choose with"
            f" `columns`: {' or '.join(choices)}"
        )
    return {}, "a share of the votes for left"
