"""The cache of features: a file of records for each frozen network, in the folder ``features`` of the cache.

A record has the digest of an image, a checksum, and the features of the image in half precision. Records are appended.
So a process that is killed loses the record that it was writing, and no other. A record that is damaged or incomplete
counts as missing. Processes that need features of the same images wait for each other; others append by turns.
"""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from twinrank.core.cache_folder import cache_folder
from twinrank.core.locks import is_locked, locked
from twinrank.data.images.room import limit
from twinrank.errors import InputError

DIGEST_BYTES = 32
_RECORDS, _LOCK, _FILLING, _LOCKS = "records", "lock", "filling", 256
_LARGEST = np.finfo(np.float16).max


class FeatureCache:
    """Features of one network, by image.

    Args:
        key: Digest of the network, in hexadecimal.
        features: Length of a feature vector, F.
    """

    def __init__(self, key: str, features: int) -> None:
        self._folder = cache_folder() / "features" / key[:32]
        self._file = self._folder / _RECORDS
        self._record = np.dtype([("digest", "u1", DIGEST_BYTES), ("check", "<u4"), ("features", "<f2", features)])

    @contextmanager
    def filling(self, digests: np.ndarray) -> Iterator[bool]:
        """A block that appends features, while other processes wait that need the same.

        Args:
            digests: Digests of the images whose features may be appended, uint8 (M, 32).

        Yields:
            Whether the cache can be written; without it, features are computed again each time.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self._folder, os.W_OK):
                raise PermissionError
        except OSError:
            yield False
            return
        # Few names, so that few files stay; two sets of one name wait for each other.
        number = zlib.crc32(np.unique(digests, axis=0).tobytes()) % _LOCKS
        with locked(self._folder / f"{_FILLING}{number}"):
            yield _room(self._folder, len(digests) * self._record.itemsize)

    def read(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of images, as far as they are here.

        Args:
            digests: Digests of the images, uint8 (M, 32).

        Returns:
            Features float16 (M, F), zero where they are missing; and whether they are here, bool (M,).
        """
        features = np.zeros((len(digests), self._record["features"].shape[0]), np.float16)
        found = np.zeros(len(digests), bool)
        if not (self._file.is_file() and self._count()):
            return features, found
        size = self._record.itemsize
        with self._file.open("rb") as file:
            # Read and not mapped: the pages of a map would count as memory of this process.
            row_of = {os.pread(file.fileno(), DIGEST_BYTES, row * size): row for row in range(self._count())}
            for image, digest in enumerate(digests):
                row = row_of.get(digest.tobytes())
                if row is None:
                    continue
                (record,) = np.frombuffer(os.pread(file.fileno(), size, row * size), self._record)
                if record["check"] == _check(record["features"]):
                    features[image], found[image] = record["features"], True
        with suppress(OSError):
            os.utime(self._file)
        return features, found

    def append(self, digests: np.ndarray, features: np.ndarray) -> None:
        """Keep features, inside :meth:`filling`; a full disk keeps none.

        Args:
            digests: Digests of images, uint8 (n, 32).
            features: Their features as :func:`halved` gives them, float16 (n, F).
        """
        records = np.empty(len(digests), self._record)
        records["digest"], records["features"] = digests, features
        records["check"] = [_check(each) for each in features]
        with suppress(OSError, InputError), locked(self._folder / _LOCK), self._file.open("ab") as file:
            # What a killed process has left incomplete makes way.
            file.truncate(self._count() * self._record.itemsize)
            file.write(records.tobytes())

    def _count(self) -> int:
        return self._file.stat().st_size // self._record.itemsize if self._file.exists() else 0


def halved(features: np.ndarray) -> np.ndarray:
    """Features in half precision, float16; values beyond its range become its largest."""
    return features.clip(-_LARGEST, _LARGEST).astype(np.float16)


def _check(features: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(features).data)


def _room(folder: Path, needed: int) -> bool:
    """Remove the features of networks that were not used for longest, until the others and new ones fit.

    Args:
        folder: Folder of the network whose features are to be kept; it stays.
        needed: Bytes.

    Returns:
        Whether the disk has room.
    """
    others: list[tuple[float, int, Path]] = []
    for path in folder.parent.glob(f"*/{_RECORDS}"):
        with suppress(FileNotFoundError):
            found = path.stat()
            others.append((found.st_mtime, found.st_size, path))
    excess = sum(size for _, size, _ in others) + needed - limit()
    for _, size, path in sorted(others):
        if excess > 0 and path.parent != folder and not any(map(is_locked, path.parent.glob(f"{_FILLING}*"))):
            with suppress(OSError):
                path.unlink()
                excess -= size
    return needed < shutil.disk_usage(folder).free
