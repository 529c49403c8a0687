"""Failures of the file system, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinrank.errors import InputError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A block that reads ``path``.

    Raises:
        InputError: it does not exist, cannot be read, or is a device or pipe, which might never end.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: neither a file nor a folder; give one")
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check what it is") from error
