"""Images of one shape, each stored once, by number and by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from twinrank.core.messages import counted
from twinrank.data.images.cache import CachedImages, Progress, read_images
from twinrank.data.images.files import image_files
from twinrank.data.images.fingerprints import Fingerprints, look_through
from twinrank.data.images.reading import Reading


def _no_progress(name: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True, eq=False)
class ImageStore:
    """M images, each once. Pickled, images from files take no space: they are mapped into memory again.

    Attributes:
        parts: Blocks of images, each (m, C, H, W), of one shape and type: uint8, or float32 in [0, 1]. Images in memory
            are numbered through. Those from files are memory maps that hold other images, too: use :meth:`take`.
        path: Folder or file of the images, or the name of arrays in memory.
        names: Names of the images, str (M,); None where they have only numbers.
        cached: Where images from files are in the cache; None for images in memory.
    """

    parts: tuple[np.ndarray, ...]
    path: Path
    names: np.ndarray | None = None
    cached: CachedImages | None = None

    def __len__(self) -> int:
        return sum(map(len, self.parts)) if self.cached is None else len(self.cached.places)

    def __repr__(self) -> str:
        channels, height, width = self.shape
        return f"ImageStore({self.path}: {len(self):,} images, {channels} x {height} x {width} {self.dtype})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ if self.cached is None else {**self.__dict__, "parts": ()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.cached is not None:
            self.__dict__["parts"] = self.cached.parts

    @property
    def reading(self) -> Reading | None:
        """How files became pixels, with size and channels; None for images in memory."""
        return None if self.cached is None else self.cached.reading

    @property
    def digests(self) -> np.ndarray | None:
        """SHA-256 digests of the files, uint8 (M, 32); None for images in memory."""
        return None if self.cached is None else self.cached.digests

    @property
    def resized(self) -> bool:
        """Whether a file has another size than the images of the store; False for images in memory."""
        return self.cached is not None and self.cached.resized > 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, (C, H, W)."""
        channels, height, width = self.parts[0].shape[1:]
        return channels, height, width

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels: uint8 or float32."""
        return self.parts[0].dtype

    @property
    def described(self) -> str:
        """What is known of the images in a few words: how many, of which size, and how they got that size."""
        channels, height, width = self.shape
        images, kind = counted(len(self), "image", "images"), "grey" if channels == 1 else "RGB"
        line = f"{images}, {kind}, {height} x {width} pixels"
        if self.cached is None or not self.cached.resized:
            return line
        resized = f"{self.cached.resized:,} of another size ({self.cached.reading.fit})"
        return f"{line}; {resized}"

    def name(self, image: int) -> str:
        """The name of an image, or its number as text."""
        return str(image if self.names is None else self.names[image])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some images, (n, C, H, W).

        In memory, it is a view where they stand one after the other in a block, else a copy. Of images from files it is
        a copy; besides it, some hundred megabytes stay in this process's resident memory, however many are taken.

        Args:
            rows: Numbers of images, int (n,).
        """
        places = np.asarray(rows) if self.cached is None else self.cached.places[rows]
        of_part = np.searchsorted(self._starts, places, side="right") - 1
        used = np.unique(of_part)
        if self.cached is None and len(used) == 1:
            return _rows(self.parts[used[0]], places - self._starts[used[0]])
        taken = np.empty((len(places), *self.shape), self.dtype)
        for number in used:
            here = np.flatnonzero(of_part == number)
            in_part = places[here] - self._starts[number]
            if self.cached is None:
                taken[here] = self.parts[number][in_part]
            else:
                self.cached.segments[number].copy(in_part, taken, here)
        return taken

    @property
    def hashes(self) -> np.ndarray:
        """BLAKE2b hashes of the pixels as 8-bit values, uint64 (M,): equal images have equal hashes."""
        return self.fingerprints.hashes

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """A hash and a few numbers of each image. Those of files are kept with their pixels."""
        return Fingerprints.of(look_through(self.parts) if self.cached is None else self.cached.looks)

    def at_size(self, height: int, width: int) -> "ImageStore":
        """A store in memory with the same images at another size, antialiased.

        Args:
            height: Pixels.
            width: Pixels.
        """
        most = 255 if self.dtype == np.uint8 else 1
        pixels = np.empty((len(self), self.shape[0], height, width), self.dtype)
        for image in range(len(self)):
            for channel, plane in enumerate(self.take(np.array([image]))[0]):
                scaled = Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.BICUBIC)
                pixels[image, channel] = np.asarray(scaled).clip(0, most)
        return ImageStore((pixels,), self.path, self.names)

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
        cached = read_images(names, paths, reading, path, progress, threads)
        return cls(cached.parts, path, np.asarray(names, np.str_), cached)


def _rows(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array, as a view where they ascend one by one."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (np.diff(rows) == 1).all():
        return images[first : last + 1]
    return images[rows]
