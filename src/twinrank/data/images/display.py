"""Image files as a browser can show them."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from twinrank.data.images.decode import NeedsRange, UnusableImage, lowest_and_highest, read_header, whole
from twinrank.data.images.files import in_threads, opened
from twinrank.data.images.reading import Reading

_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}
_ENDS = {b"\x89PNG": b"IEND", b"\xff\xd8\xff": b"\xff\xd9"}
"""What a whole file has near its end."""
_NEAR = 4096
_ANY = Reading(page=0, range=(0, 65_535))


def for_browser(content: bytes) -> tuple[bytes, str]:
    """An image in a format that browsers show, and the name of the format.

    PNG, JPEG, GIF, WebP, BMP and AVIF stay as they are. Others become PNG: of several pages the first, and values of
    more than 8 bits stretched from the least to the greatest.

    Args:
        content: Bytes of the file.

    Raises:
        UnusableImage: It cannot be read.
    """
    for start, kind in _KINDS.items():
        if content.startswith(start):
            return content, kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, "image/webp"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return content, "image/avif"
    return _as_png(content), "image/png"


def _as_png(content: bytes) -> bytes:
    try:
        image = whole(content, Reading(page=0))
    except NeedsRange as error:
        low, high = (0, 65_535) if error.in_colour else lowest_and_highest(content, Reading(page=0))
        image = whole(content, Reading(page=0, range=(low, max(high, low + 1))))
    made = io.BytesIO()
    image.save(made, "PNG", compress_level=1)
    return made.getvalue()


def defects_to_show(
    files: Sequence[Path], progress: Callable[[int], None] = lambda done: None
) -> tuple[dict[int, UnusableImage], dict[int, UnusableImage]]:
    """Image files that cannot be shown, and those that a training would refuse as they are, each by number.

    Headers are read, and the ends of files. Pixels are decoded only where an end is missing.

    Args:
        files: Image files.
        progress: Listener for how many are done.
    """
    cannot, refused = dict[int, UnusableImage](), dict[int, UnusableImage]()
    results = in_threads(lambda number: _defect(files[number]), range(len(files)), progress, None)
    for number, found in results:
        if isinstance(found, UnusableImage):
            cannot[number] = found
        elif found is not None:
            refused[number] = found[0]
    return cannot, refused


def _defect(path: Path) -> tuple[UnusableImage] | None:
    """Why a training would refuse an image that can be shown.

    Raises:
        UnusableImage: It cannot be shown.
    """
    with opened(path) as file:
        refused = None
        try:
            read_header(file, Reading())
        except UnusableImage as defect:
            file.seek(0)
            read_header(file, _ANY)
            refused = (defect,)
        if not _ends(file):
            file.seek(0)
            whole(file.read(), _ANY)
    return refused


def _ends(file: BinaryIO) -> bool:
    """Whether a file seems to be whole."""
    file.seek(0)
    start = file.read(4)
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _NEAR))
    end = next((end for kind, end in _ENDS.items() if start.startswith(kind)), b"")
    return end in file.read()
