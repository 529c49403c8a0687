"""The cache of pixels: images that were decoded once are mapped into memory, and their files are not opened again.

``images`` in the cache folder has an index of files (:mod:`twinrank.data.images.file_index`), and a folder for each
effective reading. In it are segments (:mod:`twinrank.data.images.segments`). An image is found there by the digest of
its file. So sets of images that overlap share their pixels, and a changed image is decoded alone.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import PIL

from twinrank.core.cache_folder import cache_folder
from twinrank.core.locks import locked
from twinrank.data.images.decode import UnusableImage, decode, lowest_and_highest, read_header
from twinrank.data.images.defects import refusal
from twinrank.data.images.file_index import FileIndex, KnownFile, Signature
from twinrank.data.images.files import in_threads, opened
from twinrank.data.images.reading import Header, Reading
from twinrank.data.images.room import make_room
from twinrank.data.images.segments import Segment, SegmentWriter, new_segment, segment_files
from twinrank.errors import InputError

Progress = Callable[[str, int, int], None]
"""Listener: a name, how much is done, and how much there is."""

_VERSION = 1
"""Counts up when the same reading gives other pixels than before."""
_SEGMENT_BYTES = 1 << 30
"""Bytes of the pixels of a segment: what a killed process has to decode again."""
_SPARE_SEGMENTS = 16
"""Segments of a set of images beyond twice the number that it would fill. Where more would be needed, its images are
copied into new ones."""
_FRESH = 0.02
"""Seconds after which a further change of a file gives it another time stamp."""


@dataclass(frozen=True, eq=False)
class CachedImages:
    """M images in the cache.

    Attributes:
        segments: Segments that hold them.
        places: Place of each image in the segments, whose rows are numbered through, int64 (M,).
        digests: SHA-256 digests of the files, uint8 (M, 32).
        reading: How the files were read, with size and channels.
        resized: Number of images that are of another size in their files.
    """

    segments: tuple[Segment, ...]
    places: np.ndarray
    digests: np.ndarray
    reading: Reading
    resized: int

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """The pixels of the segments, each uint8 (m, C, H, W)."""
        return tuple(segment.images for segment in self.segments)

    @property
    def looks(self) -> np.ndarray:
        """Fingerprints, :data:`twinrank.data.images.fingerprints.LOOK` (M,)."""
        return np.concatenate([segment.looks for segment in self.segments])[self.places]


def read_images(
    names: Sequence[str],
    paths: Sequence[Path],
    reading: Reading,
    where: Path,
    progress: Progress,
    threads: int | None = None,
) -> CachedImages:
    """Images from the cache; those that it lacks are decoded.

    Args:
        names: Names of M images, for messages.
        paths: Their files.
        reading: How files become pixels.
        where: Folder or file that names the images.
        progress: Listener for the images that are decoded.
        threads: Threads; None is all cores.

    Raises:
        InputError: Some images cannot be used. All are named at once, and the others are in the cache afterwards. Or
            there are none, or the cache cannot be written.
    """
    if not paths:
        raise InputError(f"{where}: no images; name at least one")
    root = cache_folder() / "images"
    files, index = _Files(names, paths, reading, where, threads), _index(root, reading)
    files.learn(index)
    effective = reading.effective(files.headers.values())
    folder = root / _key(version=_VERSION, pillow=PIL.__version__, **effective.to_json()).hex()[:24]
    _make(folder)
    pool = _Pool(folder)
    if files.defects or pool.lacks(files.digests) != (set(), False):
        with locked(folder / "lock"):
            _fill(folder, files, index, effective, progress)
        files.require_all()
        pool = _Pool(folder)
    resized = sum((header.height, header.width) != effective.shape for header in files.headers.values())
    return pool.images(files.digests, effective, resized)


def require_headers(
    names: Sequence[str], paths: Sequence[Path], reading: Reading, where: Path, threads: int | None = None
) -> None:
    """Refuse images that cannot be read so, as far as their headers tell; no pixel is decoded.

    Args:
        names: Names of M images, for messages.
        paths: Their files.
        reading: How files become pixels; its size does not count.
        where: Folder or file that names the images.
        threads: Threads; None is all cores.

    Raises:
        InputError: Some images cannot be used. All are named at once.
    """
    files = _Files(names, paths, reading, where, threads)
    files.learn(_index(cache_folder() / "images", reading))
    files.require_all()


def _index(root: Path, reading: Reading) -> FileIndex:
    return FileIndex(root / "files.sqlite", _key(page=reading.page, range=reading.range, background=reading.background))


def _key(**values: object) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: the cache of images cannot be written ({error.strerror or error}); name another folder in the"
            " environment variable TWINRANK_CACHE"
        ) from error


class _Files:
    """M image files, and what is found out about them.

    Attributes:
        digests: SHA-256 of each file's content; None while it is not known.
        headers: Headers by number of the image, without those that cannot be used.
        defects: What is wrong, by number of the image.
        found: What the index does not have yet, by absolute path.
    """

    def __init__(
        self, names: Sequence[str], paths: Sequence[Path], reading: Reading, where: Path, threads: int | None
    ) -> None:
        self.names, self.reading, self.where, self.threads = names, reading, where, threads
        self.paths = [path.absolute() for path in paths]
        self.digests: list[bytes | None] = [None] * len(paths)
        self.headers: dict[int, Header] = {}
        self.defects: dict[int, UnusableImage] = {}
        self.found: dict[Path, KnownFile] = {}

    def learn(self, index: FileIndex) -> None:
        """Take from the index what it has, and look into the other files.

        Raises:
            InputError: No image can be used.
        """
        headers: dict[int, Header] = {}
        for image, known in enumerate(index.known(self.paths)):
            if known is not None:
                headers[image], self.digests[image] = known.header, known.digest
        unknown = [image for image in range(len(self.paths)) if image not in headers]
        for image, header in in_threads(self._header, unknown, lambda done: None, self.threads):
            if isinstance(header, UnusableImage):
                self.defects[image] = header
            else:
                headers[image] = header
        self.headers = dict(sorted(headers.items()))
        if not self.headers:
            self.require_all()

    def _header(self, image: int) -> Header:
        with opened(self.paths[image]) as file:
            return read_header(file, self.reading)

    def read(self, image: int) -> bytes:
        """The content of a file, whose digest is known from then on.

        Args:
            image: Number of the image.

        Raises:
            UnusableImage: It cannot be read.
        """
        with opened(self.paths[image]) as file:
            stat = os.fstat(file.fileno())
            age = time.time() - max(stat.st_mtime, stat.st_ctime)
            if 0 <= age < _FRESH:
                time.sleep(_FRESH - age)
            content = file.read()
        digest = hashlib.sha256(content).digest()
        self.digests[image] = digest
        self.found[self.paths[image]] = KnownFile(Signature.of(stat), digest, self.headers[image])
        return content

    def require_all(self) -> None:
        """Refuse images that cannot be used.

        Raises:
            InputError: There are some.
        """
        if self.defects:
            raise refusal(self.where, self.names, self.defects, self._lowest_and_highest)

    def _lowest_and_highest(self, image: int) -> tuple[float, float]:
        with opened(self.paths[image]) as file:
            return lowest_and_highest(file.read(), self.reading)


class _Pool:
    """The segments of a folder; damaged ones are removed."""

    def __init__(self, folder: Path) -> None:
        self._segments: list[Segment] = []
        for path in segment_files(folder):
            try:
                self._segments.append(Segment(path))
            except (ValueError, OSError):  # Damaged, or evicted meanwhile.
                with suppress(OSError):
                    path.unlink()

    @cached_property
    def _rows(self) -> list[dict[bytes, int]]:
        """For each segment, the rows of its images by digest."""
        return [
            {segment.files[row].tobytes(): int(row) for row in np.flatnonzero(segment.filled)}
            for segment in self._segments
        ]

    def lacks(self, digests: Sequence[bytes | None]) -> tuple[set[bytes | None], bool]:
        """What is not here, and whether all would be in too many segments.

        Args:
            digests: Digests of the files of a set of images; None where it is not known.
        """
        left, chosen = self._choose(digests)
        if not self._segments:
            return left, False
        filled = len(digests) * self._segments[0].images[0].nbytes // _SEGMENT_BYTES
        return left, len(chosen) + bool(left) > _SPARE_SEGMENTS + 2 * filled

    def pixels(self, digest: bytes | None) -> np.ndarray | None:
        """The pixels of an image, uint8 (C, H, W); None if it is not here."""
        for segment, rows in zip(self._segments, self._rows, strict=True):
            if digest in rows:
                image = np.empty((1, *segment.images.shape[1:]), np.uint8)
                segment.copy(np.array([rows[digest]]), image, np.array([0]))
                return image[0]
        return None

    def images(self, digests: Sequence[bytes | None], reading: Reading, resized: int) -> CachedImages:
        """Images that are all here.

        Args:
            digests: Digests of their files.
            reading: How these were read.
            resized: Number of images of another size.
        """
        _, chosen = self._choose(digests)
        places: dict[bytes, int] = {}
        start = 0
        for number in chosen:
            places = {digest: start + row for digest, row in self._rows[number].items()} | places
            start += len(self._segments[number])
            self._segments[number].used()
        known = [digest for digest in digests if digest is not None]
        at = np.array([places[digest] for digest in known], np.int64)
        segments = tuple(self._segments[number] for number in chosen)
        return CachedImages(segments, at, np.frombuffer(b"".join(known), np.uint8).reshape(-1, 32), reading, resized)

    def _choose(self, digests: Iterable[bytes | None]) -> tuple[set[bytes | None], list[int]]:
        """Digests that are in no segment, and few segments that have all others."""
        left, chosen = set(digests), []
        while left and self._rows:
            shares = [len(left & rows.keys()) for rows in self._rows]
            if not max(shares):
                break
            chosen.append(int(np.argmax(shares)))
            left -= self._rows[chosen[-1]].keys()
        return left, chosen


def _fill(folder: Path, files: _Files, index: FileIndex, reading: Reading, progress: Progress) -> None:
    """Decode the images that are not in the cache yet into new segments.

    Args:
        folder: Folder of the segments, which is locked.
        files: Files of the images. Digests and defects are noted there.
        index: Index that gets what is found out about files.
        reading: Effective reading.
        progress: Listener.

    Raises:
        InputError: The cache cannot be written.
    """
    pool = _Pool(folder)
    lacking, crowded = pool.lacks(files.digests)
    pending = [image for image in files.headers if crowded or files.digests[image] in lacking]
    assert reading.channels is not None
    shape = (reading.channels, *reading.shape)
    size = int(np.prod(shape))
    make_room(folder.parent, len(pending) * size)

    def add(writer: SegmentWriter, row_of: Mapping[int, int], image: int) -> None:
        pixels = pool.pixels(files.digests[image])
        if pixels is None:
            content = files.read(image)
            pixels = pool.pixels(files.digests[image])
            if pixels is not None and not crowded:
                return
            pixels = decode(content, reading) if pixels is None else pixels
        digest = files.digests[image]
        assert digest is not None
        writer.add(row_of[image], pixels, digest)

    def report(start: int, done: int) -> None:
        progress("images", start + done, len(pending))

    rows = max(1, _SEGMENT_BYTES // size)
    for start in range(0, len(pending), rows):
        chosen = pending[start : start + rows]
        with new_segment(folder, len(chosen), shape) as writer:
            row_of = {image: row for row, image in enumerate(chosen)}
            for image, defect in in_threads(
                partial(add, writer, row_of), chosen, partial(report, start), files.threads
            ):
                if defect is not None:
                    files.defects[image] = defect
        index.remember(files.found)
        files.found.clear()
