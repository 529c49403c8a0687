"""Which columns of a table say what: the names that people give them, and names that are stated."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from twinrank.core.messages import quoted
from twinrank.data.formats.votes.cells import Cells
from twinrank.errors import InputError, nearest

COLUMNS = (
    *("left", "right", "outcome", "winner", "share", "left_votes", "right_votes", "ties", "tie", "weight", "rater"),
    *("id", "group", "left_group", "right_group"),
)
"""Roles that a column can have."""
VALUES = ("left_is", "right_is", "tie_is", "only")
"""What can be stated about values: how an outcome is written, and which rows count."""

_OUTCOME_ROLES = {
    *("outcome", "winner", "share", "left_votes", "right_votes", "ties", "tie", "left_is", "right_is", "tie_is")
}
_GROUP_ROLES = {"group", "left_group", "right_group"}
_SIDES = (("left", "right"), ("a", "b"), ("1", "2"), ("0", "1"), ("first", "second"), ("l", "r"), ("i", "j"))
_RESULTS = (("winner", "loser"), ("chosen", "rejected"), ("better", "worse"), ("preferred", "rejected"))
_NOUNS = (
    *("image", "img", "photo", "photograph", "picture", "pic", "item", "file", "filename", "path", "filepath"),
    *("imagepath", "imagefile", "imagename", "imageid", "imageurl", "url", "uri", "id", "name", "stimulus", "stim"),
    *("condition", "option", "candidate", "object", "element", "sample", "key", "p", "im", "imageuid"),
)
_NUMBERS = ("1", "2", "0", "l", "r", "i", "j")
"""Sides that are no column name by themselves."""
_COUNTS = ("votes", "vote", "count", "counts", "wins", "n", "numvotes", "votecount")
_GROUPS = ("group", "groupid")
_OUTCOMES = (
    *("outcome", "label", "winner", "choice", "preference", "preferred", "selected", "selection", "vote"),
    *("result", "answer", "response", "judgement", "judgment", "decision", "verdict", "chosen", "better"),
)
_WEAK_OUTCOMES = ("votes", "y")
"""Names of outcomes where nothing else is one."""
_POINTING = ("winner", "choice", "preference", "preferred", "selected", "selection", "chosen", "better")
"""Outcome columns that name an image, or say which of two it is: 1 the first, 2 the second."""
_LEFT_IS_TRUE = tuple(
    f"{before}{side}{after}"
    for side in ("left", "a", "first")
    for before, after in (
        *(("is", "selected"), ("", "selected"), ("selected", ""), ("is", "preferred"), ("", "preferred")),
        *(("", "wins"), ("", "won"), ("", "better"), ("", "isbetter"), ("is", "better"), ("", "higher")),
    )
)
_SHARES = tuple(
    name
    for word in ("share", "fraction", "proportion")
    for side in ("", "left", "a")
    for name in (word + side, side + word)
)
_TIES = (
    "ties",
    "tievotes",
    "tiecount",
    "votestie",
    "votesties",
    "equalvotes",
    "votesequal",
    "draws",
    "numties",
    "nties",
)
_TIE = ("tie", "istie", "tied", "equal", "isequal", "draw", "isdraw", *_TIES)
_WEIGHTS = (
    *("weight", "weights", "count", "votes", "n", "nvotes", "numvotes", "numberofvotes", "votecount", "totalvotes"),
    *("total", "counts", "times"),
)
_RATERS = (
    *("rater", "raterid", "worker", "workerid", "user", "userid", "username", "annotator", "annotatorid", "observer"),
    *("observerid", "participant", "participantid", "voter", "voterid", "judge", "judgeid", "labeler", "labeller"),
    *("reviewer", "respondent", "userhash", "completedby"),
)
_SESSIONS = ("session", "sessionid")
_IDS = ("id", "rowid", "voteid", "judgementid", "judgmentid")


_IGNORED = dict.fromkeys(map(ord, " \t\r\n_.-"))


@dataclass(frozen=True)
class Roles:
    """Columns by role, and what was stated about values.

    Attributes:
        columns: Names of columns by role. ``left`` and ``right`` are always there.
        values: What was stated, by the names of :data:`VALUES`.
        marks: How the names of the two image columns tell the sides apart, such as ``("1", "2")``; empty if the
            names were stated.
    """

    columns: dict[str, str]
    values: dict[str, str]
    marks: tuple[str, ...]

    @property
    def by_result(self) -> bool:
        """Whether the left column names the winner and the right one the loser."""
        return self.marks in _RESULTS


def plain(name: str) -> str:
    """A column's name, or a word of an outcome, without case, spaces, underscores, hyphens and dots."""
    return unicodedata.normalize("NFKC", name).casefold().translate(_IGNORED)


