"""Where judgements are kept: an SQLite file, or a database of a PostgreSQL server."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from twinrank.core.extras import needed
from twinrank.core.files import require_ending
from twinrank.core.locks import open_lock, try_lock
from twinrank.core.messages import cause
from twinrank.data.formats.votes.cells import as_text
from twinrank.data.formats.votes.database import ENDINGS, JUDGEMENTS, QUESTION, is_database
from twinrank.errors import InputError

Place = Path | str
"""An SQLite file, or the URL of a database: ``postgresql://USER@HOST/NAME``."""
_PATIENCE = 30
"""Seconds until a process that waits for another one, or for a server, gives up."""
_LOCK = 0x7477696E72616E6B
"""Number of the lock that the only server of a database holds."""


class Unreachable(InputError):
    """A database cannot be read or written now. It may be later, as when a full disk has room again."""


def place_of(text: str) -> Place:
    """The place that a user states: a URL has ``://`` in it, and all else is a file.

    Raises:
        InputError: It is a URL of another kind, or the name of a file without one of the endings of databases.
    """
    if "://" not in text:
        require_ending(Path(text), *ENDINGS)
        return Path(text)
    try:
        url = sa.make_url(text)
    except exc.ArgumentError as error:
        raise InputError("the URL of the database cannot be read; write postgresql://USER@HOST/NAME") from error
    if url.get_backend_name() != "postgresql":
        raise InputError(f"{url}: no URL of PostgreSQL; write postgresql://USER@HOST/NAME, or the name of a file")
    return text


def name_of(place: Place) -> str:
    """A place in words, without the password of its URL."""
    return str(place if isinstance(place, Path) else sa.make_url(place))


def engine_of(place: Place) -> sa.Engine:
    """Connections to a place; in SQLite each transaction may write from its beginning on.

    Raises:
        InputError: The file is no database, or the driver of PostgreSQL is not installed.
    """
    if isinstance(place, Path):
        if place.exists() and not (place.is_file() and (not place.stat().st_size or is_database(place))):
            raise InputError(f"{place}: is no database, and is kept; choose another name with `out`")
        engine = sa.create_engine(f"sqlite:///{place.resolve()}", connect_args={"timeout": _PATIENCE})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine
    with needed("PostgreSQL", "postgres"):
        return sa.create_engine(_url(place), connect_args={"connect_timeout": _PATIENCE}, pool_pre_ping=True)


def same_file(place: Place) -> tuple[int, int]:
    """What tells whether the file of an SQLite database is still the same one; always the same for a server.

    Raises:
        Unreachable: It is not there.
    """
    if not isinstance(place, Path):
        return 0, 0
    try:
        found = place.stat()
    except OSError as error:
        raise Unreachable(f"{place}: is not there ({error.strerror}); put it back, with {place.name}-wal") from error
    return found.st_dev, found.st_ino


def keep_log(engine: sa.Engine) -> None:
    """Switch an SQLite database to a write-ahead log; servers have one anyway."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        connection.cursor().execute("PRAGMA journal_mode = WAL").close()
        connection.close()


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Keep other servers of a page away from a database, while this process lives.

    Raises:
        InputError: One has it, or the server of the database cannot be reached.
    """
    taken = InputError(f"{name_of(place)}: another twinrank label uses it; open its page, or choose another `out`")
    if isinstance(place, Path):
        with suppress(OSError):  # What is wrong with the folder shows below.
            place.parent.mkdir(parents=True, exist_ok=True)
        with open_lock(place.with_name(f"{place.name}.lock")) as file:
            if not try_lock(file, LOCK_EX):
                raise taken
            yield
        return
    # The lock is that of a connection, and ends with it.
    engine = engine_of(place)
    with reachable(place):
        connection = engine.connect()
    try:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK))):
            raise taken
        connection.commit()
        yield
    finally:
        connection.invalidate()
        engine.dispose()


@contextmanager
def reachable(place: Place) -> Iterator[None]:
    """A block that reads or writes a database.

    Raises:
        Unreachable: It cannot.
    """
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
        reason = cause(error.orig if isinstance(error, exc.DBAPIError) and error.orig else error)
        do = "check the disk and the folder" if isinstance(place, Path) else "check the server and the URL"
        raise Unreachable(f"{name_of(place)}: cannot be read and written ({reason}); {do}") from error


def judgements_at(url: str) -> tuple[list[tuple[str, ...]], str]:
    """The judgements of a database on a server, each with the columns of its table, as text; and the question.

    Args:
        url: URL of the database.

    Raises:
        InputError: It cannot be read, or nobody has judged yet.
    """
    place = place_of(url)
    engine = engine_of(place)
    with reachable(place), engine.connect() as database:
        rows, question = database.exec_driver_sql(JUDGEMENTS).all(), database.exec_driver_sql(QUESTION).scalar()
    engine.dispose()
    if not rows:
        raise InputError(f"{name_of(place)}: no judgement in it yet; judge some pairs with twinrank label")
    return [tuple(map(as_text, row[1:])) for row in rows], as_text(question)


def _url(place: str) -> sa.URL:
    url = sa.make_url(place)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    # SQLAlchemy's event begins transactions; Python's own way would begin them too late.
    connection.isolation_level = None
    for pragma in ("synchronous = FULL", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
