"""Locks on files, which the system releases however a process ends.

They are those of ``flock``. On NFS Linux turns them into locks of the server, which hold on all machines. There a lock
of a machine that is gone is released when its lease ends, after a minute or two.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from twinrank.errors import InputError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file for this process, after waiting for the process that has it.

    The system unlocks it however this process ends.

    Raises:
        InputError: The path is that of a folder, pipe or device, cannot be written, or its file system has no locks.
    """
    with open_lock(path) as file:
        _flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def one_at_a_time(path: Path, say: Callable[[str], None], doing: str) -> Iterator[None]:
    """Let one of the processes that share a folder do a block; the others wait, and find it done.

    Args:
        path: File to lock, in a folder that is made if necessary.
        say: Listener for a line where another process is waited for.
        doing: What that process does, such as "trains the winner".

    Raises:
        InputError: As :func:`locked`.
    """
    with suppress(OSError):  # What is wrong with the folder shows below.
        path.parent.mkdir(parents=True, exist_ok=True)
    if is_locked(path):
        say(f"{path.parent}: another process {doing}; waiting for it")
    with locked(path):
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
    """Whether a process has locked a file now.

    Raises:
        InputError: The file system has no locks.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not try_lock(file, fcntl.LOCK_SH)


def try_lock(file: BinaryIO, kind: int) -> bool:
    """Lock a file until it is closed; False if another process holds it.

    Args:
        file: Open file. NFS demands that it is open for writing, to be locked for one process alone.
        kind: ``fcntl.LOCK_EX`` for one process alone, ``fcntl.LOCK_SH`` for several.

    Raises:
        InputError: The file system has no locks.
    """
    try:
        _flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flock(file: BinaryIO, kind: int) -> None:
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        raise InputError(
            f"{file.name}: cannot be locked ({error.strerror or error}); mount its file system with locks, or use"
            " another folder"
        ) from error
