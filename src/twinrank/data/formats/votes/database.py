"""The database that ``twinrank label`` keeps, read as a table of judgements; Python's own SQLite is enough for it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from twinrank.core.files import open_file, reading
from twinrank.core.messages import cause
from twinrank.data.formats.votes.cells import Cells, as_text
from twinrank.errors import InputError, one_line

MAGIC = b"SQLite format 3\0"
"""First bytes of every SQLite database."""
ENDINGS = (".db", ".sqlite", ".sqlite3")
"""How names of databases end."""
COLUMNS = ("left", "right", "winner", "rater", "time", "drawn", "seconds")
"""Columns of the table: ``winner`` has the name of an image, or ``tie``."""
KIND = "twinrank label"
"""Name of the format."""
_ROLES = {role: role for role in ("left", "right", "winner", "rater")}
_LONGEST = 1_000_000
"""Bytes of a text or a statement that are accepted."""
JUDGEMENTS = """
SELECT id, left_image, right_image,
       CASE outcome WHEN 'left' THEN left_image WHEN 'right' THEN right_image ELSE 'tie' END,
       rater, answered, drawn, seconds
FROM judgements WHERE outcome IN ('left', 'right', 'tie') AND undone = 0 ORDER BY id
"""
"""Query (SQL) of the number of each judgement, and of its :data:`COLUMNS`."""
DIGESTS = "SELECT name, sha256 FROM images"
"""Query of the digests of the images that were shown."""
QUESTION = "SELECT value FROM facts WHERE name = 'question'"
"""Query of the question that people answer."""


def is_database(path: Path) -> bool:
    """Whether a path is that of an SQLite database, by its first bytes."""
    if not path.is_file():
        return False
    with open_file(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def read_database(path: Path) -> Cells:
    """The judgements of a database: each answer but those that were undone, and no skipped pairs.

    Nothing is written. So it may be read while people judge.

    Args:
        path: Database of ``twinrank label``.

    Returns:
        Cells with the columns :data:`COLUMNS`. The numbers of lines are those of the judgements in the database.

    Raises:
        InputError: It is damaged, another kind of database, or nobody has judged yet.
    """
    with reading(path), _opened(path) as database:
        if not {"left_image", "right_image", "outcome", "undone"} <= _columns(database, "judgements"):
            raise InputError(f"{path}: no database of twinrank label; export its judgements as CSV")
        rows = database.execute(JUDGEMENTS).fetchall()
        known = {"name", "value"} <= _columns(database, "facts")
        question = database.execute(QUESTION).fetchone() if known else None
        digested = {"name", "sha256"} <= _columns(database, "images")
        digests = database.execute(DIGESTS).fetchall() if digested else []
    if not rows:
        raise InputError(f"{path}: no judgement in it yet; judge some pairs with twinrank label")
    lines, *columns = zip(*rows, strict=True)
    cells = {name: [*map(as_text, column)] for name, column in zip(COLUMNS, columns, strict=True)}
    asked = None if question is None else one_line(as_text(question[0]))
    of_images = {as_text(name): as_text(digest) for name, digest in digests}
    return Cells(path, cells, list(lines), "judgement", roles=_ROLES, kind=KIND, question=asked, digests=of_images)


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    """Names of the columns of a table; none where it is missing, or of another kind, which could compute for ever."""
    shape = database.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if shape is None or shape[0] != "table" or str(shape[1]).upper().startswith("CREATE VIRTUAL"):
        return set()
    names = {row[1]: row[6] for row in database.execute(f"PRAGMA table_xinfo({table})")}
    return set() if any(names.values()) else {*names}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database, opened for reading alone.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with closing(_connection(path)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            database.execute("PRAGMA trusted_schema = OFF")
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # SQLite quotes bytes of a damaged file in its message, and Python reads them as UTF-8.
        raise InputError(f"{path}: cannot be read as an SQLite database ({cause(error)}); restore it") from error


def _connection(path: Path) -> sqlite3.Connection:
    address = path.resolve().as_uri()
    database = sqlite3.connect(f"{address}?mode=ro", uri=True)
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # In a folder that cannot be written, SQLite cannot make the files by which processes share a database.
        database = sqlite3.connect(f"{address}?immutable=1", uri=True)
    return database
