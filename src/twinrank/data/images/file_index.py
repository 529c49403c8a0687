"""What is known of image files without opening them: by path, as long as size, times and inode are the same."""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from twinrank.data.images.reading import Header

Result = TypeVar("Result")

_LARGEST = 1 << 30
"""Bytes of the index, beyond which it starts anew: entries of files that are gone stay in it."""
_WAIT = 60.0
"""Seconds to wait for another process that writes."""
_TABLE = """CREATE TABLE IF NOT EXISTS files (
    path BLOB, choice BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER,
    digest BLOB, height INTEGER, width INTEGER, grey INTEGER, PRIMARY KEY (path, choice)) WITHOUT ROWID"""


class Signature(NamedTuple):
    """What tells without reading a file that its content is the same.

    Attributes:
        size: Bytes.
        mtime: Nanoseconds of the last change of the content.
        ctime: Nanoseconds of the last change of the content, or of the file's attributes.
        inode: Number of the file in its file system.
    """

    size: int
    mtime: int
    ctime: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "Signature":
        """The signature of a file.

        Args:
            stat: What the system says of it.
        """
        # The numbers of some file systems exceed what the index can hold.
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino & (1 << 63) - 1)


class KnownFile(NamedTuple):
    """What is known of a file.

    Attributes:
        signature: Its signature when it was read.
        digest: SHA-256 of its content.
        header: What it says about its image.
    """

    signature: Signature
    digest: bytes
    header: Header


class FileIndex:
    """An index of image files. A damaged one starts anew, since it holds nothing that cannot be found out again.

    Args:
        path: Its file.
        choice: Key of the parts of a reading that headers depend on.
    """

    def __init__(self, path: Path, choice: bytes) -> None:
        self._path, self._choice = path, choice

    def known(self, paths: Sequence[Path]) -> list[KnownFile | None]:
        """What is known of some files; None where nothing is, or where the file is missing or has changed.

        Args:
            paths: Absolute paths.
        """
        query = "SELECT size, mtime, ctime, inode, digest, height, width, grey FROM files WHERE path = ? AND choice = ?"

        def look_up(database: sqlite3.Connection) -> list[tuple | None]:
            return [database.execute(query, (os.fsencode(path), self._choice)).fetchone() for path in paths]

        if not self._path.exists():
            return [None] * len(paths)
        rows = self._use(look_up, [None] * len(paths))
        return [_if_same(path, row) for path, row in zip(paths, rows, strict=True)]

    def remember(self, files: Mapping[Path, KnownFile]) -> None:
        """Note what was found out.

        Args:
            files: What is known by absolute path.
        """
        rows = [
            (os.fsencode(path), self._choice, *known.signature, known.digest, *known.header)
            for path, known in files.items()
        ]

        def insert(database: sqlite3.Connection) -> None:
            with database:
                database.executemany(f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * 10)})", rows)

        if files:
            self._use(insert, None)

    def _use(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """The result of some work on the database, or another value where there can be none, as on a full disk."""
        with suppress(OSError):
            if self._path.stat().st_size > _LARGEST:
                self._remove()
        for _ in range(2):
            try:
                return self._with_database(work)
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                self._remove()
        return otherwise

    def _remove(self) -> None:
        for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            with suppress(OSError):
                path.unlink()

    def _with_database(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with closing(sqlite3.connect(self._path, timeout=_WAIT)) as database:
            database.execute(_TABLE)
            return work(database)


def _if_same(path: Path, row: tuple | None) -> KnownFile | None:
    if row is None:
        return None
    signature = Signature(*row[:4])
    with suppress(OSError):
        if Signature.of(path.stat()) == signature:
            return KnownFile(signature, row[4], Header(row[5], row[6], bool(row[7])))
    return None
