"""One image file as pixels of 8 bits: any mode that Pillow reads without loss of meaning."""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageColor, ImageFile, ImageOps, UnidentifiedImageError

from twinrank.core.messages import cause
from twinrank.data.images.reading import Header, Reading
from twinrank.errors import InputError

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Formats whose decoders are part of Pillow. It hands some others, such as EPS, to external programs."""
ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".j2k", ".avif"),
)
"""How names of such files end, in lower case."""
OTHER_ENDINGS = (".heic", ".heif", ".jxl", ".dcm", ".tga", ".exr")
"""How names of other images end, which a folder of images should not have: they would be missing without a word."""
_MOST_PIXELS = 178_956_970
"""Pixels of the largest image that is decoded, Pillow's own limit: a small file may claim to be huge."""
_LARGE, _ONE_LARGE_IMAGE = 1 << 25, Lock()
"""Pixels of an image that is not decoded beside another such."""
_CHOOSE_PAGE = "choose one with `page`, from 0, when you fit or train, or save it as a file of its own"
_GREY_MODES = {"1", "L", "LA", "La"}
_WHOLE_RANGE = (0, 65_535)
_SWAPPED_SIDES = {5, 6, 7, 8}
"""Orientations of EXIF that turn an image by a quarter."""


class UnusableImage(Exception):
    """An image that cannot be used.

    Args:
        kind: What is wrong, after "images": ``of several pages``.
        remedy: What to do.
        detail: Particulars of this image, or "".
    """

    def __init__(self, kind: str, remedy: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind, self.remedy, self.detail = kind, remedy, detail


class TooLarge(UnusableImage):
    """An image of more pixels than are ever decoded.

    Args:
        detail: Its size, or "".
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"of more than {_MOST_PIXELS:,} pixels", "make them smaller", detail)


class NeedsRange(UnusableImage):
    """An image of more than 8 bits, where no range of values is stated.

    Args:
        in_colour: Whether it has colours of 16 bits, of which Pillow gives the upper 8.
    """

    def __init__(self, in_colour: bool) -> None:
        kind = "with more than 8 bits in grey" if not in_colour else "with 16 bits a channel"
        super().__init__(kind, "")
        self.in_colour = in_colour


def read_header(file: BinaryIO, reading: Reading) -> Header:
    """What a file says about its image; no pixel is decoded.

    Args:
        file: Open image file.
        reading: How it is to be read.

    Raises:
        UnusableImage: It cannot be read so.
    """
    with _opened(file, reading) as image:
        return _header(image, reading)


def decode(content: bytes, reading: Reading, chosen: Callable[[Header], Reading] | None = None) -> np.ndarray:
    """The pixels of an image file, uint8 (C, H, W).

    Args:
        content: Bytes of the file.
        reading: How it is read, with size and channels.
        chosen: Function that gives the reading with size and channels by the header instead, or refuses the image
            before a pixel is decoded.

    Raises:
        UnusableImage: It cannot be read so.
    """
    with _opened(io.BytesIO(content), reading) as image, _turn(image):
        if chosen is not None:
            reading = chosen(_header(image, reading))
        height, width = reading.shape
        if reading.fit != "native":
            # A JPEG file is decoded at a fraction of its size where that is at least twice what is needed.
            longest = 2 * max(height, width)
            image.draft(image.mode, (longest, longest))
        ImageOps.exif_transpose(image, in_place=True)
        plain = _opaque(_eight_bits(image, reading), reading.background)
        pixels = np.asarray(_fitted(plain.convert("L" if reading.channels == 1 else "RGB"), reading))
    return pixels[None] if reading.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _header(image: ImageFile.ImageFile, reading: Reading) -> Header:
    width, height = image.size
    # That of a PNG file decodes the pixels, and a TIFF file has applied the orientation to its size.
    orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    if orientation in _SWAPPED_SIDES and image.format != "TIFF":
        width, height = height, width
    grey = _is_deep_grey(image) or image.mode in _GREY_MODES
    return Header(height, width, grey and (reading.grey_background or not image.has_transparency_data))


def whole(content: bytes, reading: Reading) -> Image.Image:
    """An image at its own size, turned as its camera has noted, in grey or RGB.

    Args:
        content: Bytes of the file.
        reading: How it is read; size and channels do not count.

    Raises:
        UnusableImage: It cannot be read so.
    """
    with _opened(io.BytesIO(content), reading) as image, _turn(image):
        ImageOps.exif_transpose(image, in_place=True)
        plain = _opaque(_eight_bits(image, reading), reading.background)
        return plain.convert("L" if plain.mode in _GREY_MODES else "RGB")


def lowest_and_highest(content: bytes, reading: Reading) -> tuple[float, float]:
    """The least and the largest value of a grey image, as it is stored; infinite ones do not count.

    Args:
        content: Bytes of the file.
        reading: Reading that says which page.

    Raises:
        UnusableImage: It cannot be read, or has values that are no numbers.
    """
    with _opened(io.BytesIO(content), reading, measured=True) as image:
        values = np.asarray(image)
        _require_numbers(values)
        values = values[np.isfinite(values)]
        return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _turn(image: Image.Image) -> AbstractContextManager[object]:
    """What the thread waits for: large images are decoded one at a time, so that memory does not go by the threads."""
    return _ONE_LARGE_IMAGE if image.width * image.height > _LARGE else nullcontext()


@contextmanager
def _opened(file: BinaryIO, reading: Reading, measured: bool = False) -> Iterator[ImageFile.ImageFile]:
    """An image at its page, if its size, pages and bits are acceptable. Its pixels are not decoded."""
    try:
        if not file.read(1):
            raise UnusableImage("that are empty", "copy or save them again")
        file.seek(0)
        Image.init()
        with Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
            _choose_page(image, reading.page)
            if image.width * image.height > _MOST_PIXELS:
                raise TooLarge(f"{image.height:,} x {image.width:,}")
            if not measured:
                _check_bits(image, reading)
            yield image
    except (UnusableImage, InputError):
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge("") from error
    except Exception as error:  # Damaged bytes fail in more ways than can be listed.
        detail = "of another kind, or damaged" if isinstance(error, UnidentifiedImageError) else cause(error)
        raise UnusableImage(f"that cannot be read as {', '.join(_FORMATS)}", "save them again", detail) from error


def _choose_page(image: Image.Image, page: int | None) -> None:
    pages = getattr(image, "n_frames", 1)
    if page is None and pages > 1:
        raise UnusableImage("of several pages or frames", _CHOOSE_PAGE, f"{pages:,}")
    if page is not None and page >= pages:
        raise UnusableImage(f"without a page {page}", "choose another `page`, from 0", f"{pages:,} in all")
    if page:
        image.seek(page)


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode[0] in "IF"


def _check_bits(image: ImageFile.ImageFile, reading: Reading) -> None:
    """Refuse more than 8 bits a channel without a range that says what they mean."""
    if _is_deep_grey(image):
        if reading.range is None:
            raise NeedsRange(in_colour=False)
        return
    # Pillow decodes 16 bits a channel to the upper 8. Its name for 5 and 6 bits, BGR;16, is another matter.
    raw = [tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in image.tile]
    deep = any(";16" in str(mode) and not str(mode).startswith("BGR") for mode in raw)
    if deep and reading.range != _WHOLE_RANGE:
        raise NeedsRange(in_colour=True)


def _eight_bits(image: Image.Image, reading: Reading) -> Image.Image:
    """An image of 8 bits in a mode that converts to grey, RGB and RGBA."""
    if _is_deep_grey(image):
        assert reading.range is not None
        low, high = reading.range
        values = np.asarray(image).astype(np.float64)
        _require_numbers(values)
        return Image.fromarray(np.rint((values - low).clip(0, high - low) * (255 / (high - low))).astype(np.uint8))
    if image.mode in ("La", "RGBa"):
        return image.convert(image.mode.upper())
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    return image


def _require_numbers(values: np.ndarray) -> None:
    if np.isnan(values).any():
        raise UnusableImage("with values that are no numbers (NaN)", "save them again without")


def _opaque(image: Image.Image, background: str) -> Image.Image:
    """An image on a background, where it is transparent."""
    if not image.has_transparency_data:
        return image
    behind = Image.new("RGBA", image.size, background)
    behind.alpha_composite(image.convert("RGBA"))
    return behind.convert("RGB")


def _fitted(image: Image.Image, reading: Reading) -> Image.Image:
    """An image at the size of the reading; one that has it already keeps its pixels."""
    height, width = reading.shape
    if image.size == (width, height):
        return image
    scales = width / image.width, height / image.height
    if reading.fit == "resize":
        return _resized(image, (width, height), (0, 0, *image.size))
    if reading.fit == "crop":
        inner = min(width / max(scales), image.width), min(height / max(scales), image.height)
        left, top = (image.width - inner[0]) / 2, (image.height - inner[1]) / 2
        return _resized(image, (width, height), (left, top, left + inner[0], top + inner[1]))
    scale = 1 if reading.fit == "native" else min(scales)
    outer = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    # A negative place cuts off what lies beyond the canvas; an odd pixel more falls to the right and the bottom.
    place = int((width - outer[0]) / 2), int((height - outer[1]) / 2)
    padded = Image.new(image.mode, (width, height), ImageColor.getcolor(reading.background, image.mode))
    padded.paste(_resized(image, outer, (0, 0, *image.size)), place)
    return padded


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    # Pillow's filters widen with the scale, so what is made smaller shows no false patterns.
    return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=3.0)
