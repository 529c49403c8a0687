"""Images of requests: from base64 to pixels in the form that a network takes."""

import binascii
import io
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from twinrank.core.messages import counted
from twinrank.data.images.decode import NeedsRange, TooLarge, UnusableImage, decode
from twinrank.data.images.reading import Header, Reading
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm

_MOST_KNOWN = 256
"""Sizes of files whose readings are kept."""


class ImageReader:
    """Reads the images of requests for one network.

    Args:
        form: Form of the images that the network takes.
        most_pixels: Most pixels of an image, by its header.
    """

    def __init__(self, form: ImageForm, most_pixels: int) -> None:
        self._form = form
        self._most_pixels = most_pixels
        self._first = form.reading or Reading()
        # To make a reading takes longer than to decode a small image.
        self._known: dict[tuple[int, int, bool], Reading] = {}

    def read(self, texts: Sequence[str], places: Sequence[str], resize: bool) -> list[np.ndarray]:
        """Images of a request, uint8 (C, H, W) each, as the network takes them.

        Args:
            texts: Bytes of image files, in base64.
            places: Place of each in the request, for messages: ``pairs[3].left``.
            resize: Whether images of another size are resized.

        Raises:
            InputError: An image cannot be read or has another form. The line has the first one, and counts the others.
        """
        images, lines = [], []
        for text, place in zip(texts, places, strict=True):
            try:
                images.append(self._pixels(text, place, resize))
            except InputError as error:
                lines.append(str(error))
        if not lines:
            return images
        others = "" if len(lines) == 1 else f" ({counted(len(lines) - 1, 'more image', 'more images')} refused, too)"
        raise InputError(f"{lines[0]}{others}")

    def _pixels(self, text: str, place: str, resize: bool) -> np.ndarray:
        if text.startswith("data:"):
            raise InputError(f"{place}: is a data: URL; send only what follows its comma")
        try:
            content = b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"{place}: is no base64; send the bytes of an image file in base64") from error
        if not content:
            raise InputError(f"{place}: is empty; send the bytes of an image file in base64")
        try:
            return decode(content, self._first, lambda header: self._reading(header, place, resize))
        except TooLarge as error:
            raise self._too_large(place) from error
        except NeedsRange as error:
            raise InputError(f"{place}: is an image {error.kind}; save it with 8 bits a channel") from error
        except UnusableImage as error:
            detail = f" ({error.detail})" if error.detail else ""
            raise InputError(
                f"{place}: is an image {error.kind}{detail}; {error.remedy.replace('them', 'it')}"
            ) from error

    def _too_large(self, place: str) -> InputError:
        return InputError(f"{place}: is an image of more than {self._most_pixels:,} pixels; make it smaller")

    def _reading(self, header: Header, place: str, resize: bool) -> Reading:
        if header.height * header.width > self._most_pixels:
            raise self._too_large(place)
        key = header.height, header.width, resize
        if (reading := self._known.get(key)) is None:
            reading = self._form.reading_of(header.height, header.width, Path(place), resize)
            if len(self._known) < _MOST_KNOWN:
                self._known[key] = reading
        return reading


def as_png(image: np.ndarray) -> str:
    """An image, uint8 (C, H, W), as a PNG file in base64."""
    made = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(made, "PNG", compress_level=1)
    return b64encode(made.getvalue()).decode("ascii")
