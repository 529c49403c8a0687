"""A set of image files as pixels."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from twinrank.core.memory import require_memory
from twinrank.data.images.decode import UnusableImage, decode, lowest_and_highest, read_header
from twinrank.data.images.defects import refusal
from twinrank.data.images.files import in_threads, opened
from twinrank.data.images.reading import Header, Reading

Progress = Callable[[str, int, int], None]
"""Listener: a name, how much is done, and how much there is."""


def read_images(
    names: Sequence[str], paths: Sequence[Path], reading: Reading, where: Path, progress: Progress, threads: int | None
) -> tuple[np.ndarray, np.ndarray, Reading]:
    """Pixels of image files.

    Args:
        names: Names of M images, for messages.
        paths: Their files.
        reading: How files become pixels.
        where: Folder or file that names the images.
        progress: Listener.
        threads: Threads; None is all cores.

    Returns:
        Pixels uint8 (M, C, H, W), SHA-256 digests of the files, uint8 (M, 32), and the reading with size and channels.

    Raises:
        InputError: Some images cannot be used.
    """
    defects: dict[int, UnusableImage] = {}
    headers: dict[int, Header] = {}

    def header(image: int) -> Header:
        with opened(paths[image]) as file:
            return read_header(file, reading)

    def pixels_and_digest(image: int) -> tuple[np.ndarray, bytes]:
        with opened(paths[image]) as file:
            content = file.read()
        return decode(content, effective), hashlib.sha256(content).digest()

    def measured(image: int) -> tuple[float, float]:
        with opened(paths[image]) as file:
            return lowest_and_highest(file.read(), reading)

    for image, found in in_threads(header, range(len(paths)), lambda done: None, threads):
        (defects if isinstance(found, UnusableImage) else headers)[image] = found
    if not headers:
        raise refusal(where, names, defects, measured)
    effective = reading.effective(headers.values())
    shape = (len(paths), effective.channels, *effective.shape)
    require_memory(where, int(np.prod(shape)))
    pixels, digests = np.empty(shape, np.uint8), np.empty((len(paths), 32), np.uint8)
    listener = lambda done: progress("images", done, len(headers))  # noqa: E731
    for image, found in in_threads(pixels_and_digest, list(headers), listener, threads):
        if isinstance(found, UnusableImage):
            defects[image] = found
        else:
            pixels[image], digests[image] = found[0], np.frombuffer(found[1], np.uint8)
    if defects:
        raise refusal(where, names, defects, measured)
    return pixels, digests, effective