def points(name: str) -> bool:
    """Whether a column of outcomes names an image or its place, as ``winner`` does; ``label`` may be anything."""
    return plain(name) in {*_named(_POINTING), "vote", "answer", "response"}


def side_words(roles: Roles) -> dict[str, float]:
    """Words that name a side, without case and blanks: 1 for the left one, 0 for the right one.

    They are those of :data:`_SIDES` alone and with a noun, such as ``left`` and ``imageb``, and the names of the two
    columns. Numbered sides count only if the columns are numbered so.
    """
    known = {marks for marks in _SIDES if marks[0] not in ("0", "1", "i")} | ({roles.marks} & {*_SIDES})
    words = {
        before + mark + after: float(place == 0)
        for marks in known
        for before, after in _templates(("", *_NOUNS))
        for place, mark in enumerate(marks)
        if before or after or not mark.isdigit()
    }
    return words | {plain(roles.columns["left"]): 1.0, plain(roles.columns["right"]): 0.0}


def find_roles(cells: Cells, columns: Mapping[str, str]) -> Roles:
    """Find out which columns hold what.

    Args:
        cells: Table.
        columns: What the user states: a column for a role of :data:`COLUMNS`, nothing for a role that no column has,
            or a value for a name of :data:`VALUES`.

    Raises:
        InputError: A role or a column that was stated is unknown; there are no images; or several columns could have
            one role.
    """
    given = _stated(cells, columns)
    values = {name: columns[name] for name in VALUES if name in columns}
    found = {**cells.roles, **given}
    marks = _Search(cells, found).run()
    if not {"left", "right"} <= found.keys():
        raise InputError(f"{cells.path}: one image column is named; name both with `columns`: left=...,right=...")
    used = {role: name for role, name in found.items() if name}
    for name in used.values():
        alike = [other for other in cells.columns if plain(other) == plain(name)]
        if name in cells.repeated or (len(alike) > 1 and name not in given.values()):
            shown = " and ".join(map(quoted, alike)) if len(alike) > 1 else quoted(name)
            raise InputError(f"{cells.path}: more than one column is called {shown}; keep one of them")
    return Roles(used, values, marks)


