"""Images of one shape, each stored once, by number and by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.data.images.files import image_files
from twinrank.data.images.read import Progress, read_images
from twinrank.data.images.reading import Reading

_CHUNK_BYTES = 1 << 24


def _no_progress(name: str, done: int, total: int) -> None:
    pass


class Fingerprints(NamedTuple):
    """A hash and a few numbers for each of M images.

    Attributes:
        hashes: BLAKE2b hashes of the pixels as 8-bit values, uint64 (M,).
        uniform: Whether an image has one value throughout, bool (M,).
        brightness: Mean pixels, 0 to 1, float64 (M,).
        visible: Shares of pixels above 0, float64 (M,).
        brightest: Largest pixel of all, 0 to 255.
    """

    hashes: np.ndarray
    uniform: np.ndarray
    brightness: np.ndarray
    visible: np.ndarray
    brightest: int


@dataclass(frozen=True, eq=False)
class ImageStore:
    """M images, each once.

    Attributes:
        parts: Blocks of images, each (m, C, H, W), of one shape and type: uint8, or float32 in [0, 1]. Their images are
            numbered through.
        path: Folder or file of the images, or the name of arrays in memory.
        names: Names of the images, str (M,); None where they have only numbers.
        reading: How files became pixels, with size and channels; None for arrays.
        digests: SHA-256 digests of the files, uint8 (M, 32); None for arrays.
    """

    parts: tuple[np.ndarray, ...]
    path: Path
    names: np.ndarray | None = None
    reading: Reading | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, (C, H, W)."""
        channels, height, width = self.parts[0].shape[1:]
        return channels, height, width

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels: uint8 or float32."""
        return self.parts[0].dtype

    def name(self, image: int) -> str:
        """The name of an image, or its number as text."""
        return str(image if self.names is None else self.names[image])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some images, (n, C, H, W). It is a view where they stand one after the other in a block, else a copy.

        Args:
            rows: Numbers of images, int (n,).
        """
        rows = np.asarray(rows)
        starts = self._starts
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
            part = int(np.searchsorted(starts, rows[0], side="right")) - 1
            if rows[-1] < starts[part] + len(self.parts[part]):
                first = int(rows[0] - starts[part])
                return self.parts[part][first : first + len(rows)]
        if len(self.parts) == 1:
            return self.parts[0][rows]
        taken = np.empty((len(rows), *self.shape), self.dtype)
        of_part = np.searchsorted(starts, rows, side="right") - 1
        for number, part in enumerate(self.parts):
            here = of_part == number
            taken[here] = part[rows[here] - starts[number]]
        return taken

    @property
    def hashes(self) -> np.ndarray:
        """BLAKE2b hashes of the pixels as 8-bit values, uint64 (M,): equal images have equal hashes."""
        return self.fingerprints.hashes

    @cached_property
    def fingerprints(self) -> "Fingerprints":
        """A hash and a few numbers of each image, from one look at the pixels, some megabytes at a time."""
        hashes, uniform = np.empty(len(self), np.uint64), np.empty(len(self), bool)
        brightness, visible = np.empty(len(self)), np.empty(len(self))
        brightest = at = 0
        rows = max(1, _CHUNK_BYTES // int(np.prod(self.shape)))
        for part in self.parts:
            for start in range(0, len(part), rows):
                flat = _eight_bit(part[start : start + rows])
                flat = flat.reshape(len(flat), -1)
                low, high = flat.min(axis=1), flat.max(axis=1)
                place = slice(at, at := at + len(flat))
                digests = b"".join(blake2b(image.tobytes(), digest_size=8).digest() for image in flat)
                hashes[place] = np.frombuffer(digests, np.uint64)
                uniform[place] = low == high
                brightness[place] = flat.mean(axis=1) / 255
                visible[place] = np.count_nonzero(flat, axis=1) / flat.shape[1]
                brightest = max(brightest, int(high.max()))
        return Fingerprints(hashes, uniform, brightness, visible, brightest)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.parts[:-1])])

    @classmethod
    def from_arrays(cls, images: np.ndarray, names: Sequence[str] | None = None, name: str = "arrays") -> "ImageStore":
        """A store of images in memory.

        Args:
            images: Images (M, C, H, W), uint8, or float32 in [0, 1].
            names: Names of the images, each once.
            name: Name of the store in messages.
        """
        return cls((images,), Path(name), None if names is None else np.asarray(names, np.str_))

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        reading: Reading = Reading(),
        progress: Progress = _no_progress,
        threads: int | None = None,
    ) -> "ImageStore":
        """A store of all images in a folder and its subfolders, sorted by path; hidden files are left out.

        Names are paths from the folder, with ``/``.

        Args:
            folder: Folder of images.
            reading: How files become pixels.
            progress: Listener for what is read: "images", the images done, and all images.
            threads: Threads; None is all cores.

        Raises:
            InputError: The folder has no image, or anything that :meth:`from_files` refuses.
        """
        paths = image_files(folder)
        names = [path.relative_to(folder).as_posix() for path in paths]
        return cls.from_files(names, paths, reading, folder, progress, threads)

    @classmethod
    def from_files(
        cls,
        names: Sequence[str],
        paths: Sequence[Path],
        reading: Reading,
        path: Path,
        progress: Progress = _no_progress,
        threads: int | None = None,
    ) -> "ImageStore":
        """A store of images in files.

        Args:
            names: Names of M images, each once.
            paths: Their files.
            reading: How files become pixels.
            path: Folder of the images, or the table that names them, for messages.
            progress: Listener for what is read: "images", the images done, and all images.
            threads: Threads; None is all cores.

        Raises:
            InputError: Some images cannot be used; the line counts every kind of defect and has its first examples.
        """
        pixels, digests, reading = read_images(names, paths, reading, path, progress, threads)
        return cls((pixels,), path, np.asarray(names, np.str_), reading, digests)


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    values = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
    return np.ascontiguousarray(values)
