"""Locks on files, which the system releases however a process ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twinrank.errors import InputError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file for this process, after waiting for the process that has it.

    The system unlocks it however this process ends.

    Raises:
        InputError: The path is that of a folder, pipe or device, or cannot be written.
    """
    with open_lock(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_lock(path: Path) -> BinaryIO:
    """Open a file that is there only to be locked, and make it if necessary.

    Raises:
        InputError: The path is that of a folder, pipe or device, or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: cannot be locked (it is no file); remove it")
    try:
        return path.open("ab")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error


def is_locked(path: Path) -> bool:
    """Whether a process has locked a file now."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not try_lock(file, fcntl.LOCK_SH)


def try_lock(file: BinaryIO, kind: int) -> bool:
    """Lock a file until it is closed; False if another process holds it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
