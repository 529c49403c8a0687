"""The database of a page to judge on: every pair that was shown, and what people said about it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from twinrank.core.messages import quoted
from twinrank.errors import InputError
from twinrank.labelling.databases import Place, Unreachable, engine_of, keep_log, name_of, reachable, same_file

Outcome = Literal["left", "right", "tie", "skip"]
Drawn = Literal["to cover", "for its gain", "at random", "again"]
MOST_PAIRS = 2**31 - 1
"""Largest number of a pair that every database can hold."""
OUTCOMES: tuple[Outcome, ...] = ("left", "right", "tie", "skip")
FORMAT = "twinrank label 1"

_METADATA = sa.MetaData()
_FACTS = sa.Table(
    "facts", _METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)
_JUDGEMENTS = sa.Table(
    "judgements",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("left_image", sa.Text, nullable=False),
    sa.Column("right_image", sa.Text, nullable=False),
    sa.Column("drawn", sa.Text, nullable=False),
    sa.Column("rater", sa.Text, nullable=False, index=True),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("answered", sa.Text),
    sa.Column("seconds", sa.Float),
    sa.Column("undone", sa.Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)
_IMAGES = sa.Table(
    "images", _METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("sha256", sa.Text, nullable=False)
)


@dataclass(frozen=True)
class Shown:
    """A pair that was shown to a rater, with the answer if there is one.

    Attributes:
        id: Number in the database.
        left: Name of the image on the left: its path from the folder, with ``/``.
        right: Name of the image on the right.
        drawn: Why it was shown: to cover and connect all images, for its gain, at random, or again.
        rater: Name of the rater.
        outcome: The side that ranks higher, a tie, or a skipped pair; None without an answer.
        undone: Whether the rater took the answer back.
        answered: Time of the answer (ISO 8601, UTC), or None.
    """

    id: int
    left: str
    right: str
    drawn: Drawn
    rater: str
    outcome: Outcome | None
    undone: bool
    answered: str | None = field(default=None, compare=False)

    @property
    def open(self) -> bool:
        """Whether an answer is awaited."""
        return self.outcome is None and not self.undone

    @property
    def counts(self) -> bool:
        """Whether it is a judgement."""
        return self.outcome in ("left", "right", "tie") and not self.undone


_COLUMNS = [
    _JUDGEMENTS.c[name]
    for name in ("id", "left_image", "right_image", "drawn", "rater", "outcome", "undone", "answered")
]


class LabelStore:
    """Judgements in an SQLite database with a write-ahead log, or in a database of a PostgreSQL server.

    Every change is on the disk before its method returns. So nothing is lost when the process is killed. Nothing is
    ever deleted: an answer that was taken back is marked so. Threads and processes may use it at once.

    Args:
        place: Database; its tables are made if they are not there.
        question: Question that people answer. An existing database keeps its own where this is None.

    Raises:
        InputError: It is no such database, asks another question, or cannot be written.

    Attributes:
        name: The place in words.
        question: Question that people answer.
    """

    def __init__(self, place: Place, question: str | None = None) -> None:
        self.name, self._place, self._engine = name_of(place), place, engine_of(place)
        self._file: tuple[int, int] | None = None
        with self._writing() as database:
            # An empty file is a new database.
            tables = sa.inspect(database).get_table_names()
            if tables and not {"facts", "judgements"} <= {*tables}:
                raise InputError(f"{self.name}: is another database, and is kept; choose another name with `out`")
            _METADATA.create_all(database)
            self.question = _asked(self.name, database, question)
        # Not before: the database of somebody else would be changed.
        with reachable(place):
            keep_log(self._engine)
        self._file = same_file(place)

    def close(self) -> None:
        """Close all connections; the log goes into the database."""
        self._engine.dispose()

    def rows(self) -> list[Shown]:
        """All pairs that were shown, in the order of their numbers."""
        with self._writing() as database:
            return [*map(_shown, database.execute(sa.select(*_COLUMNS).order_by(_JUDGEMENTS.c.id)))]

    def show(self, left: str, right: str, drawn: Drawn, rater: str) -> Shown:
        """Note that a pair is shown to a rater.

        Args:
            left: Name of the image on the left.
            right: Name of the image on the right.
            drawn: Why it is shown.
            rater: Name of the rater.
        """
        with self._writing() as database:
            return _insert(database, left, right, drawn, rater)

    def answer(self, number: int, rater: str, outcome: Outcome, seconds: float | None = None) -> Shown:
        """Keep an answer. The same answer may come twice, if its sender did not learn that it was kept.

        Args:
            number: Number of the pair that was shown.
            rater: Name of the rater whom it was shown to.
            outcome: Answer.
            seconds: Time that the rater took.

        Raises:
            InputError: No such pair was shown to the rater, or it has another answer.
        """
        mine = (_JUDGEMENTS.c.id == number) & (_JUDGEMENTS.c.rater == rater)
        unanswered = mine & _JUDGEMENTS.c.outcome.is_(None) & (_JUDGEMENTS.c.undone == 0)
        with self._writing() as database:
            values = {"outcome": outcome, "answered": _now(), "seconds": seconds}
            database.execute(sa.update(_JUDGEMENTS).where(unanswered).values(values))
            row = database.execute(sa.select(*_COLUMNS).where(mine)).first()
        if row is None:
            raise InputError(f"pair {number} was not shown to {quoted(rater)}; load the page again")
        kept = _shown(row)
        if kept.outcome != outcome or kept.undone:
            raise InputError(f"pair {number} has another answer; load the page again")
        return kept

    def undo(self, number: int, rater: str) -> tuple[Shown, Shown]:
        """Take back a rater's answer, and show the pair again.

        Args:
            number: Number of the pair that was shown.
            rater: Name of the rater.

        Returns:
            The answer, now undone, and the pair that is shown again.

        Raises:
            InputError: The rater has no such answer.
        """
        answered = _JUDGEMENTS.c.outcome.is_not(None) & (_JUDGEMENTS.c.undone == 0)
        mine = (_JUDGEMENTS.c.id == number) & (_JUDGEMENTS.c.rater == rater) & answered
        with self._writing() as database:
            row = database.execute(sa.select(*_COLUMNS).where(mine).with_for_update()).first()
            if row is None:
                raise InputError(f"pair {number} has no answer of {quoted(rater)}; load the page again")
            database.execute(sa.update(_JUDGEMENTS).where(_JUDGEMENTS.c.id == number).values(undone=1))
            before = _shown(row)
            again = _insert(database, before.left, before.right, before.drawn, rater)
        return replace(before, undone=True), again

    def digests(self) -> dict[str, str]:
        """SHA-256 of the file of each image, by name, as it was when it was first shown."""
        with self._writing() as database:
            return {row.name: row.sha256 for row in database.execute(sa.select(_IMAGES))}

    def keep_digest(self, name: str, sha256: str) -> None:
        """Note the file of an image whose name has no digest yet.

        Args:
            name: Name of the image.
            sha256: SHA-256 of its file, in hexadecimal.
        """
        missing = ~sa.exists().where(_IMAGES.c.name == name)
        row = sa.select(sa.literal(name), sa.literal(sha256)).where(missing)
        with self._writing() as database:
            database.execute(sa.insert(_IMAGES).from_select(["name", "sha256"], row))

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction.

        Raises:
            Unreachable: The database cannot be written, or its file was removed or replaced: SQLite would go on
                writing to a file that has no name.
        """
        if self._file is not None and same_file(self._place) != self._file:
            raise Unreachable(f"{self.name}: is another file than before; put the first one back, or start again")
        with reachable(self._place), self._engine.begin() as database:
            yield database


