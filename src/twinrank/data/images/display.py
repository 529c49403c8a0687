"""Image files as a browser can show them."""

import io

from twinrank.data.images.decode import NeedsRange, lowest_and_highest, whole
from twinrank.data.images.reading import Reading

_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}


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
