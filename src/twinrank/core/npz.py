"""NPZ files from anyone: headers are read and checked before any array is, and nothing is unpickled."""

import math
import os
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np
from numpy.lib import format as npy

from twinrank.core.files import open_file, reading
from twinrank.core.memory import require_memory
from twinrank.core.messages import cause, quoted
from twinrank.errors import InputError

_NPY = ".npy"
_ZIP_START, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_LONGEST_END = 22 + 0xFFFF
"""Bytes of a zip archive's end record with the longest comment."""
_COUNTED_ELSEWHERE = 0xFFFF
_PIECE = 1 << 18
"""Bytes that are taken from a zip archive at a time, so that no array is in memory twice."""
_LONGEST_HEADER = 10_000
"""Bytes of an array's header, NumPy's own limit."""
_MOST_ARRAYS = 1000
_ROOM, _LARGEST_RATIO = 1 << 26, 100
"""Bytes that the arrays of any file may take; times that they may be larger than what is stored, beyond that."""


class Header(NamedTuple):
    """The header of an array in an NPZ file.

    Attributes:
        shape: Lengths of the axes.
        dtype: Type, never one that holds objects.
        fortran: Whether the first axis varies fastest, so that rows do not follow one another.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.size * self.dtype.itemsize


def read_written(
    path: Path, kinds: Mapping[str, str], what: str, optional: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file that twinrank has written.

    Args:
        path: NPZ file.
        kinds: NumPy's letter for the kind of each array, by key.
        what: Content of such a file, for the message.
        optional: The same for arrays that are all there, or none of them.

    Raises:
        InputError: The file is missing or damaged, its arrays are others, or they are much larger than what is stored.
    """
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        found, every = (
            {key: header.dtype.kind for key, header in archive.headers.items()},
            {**kinds, **(optional or {})},
        )
        if found not in (kinds, every):
            raise InputError(f"{path}: not {what} ({', '.join(kinds)}); make it again")
        return {key: archive.read(key) for key in every if key in found}