def _asked(name: str, database: sa.Connection, question: str | None) -> str:
    """The question of a database; a new one gets it."""
    facts = {row.name: row.value for row in database.execute(sa.select(_FACTS))}
    if not facts:
        asked = question or "Which one ranks higher?"
        database.execute(sa.insert(_FACTS), [{"name": "format", "value": FORMAT}, {"name": "question", "value": asked}])
        return asked
    if facts.get("format") != FORMAT or "question" not in facts:
        raise InputError(f"{name}: was written by another version of twinrank, and is kept; choose another `out`")
    if question is not None and question != facts["question"]:
        raise InputError(f"{name}: asks {quoted(facts['question'])}; leave out `question`, or choose another `out`")
    return facts["question"]


def _insert(database: sa.Connection, left: str, right: str, drawn: Drawn, rater: str) -> Shown:
    values = {"left_image": left, "right_image": right, "drawn": drawn, "rater": rater, "shown": _now()}
    number = database.execute(sa.insert(_JUDGEMENTS).values(values)).inserted_primary_key
    assert number is not None
    return Shown(number[0], left, right, drawn, rater, None, False)


def _shown(row: Sequence[Any]) -> Shown:
    number, left, right, drawn, rater, outcome, undone, answered = row
    return Shown(number, left, right, drawn, rater, outcome, bool(undone), answered)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
