"""Files: writing replaces them in one step; reading takes regular files alone, and fails in one line."""

import errno
import fcntl
import hashlib
import io
import json
import math
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from twinrank.core.locks import try_lock
from twinrank.errors import InputError

_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}
_MARK = ".twinrank"
_TEMPORARY = re.compile(rf"\..*\.[0-9a-f]{{8}}{re.escape(_MARK)}(\.[^.]*)?")
"""Names of temporary files."""
_BYTES_KEPT = 100
"""Bytes of a file's name, and of its ending, in that of its temporary file; 255 are possible in all."""
_swept: set[Path] = set()
"""Folders without the files of killed processes."""
_DEEPEST = 64
"""Levels of nesting in JSON; twinrank's own files have fewer than ten."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends without an error.

    Whatever happens, ``path`` holds either its old content or the whole of the new one. What a killed process has left
    in the folder is removed first.

    Args:
        path: File to write; its folder is made if necessary.

    Raises:
        InputError: The folder cannot be written, the disk is full, or ``path`` is there and is no regular file.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: cannot be written (it is no file); choose another place")
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with _temporary_beside(path) as temporary:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except OSError as error:
        remedy = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another place"
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); {remedy}") from error


@contextmanager
def marker(folder: Path) -> Iterator[Path]:
    """Give a file that is there, and locked, while the block lasts: whoever sees it sees the same folder.

    What a killed process has left is removed as in :func:`replacing`.

    Args:
        folder: Its folder, which is made if necessary.

    Raises:
        InputError: The folder cannot be written.
    """
    with ExitStack() as kept:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            path = kept.enter_context(_temporary_beside(folder / "marker"))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{folder}: cannot be written ({reason}); choose another place") from error
        yield path


def is_temporary(path: Path) -> bool:
    """Whether a file is one that is written by :func:`replacing`, or a :func:`marker`."""
    return _TEMPORARY.fullmatch(path.name) is not None


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A new file in the folder of ``path``, locked while its process lives, and removed unless it was renamed."""
    while True:
        temporary = path.with_name(f".{_cut(path.stem)}.{secrets.token_hex(4)}{_MARK}{_cut(path.suffix)}")
        with temporary.open("xb") as lock:
            # Before it was locked, another process may have removed it.
            if not _kept(lock) or not _is_still(temporary, lock):
                continue
            try:
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)
            return


def _cut(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_BYTES_KEPT])


def _kept(file: BinaryIO) -> bool:
    try:
        return try_lock(file, fcntl.LOCK_EX)
    except InputError:  # A file system without locks: what is left there stays.
        return True


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _sweep(folder: Path) -> None:
    """Remove temporary files whose process is gone, once in each folder."""
    where = folder.resolve()
    if where in _swept:
        return
    _swept.add(where)
    with suppress(OSError):
        for path in where.iterdir():
            if is_temporary(path) and path.is_file():
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    # It may be another user's, or another process is faster.
    with suppress(OSError, InputError), path.open("r+b") as file:
        if try_lock(file, fcntl.LOCK_EX):
            path.unlink()


def require_ending(path: Path, *endings: str) -> None:
    """Make sure that the ending of a name fits what is written there, so that no file of another kind is overwritten.

    Args:
        path: File to write, which messages call ``out``.
        endings: Endings that are possible, such as ``.npz``.

    Raises:
        InputError: It has another ending, or is empty.
    """
    if Path(path) == Path():
        raise InputError(
            f"the path of what is written is empty; choose a name that ends in {', '.join(endings)} with `out`"
        )
    if Path(path).suffix.lower() not in endings:
        raise InputError(f"{path}: what is written there ends in {', '.join(endings)}; choose such a name with `out`")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically. Bytes of a file name that are not UTF-8 are escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON atomically; NaN and infinity are refused (they are not JSON)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a compressed NPZ file atomically; the same arrays give the same bytes."""
    # The command line starts without NumPy.
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def folders_below(folder: Path, *, must_read: bool = True) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and all folders below it, with the names of folders and of files in each; links are followed.

    Each folder comes once, so that a link to a folder above is no loop. Links come last: where a folder is below, too,
    that is its place. The caller may remove names of folders from the list, to leave these out.

    Args:
        folder: Where to begin.
        must_read: Whether a folder that cannot be read is an error; otherwise it is left out.

    Raises:
        OSError: A folder cannot be read.
    """
    seen: set[Path] = set()
    roots = [Path(folder)]
    for root in roots:
        for parent, folders, names in os.walk(root, onerror=_raise if must_read else None):
            place = Path(parent).resolve()
            if place in seen:
                folders.clear()
                continue
            seen.add(place)
            yield Path(parent), folders, names
            roots += [link for name in folders if (link := Path(parent, name)).is_symlink()]


def _raise(error: OSError) -> NoReturn:
    raise error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A block that reads a file or a folder.

    Args:
        path: File or folder, named in messages.

    Raises:
        InputError: It does not exist, cannot be read, or is a device, pipe or socket, which might never end.
    """
    if "\0" in str(path):
        raise InputError(f"{path}: a path cannot have a zero byte; check the path")
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: neither a file nor a folder; give one")
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check what it is") from error


def open_file(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. Everything that twinrank reads is opened here.

    A pipe would never end, and a device may do something when it is opened.

    Raises:
        InputError: It does not exist, cannot be read, or is no regular file.
    """
    path = Path(path)
    with reading(path):
        _refuse_other_kinds(path, path.stat().st_mode)
        # Not blocking, and checked again, since a pipe may have replaced it meanwhile.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _refuse_other_kinds(path, os.fstat(handle).st_mode)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        InputError: It does not exist, cannot be read, or is no regular file.
    """
    with open_file(path) as file, reading(Path(path)):
        return file.read()


def read_text(path: Path) -> str:
    """The content of a UTF-8 text file.

    Raises:
        InputError: It does not exist, cannot be read, is no regular file, or is not UTF-8.
    """
    content = read_bytes(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start:,}); save it as UTF-8") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: It does not exist, cannot be read, is no regular file, or :func:`parse_json` refuses it.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """The value of a JSON text, without NaN and infinity, which are not JSON.

    Args:
        text: JSON.
        where: Place of the text, for the message.

    Raises:
        InputError: It is not JSON, is nested too deep, or has a whole number beyond the range of floats.
    """
    try:
        value = json.loads(text, parse_int=whole_number, parse_float=_finite, parse_constant=_not_json)
        _refuse_deep(value)
        return value
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error}); restore it, or make it again") from error


def whole_number(text: str) -> int:
    """A whole number that a float can hold, too.

    Raises:
        ValueError: It is none, or larger.
    """
    # Python refuses texts of thousands of digits by itself.
    number = int(text)
    if abs(number) > sys.float_info.max:
        raise ValueError(f"a number of {len(text)} digits; at most {sys.float_info.max_10_exp} are possible")
    return number


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        InputError: It does not exist, cannot be read, or is no regular file.
    """
    with open_file(path) as file, reading(Path(path)):
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_other_kinds(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "of another kind")
        raise InputError(f"{path}: cannot be read (it is {found}); give a file")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is beyond the range of floats")
    return value


def _refuse_deep(value: Any) -> None:
    """Refuse nesting that the parser bears, but later code may not."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            part
            for each in level
            if isinstance(each, list | dict)
            for part in (each if isinstance(each, list) else each.values())
            if isinstance(part, list | dict)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