class Archive:
    """An open NPZ file.

    Opening reads the headers only, so memory does not depend on what they claim. A context manager.

    Attributes:
        path: NPZ file.
        headers: Headers by key, in file order; every one agrees with the stored size of its array.

    Raises:
        InputError: The file is missing, unreadable, truncated or not a zip archive; it has more than 1,000 arrays; a
            key occurs twice, is not an array or holds pickled objects; a header disagrees with the stored size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_file(path)
        try:
            self._zip = self._open_zip()
            self.headers = {key: self._header(key) for key in self._keys()}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def require_plausible_sizes(self) -> None:
        """Refuse arrays that would unpack to far more than is stored, or do not fit in memory; nothing is read yet.

        For files that twinrank has written. All arrays together may take 64 MiB, or else 100 times the file.

        Raises:
            InputError: They take more.
        """
        needed = sum(header.nbytes for header in self.headers.values())
        stored = sum(info.compress_size for info in self._zip.infolist())
        if needed > max(_ROOM, _LARGEST_RATIO * stored):
            raise InputError(
                f"{self.path}: {stored:,} bytes would unpack to {needed:,}, more than {_LARGEST_RATIO} times as many;"
                " the file is damaged, make it again"
            )
        require_memory(self.path, needed)

    def read(self, key: str) -> np.ndarray:
        """Read one array whole.

        Raises:
            InputError: The bytes are damaged, or memory ran out.
        """
        with self._member(key) as member:
            return npy.read_array(member, allow_pickle=False)

    def read_rows(self, key: str, rows: int) -> Iterator[np.ndarray]:
        """Read one array in parts, in order; an array in Fortran order is read whole, and cut.

        Args:
            key: Key of an array with axes.
            rows: Rows of a part; the last one may be shorter.

        Raises:
            InputError: The bytes are damaged, or memory ran out.
        """
        header = self.headers[key]
        starts = range(0, header.shape[0], rows)
        if header.fortran or len(starts) == 1:
            whole = self.read(key)
            yield from (whole[start : start + rows] for start in starts)
            return
        with self._member(key) as member:
            _read_header(member)
            for start in starts:
                part = np.empty((min(rows, header.shape[0] - start), *header.shape[1:]), header.dtype)
                _fill(part, member)
                yield part

    def _open_zip(self) -> zipfile.ZipFile:
        with reading(self.path):
            start = self._file.read(len(_ZIP_START))
        damaged = InputError(f"{self.path}: truncated or damaged NPZ file; copy or download it again")
        try:
            opened = zipfile.ZipFile(self._file)
            count = self._count()
        except Exception as error:  # A broken directory fails in more ways than can be listed.
            if start == _ZIP_START:
                raise damaged from error
            raise InputError(
                f"{self.path}: not an NPZ file (not a zip archive); write it with numpy.savez_compressed"
            ) from error
        # Damage to one entry of the directory can hide the next one, and zipfile does not count them.
        if count not in (len(opened.namelist()), _COUNTED_ELSEWHERE):
            raise damaged
        return opened

    def _count(self) -> int:
        """Number of entries, by the end record."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _LONGEST_END))
        tail = self._file.read()
        return struct.unpack_from("<H", tail, tail.rfind(_ZIP_END) + 10)[0]

    def _keys(self) -> list[str]:
        names = self._zip.namelist()
        if len(names) > _MOST_ARRAYS:
            raise InputError(f"{self.path}: {len(names):,} arrays; at most {_MOST_ARRAYS:,} are possible")
        for name, count in Counter(names).items():
            if count > 1:
                raise InputError(f"{self.path}: key {quoted(name.removesuffix(_NPY))} occurs {count} times; keep one")
            if not name.endswith(_NPY):
                raise InputError(f"{self.path}: {quoted(name)} is not an array; write it with numpy.savez_compressed")
        return [name.removesuffix(_NPY) for name in names]

    def _header(self, key: str) -> Header:
        with self._member(key) as member:
            header = _read_header(member)
            shape, dtype, _ = header
            if dtype.hasobject:
                raise InputError(
                    f"{self.path}: key {quoted(key)} holds pickled objects, which are never loaded;"
                    " save it as numbers or text, for example ids as id.astype(str)"
                )
            claimed, stored = member.tell() + header.nbytes, self._zip.getinfo(key + _NPY).file_size
            if min(shape, default=0) < 0 or claimed != stored:
                raise InputError(
                    f"{self.path}: key {quoted(key)} claims shape {shape} of {dtype}, {claimed:,} bytes, but"
                    f" {stored:,} are stored; the file is damaged, write it again"
                )
        return header

    @contextmanager
    def _member(self, key: str) -> Iterator[BinaryIO]:
        try:
            with self._zip.open(key + _NPY) as member:
                yield member  # pyright: ignore[reportReturnType]
        except InputError:
            raise
        except MemoryError as error:
            raise InputError(f"{self.path}: key {quoted(key)} does not fit in memory; split the file") from error
        except Exception as error:  # Damaged bytes fail in more ways than can be listed.
            raise InputError(
                f"{self.path}: key {quoted(key)} cannot be read ({cause(error)}); copy or download the file again"
            ) from error


def _read_header(member: BinaryIO) -> Header:
    major, _ = npy.read_magic(member)
    if major > 1:
        # NumPy reads all of it, up to 4 GiB, before it finds it too long.
        (length,) = struct.unpack("<I", member.peek(4)[:4])  # pyright: ignore[reportAttributeAccessIssue]
        if length > _LONGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes")
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    shape, fortran, dtype = read(member)
    return Header(shape, dtype, fortran)


def _fill(array: np.ndarray, member: BinaryIO) -> None:
    left = array.reshape(-1).view(np.uint8).data
    while left:
        piece = member.read(min(len(left), _PIECE))
        if not piece:
            raise EOFError("it ends early")
        left[: len(piece)] = piece
        left = left[len(piece) :]