def known_columns(cells: Cells, recorded: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """What was stated for another table and counts for this one; nothing if this one lacks an image column.

    What is stated for this table comes first. Where that names the images, nothing else counts. The rows that count are
    left out: those of a training are not those of a test.

    Args:
        cells: Table.
        recorded: What was stated for the other table, by role.
        stated: What is stated for this one.
    """
    if stated.keys() & {"left", "right"}:
        return {}
    there = {plain(name) for name in cells.columns}
    columns = {role: name for role, name in recorded.items() if role in COLUMNS and plain(name) in {"", *there}}
    if {"left", "right"} & recorded.keys() - columns.keys():
        return {}
    spelled = {role: value for role, value in recorded.items() if role in VALUES and role != "only"}
    columns |= spelled if recorded.keys() & {"outcome", "winner"} <= columns.keys() else {}
    replaced = {role for roles in (_OUTCOME_ROLES, _GROUP_ROLES) if stated.keys() & roles for role in roles}
    taken = {plain(name) for role, name in stated.items() if role in COLUMNS and name}
    return {
        role: name
        for role, name in columns.items()
        if role not in {*stated, *replaced} and (role in VALUES or plain(name) not in taken)
    }


def _stated(cells: Cells, columns: Mapping[str, str]) -> dict[str, str]:
    """Columns that the user names, as the table spells them; an empty name for a role that no column has."""
    given = {}
    for role, name in columns.items():
        if role in VALUES:
            continue
        if role not in COLUMNS:
            raise InputError(f"`columns`: unknown role {quoted(role)}{nearest(role, (*COLUMNS, *VALUES))}")
        close = [other for other in cells.columns if plain(other) == plain(name)]
        if name and name not in cells.columns and len(close) != 1:
            raise InputError(
                f"{cells.path}: no column {quoted(name)} for {role}; the columns are {_listed(cells.columns)}"
            )
        given[role] = name if name in cells.columns or not name else close[0]
    roles: dict[str, str] = {}
    for role, name in given.items():
        other = roles.setdefault(name, role)
        if name and other != role and not (other.endswith("group") and role.endswith("group")):
            raise InputError(f"`columns`: {quoted(name)} is for {other} and for {role}; a column has one role")
    return given


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def _named(words: Iterable[str]) -> list[str]:
    """Words alone and with a noun: ``winner``, ``winnerid``, ``winnerimage``."""
    return [word + noun for word in words for noun in ("", *_NOUNS)]


def _templates(nouns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What may stand before and after the mark of a side."""
    for noun in nouns:
        yield noun, ""
        yield "", noun
    for noun in ("image", "img", "photo", "picture", "item"):
        for after in ("path", "file", "filename", "name", "url", "id"):
            yield noun, after


class _Search:
    """Looks for the columns of roles among those that have none yet, and adds them to ``found``."""

    def __init__(self, cells: Cells, found: dict[str, str]) -> None:
        self.cells, self.found = cells, found
        self.free = {plain(name): name for name in cells.columns if name not in found.values()}

    def run(self) -> tuple[str, ...]:
        """The marks of the image columns."""
        marks = self._images()
        self._outcome(marks)
        for role, names in (("weight", _WEIGHTS), ("rater", _RATERS), ("rater", _SESSIONS)):
            self._take(role, names)
        for name in _IDS:
            self._take("id", (name,))
        self._groups()
        return marks

    def _images(self) -> tuple[str, ...]:
        if self.found.keys() & {"left", "right"}:
            return ()
        for sides in (_SIDES, _RESULTS):
            pairs = self._pairs(sides, ("", *_NOUNS))
            if len(pairs) > 1:
                self._refuse("images", [f"left={left},right={right}" for left, right in pairs])
            for (left, right), marks in pairs.items():
                self._give(left=left, right=right)
                return marks
        raise InputError(
            f"{self.cells.path}: no two columns of images among {_listed(self.cells.columns)};"
            " name them with `columns`: left=...,right=..."
        )

    def _outcome(self, marks: tuple[str, ...]) -> None:
        stated = self.found.keys() & {"outcome", "winner", "share", "left_votes", "right_votes"}
        if not stated:
            pairs = self._pairs(_SIDES, _COUNTS)
            shares = self._present(_SHARES)
            outcomes = self._present((*_named(_POINTING), *_OUTCOMES, *_LEFT_IS_TRUE)) or self._present(_WEAK_OUTCOMES)
            if marks in _RESULTS and (pairs or shares or outcomes):
                others = [name for pair in pairs for name in pair] + shares + outcomes
                raise InputError(
                    f"{self.cells.path}: {self.found['left']} and {self.found['right']} say who won, and"
                    f" {_listed(others)} may, too; with `columns`, write outcome=NAME, or outcome= for none"
                )
            if len(pairs) > 1:
                self._refuse(
                    "votes for each image", [f"left_votes={left},right_votes={right}" for left, right in pairs]
                )
            if pairs:
                ((left, right),) = pairs
                self._give(left_votes=left, right_votes=right)
            elif shares:
                self._take("share", _SHARES)
            elif len(outcomes) > 1:
                self._refuse("the outcome", [f"outcome={name}" for name in outcomes])
            elif outcomes:
                self._give(outcome=outcomes[0])
        if "left_votes" in self.found:
            self._take("ties", _TIES)
        elif {"outcome", "winner"} & self.found.keys() or marks in _RESULTS:
            self._take("tie", _TIE)

    def _groups(self) -> None:
        if self.found.keys() & {"group", "left_group", "right_group"}:
            return
        pairs = self._pairs(_SIDES, _GROUPS)
        if len(pairs) == 1:
            ((left, right),) = pairs
            self._give(left_group=left, right_group=right)
        else:
            self._take("group", _GROUPS)

    def _pairs(self, sides: Iterable[tuple[str, str]], nouns: Iterable[str]) -> dict[tuple[str, str], tuple[str, str]]:
        """Pairs of columns whose names differ by the mark of a side alone, and the marks."""
        found = {}
        templates = [*_templates(nouns)]
        for marks in sides:
            for before, after in templates:
                names = [self.free.get(before + mark + after, "") for mark in marks]
                if all(names) and (before or after or marks[0] not in _NUMBERS):
                    found[names[0], names[1]] = marks
        return found

    def _present(self, names: Iterable[str]) -> list[str]:
        return [self.free[name] for name in dict.fromkeys(names) if name in self.free]

    def _take(self, role: str, names: Iterable[str]) -> None:
        if role in self.found:
            return
        present = self._present(names)
        if len(present) > 1:
            self._refuse(role, [f"{role}={name}" for name in present])
        if present:
            self._give(**{role: present[0]})

    def _give(self, **roles: str) -> None:
        self.found |= roles
        self.free = {key: name for key, name in self.free.items() if name not in roles.values()}

    def _refuse(self, what: str, choices: list[str]) -> NoReturn:
        raise InputError(
            f"{self.cells.path}: several columns could be {what}; choose with `columns`: {' or '.join(choices)}"
        )
