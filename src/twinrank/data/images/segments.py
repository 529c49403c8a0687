"""Files of pixels that are mapped into memory: the units of the cache."""

import fcntl
import mmap
import os
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from weakref import WeakSet

import msgspec
import numpy as np

from twinrank.core.files import open_file, replacing
from twinrank.core.locks import try_lock
from twinrank.data.images.fingerprints import LOOK, look_at, look_through
from twinrank.errors import InputError

ENDING = ".images"
_MAGIC = b"twinrank images 1"
_PIXELS_AT = 4096
"""Bytes before the pixels: the magic, the length of a JSON object, and the object."""
_START = struct.Struct(f"<{len(_MAGIC)}sI")
_RECORD = np.dtype([("file", "u1", 32), ("filled", "?"), ("look", LOOK)])
"""After the pixels, for each image: SHA-256 of its file, whether its pixels are there, and its fingerprint."""
_RELEASED_BYTES = 1 << 28
"""Bytes that are copied before the pages of all maps leave this process's resident memory. They stay in the system's
cache."""


class _Head(msgspec.Struct):
    """The JSON object at the start of a segment.

    Attributes:
        shape: Number of images, channels, height and width.
        written: Time stamp that the file gets, in whole even seconds, which every file system can store. A file with
            another one has been changed, or copied.
        records: BLAKE2b digest of the records, in hexadecimal.
    """

    shape: tuple[int, int, int, int]
    written: int
    records: str


class Segment:
    """A file of m images, mapped into memory; it is not evicted from the cache while it is in use.

    Args:
        path: File that :class:`SegmentWriter` has written.

    Attributes:
        images: Pixels, uint8 (m, C, H, W), a memory map. Some rows may hold no image.
        files: SHA-256 digests of the images' files, uint8 (m, 32).
        filled: Whether a row holds an image, bool (m,).
        looks: Fingerprints, :data:`twinrank.data.images.fingerprints.LOOK` (m,).

    Raises:
        InputError: The file is missing.
        ValueError: It is damaged.
    """

    _all: ClassVar[WeakSet["Segment"]] = WeakSet()
    """All segments of this process."""
    _copied: ClassVar[int] = 0
    """Bytes that were copied from them since their pages were released."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_file(path) as file:
            # The map duplicates the file's handle. So the lock lasts as long as the map does.
            with suppress(InputError):
                try_lock(file, fcntl.LOCK_SH)
            head = _read_head(file)
            size = os.fstat(file.fileno())
            count, *shape = head.shape
            pixels = int(np.prod(head.shape))
            if size.st_size != _PIXELS_AT + pixels + count * _RECORD.itemsize:
                raise ValueError("its size does not fit its shape")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        records = np.frombuffer(self._map, _RECORD, count, _PIXELS_AT + pixels).copy()
        if blake2b(records.tobytes()).hexdigest() != head.records:
            raise ValueError("its records are damaged")
        self.images = np.frombuffer(self._map, np.uint8, pixels, _PIXELS_AT).reshape(count, *shape)
        self.files, self.filled, self.looks = records["file"], records["filled"], records["look"]
        Segment._all.add(self)
        if size.st_mtime_ns != head.written * 10**9:
            self._verify(head.written)

    def __len__(self) -> int:
        return len(self.images)

    def __reduce__(self) -> tuple[Any, ...]:
        return Segment, (self.path,)

    def _verify(self, written: int) -> None:
        looks = look_through([self.images])
        if (looks["hash"] != self.looks["hash"])[self.filled].any():
            raise ValueError("its pixels are damaged")
        self.release()
        with suppress(OSError):
            os.utime(self.path, (time.time(), written))

    def used(self) -> None:
        """Note that the segment is used now; what was not used for long is evicted first."""
        with suppress(OSError):
            os.utime(self.path, ns=(time.time_ns(), self.path.stat().st_mtime_ns))

    def copy(self, rows: np.ndarray, into: np.ndarray, at: np.ndarray) -> None:
        """Copy images, while what is resident of all maps of this process stays bounded.

        Args:
            rows: Rows of the images, int (k,).
            into: Array to fill, uint8 (n, C, H, W).
            at: Their places in it, int (k,).
        """
        for row, place in zip(rows.tolist(), at.tolist(), strict=True):
            into[place] = self.images[row]
            Segment._copied += into[place].nbytes
            if Segment._copied >= _RELEASED_BYTES:
                Segment._copied = 0
                for segment in list(Segment._all):
                    segment.release()

    def release(self) -> None:
        """Let the pages of the map leave the resident memory of this process; arrays on the map stay valid."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _read_head(file: BinaryIO) -> _Head:
    start = file.read(_PIXELS_AT)
    if len(start) < _PIXELS_AT:
        raise ValueError("it ends early")
    magic, length = _START.unpack_from(start)
    if magic != _MAGIC:
        raise ValueError("it is of another kind")
    try:
        return msgspec.json.decode(start[_START.size : _START.size + length], type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError("its head is damaged") from error


class SegmentWriter:
    """A segment that is being written; several threads may add images.

    Args:
        handle: Handle of the open file.
        count: Number of images.
        shape: Channels, height and width of each.
    """

    def __init__(self, handle: int, count: int, shape: tuple[int, int, int]) -> None:
        self._handle, self._shape = handle, shape
        self._bytes = int(np.prod(shape))
        self._records = np.zeros(count, _RECORD)

    def add(self, row: int, pixels: np.ndarray, file: bytes) -> None:
        """Write an image.

        Args:
            row: Its row.
            pixels: uint8 (C, H, W).
            file: SHA-256 digest of its file.
        """
        self._write(pixels.tobytes(), _PIXELS_AT + row * self._bytes)
        self._records[row] = (np.frombuffer(file, np.uint8), True, look_at(pixels[None])[0])

    def finish(self) -> bool:
        """Write what belongs to the pixels; False if there are none."""
        if not self._records["filled"].any():
            return False
        count, records = len(self._records), self._records.tobytes()
        # Long ago, so that no later change gives the same time stamp.
        written = (int(time.time()) - 3600) // 2 * 2
        head = msgspec.json.encode(_Head((count, *self._shape), written, blake2b(records).hexdigest()))
        self._write(records, _PIXELS_AT + count * self._bytes)
        self._write(_START.pack(_MAGIC, len(head)) + head, 0)
        os.utime(self._handle, (time.time(), written))
        return True

    def _write(self, content: bytes, at: int) -> None:
        left = memoryview(content)
        while left:
            done = os.pwrite(self._handle, left, at)
            left, at = left[done:], at + done


class _NothingAdded(Exception):
    """A segment without an image."""


@contextmanager
def new_segment(folder: Path, count: int, shape: tuple[int, int, int]) -> Iterator[SegmentWriter]:
    """Write a segment, which is in the folder once the block has ended; none is written if no image is added.

    Args:
        folder: Folder of the segment.
        count: Number of rows. Those that get no image take no space.
        shape: Channels, height and width.

    Raises:
        InputError: The folder cannot be written, or the disk is full.
    """
    path = folder / f"{secrets.token_hex(8)}{ENDING}"
    with suppress(_NothingAdded), replacing(path) as temporary, temporary.open("r+b") as file:
        writer = SegmentWriter(file.fileno(), count, shape)
        yield writer
        if not writer.finish():
            raise _NothingAdded


def segment_files(folder: Path, pattern: str = f"*{ENDING}") -> list[Path]:
    """The segments in a folder, without those that are being written.

    Args:
        folder: Folder.
        pattern: Pattern of their paths.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def remove_unused(path: Path) -> bool:
    """Remove a segment, unless a process uses it.

    Args:
        path: File of the segment.
    """
    with suppress(InputError, OSError), open_file(path) as file:
        if try_lock(file, fcntl.LOCK_EX):
            path.unlink()
            return True
    return False
