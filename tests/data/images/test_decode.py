import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinrank.data.images.decode import NeedsRange, UnusableImage, decode, lowest_and_highest, read_header
from twinrank.data.images.reading import Reading

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 12), np.uint8)
RGB = RNG.integers(0, 256, (10, 12, 3), np.uint8)
DEEP = RNG.integers(100, 4000, (10, 12)).astype(np.uint16)


def file_of(image: Image.Image, form: str = "png", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


def read(content: bytes, **choice: Any) -> np.ndarray:
    reading = Reading(**choice)
    header = read_header(io.BytesIO(content), reading)
    effective = reading.effective([header])
    pixels = decode(content, effective)
    assert pixels.shape == (effective.channels, *effective.shape)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return pixels


def refused(content: bytes, **choice: Any) -> UnusableImage:
    with pytest.raises(UnusableImage) as caught:
        read(content, **choice)
    return caught.value


def png(colour: int, depth: int, row: bytes) -> bytes:
    """A PNG file of 12 x 10 pixels, whose rows are equal; Pillow cannot write some of these."""
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", 12, 10, depth, colour, 0, 0, 0),
        b"IDAT" + zlib.compress((b"\0" + row) * 10),
        b"IEND",
    )
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


MODES = {
    "1": (Image.fromarray(GREY > 99), "png", (GREY > 99)[None] * np.uint8(255)),
    "L": (Image.fromarray(GREY), "png", GREY[None]),
    "P": (Image.fromarray(GREY).convert("P"), "png", np.stack([GREY] * 3)),
    "RGB": (Image.fromarray(RGB), "png", RGB.transpose(2, 0, 1)),
    "CMYK": (Image.fromarray(RGB).convert("CMYK"), "tiff", RGB.transpose(2, 0, 1)),
    "LA, opaque": (Image.fromarray(GREY).convert("LA"), "png", GREY[None]),
    "RGBA, opaque": (Image.fromarray(RGB).convert("RGBA"), "png", RGB.transpose(2, 0, 1)),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_without_loss(mode: str) -> None:
    image, form, expected = MODES[mode]
    np.testing.assert_array_equal(read(file_of(image, form)), expected)


@pytest.mark.parametrize(("mode", "form", "error"), [("YCbCr", "jpeg", 3), ("LAB", "tiff", 3), ("CMYK", "jpeg", 3)])
def test_other_colour_spaces_become_rgb(mode: str, form: str, error: float) -> None:
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(turn).resize((64, 64)) for turn in (0, 90, 180)])
    if mode == "LAB":
        from PIL import ImageCms

        spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        changed = ImageCms.profileToProfile(image, *spaces, outputMode="LAB")
        assert changed is not None
    else:
        changed = image.convert(mode)
    options = {"quality": 98, "subsampling": 0} if form == "jpeg" else {}
    pixels = read(file_of(changed, form, **options), size=64)
    assert np.abs(pixels.astype(float) - np.asarray(image).transpose(2, 0, 1)).mean() < error


def half_transparent(mode: str) -> Image.Image:
    alpha = Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 8, 1).repeat(8, 0))
    values = [Image.new("L", (8, 16), value) for value in (200, 100, 50)]
    if mode in ("LA", "La"):
        return Image.merge("LA", (values[0], alpha)).convert(mode)
    return Image.merge("RGBA", (*values, alpha)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "form", "colour"),
    [
        *(("LA", "png", [200]), ("RGBA", "png", [200, 100, 50]), ("RGBA", "webp", [200, 100, 50])),
        ("PA", "png", [200, 100, 50]),
    ],
)
def test_transparency_is_put_on_the_background(mode: str, form: str, colour: list[int]) -> None:
    image = half_transparent("RGBA" if mode == "PA" else mode)
    if mode == "PA":
        image = image.quantize(8)
    content = file_of(image, form, **({"lossless": True} if form == "webp" else {}))
    for background, behind in (("white", [255] * 3), ("#0a141e", [10, 20, 30])):
        pixels = read(content, background=background)
        # Grey on a background of a colour is no longer grey.
        below = colour * (len(pixels) // len(colour))
        np.testing.assert_array_equal(pixels[:, 0, 0], behind[: len(pixels)])
        np.testing.assert_array_equal(pixels[:, -1, -1], below)


def test_colours_may_be_multiplied_by_their_alpha() -> None:
    image = Image.new("RGBA", (8, 8), (100, 50, 0, 128))
    content = file_of(image, "tiff")
    kind_of_alpha = struct.Struct("<HHII")
    apart, multiplied = kind_of_alpha.pack(338, 3, 1, 2), kind_of_alpha.pack(338, 3, 1, 1)
    assert apart in content
    pixels = read(content.replace(apart, multiplied), background="black")
    assert np.abs(pixels[:, 0, 0].astype(int) - [100, 50, 0]).max() <= 1


def test_a_transparent_colour_counts() -> None:
    content = file_of(Image.fromarray(np.full((8, 8), 77, np.uint8)), transparency=77)
    assert read(content).tolist() == np.full((1, 8, 8), 255).tolist()


def test_channels_are_as_stated() -> None:
    grey, colour = file_of(Image.fromarray(GREY)), file_of(Image.fromarray(RGB))
    np.testing.assert_array_equal(read(grey, channels=3), np.stack([GREY] * 3))
    np.testing.assert_array_equal(read(colour, channels=1)[0], np.asarray(Image.fromarray(RGB).convert("L")))


DEEP_FILES = {
    "I;16 PNG": file_of(Image.fromarray(DEEP)),
    "I;16 TIFF": file_of(Image.fromarray(DEEP), "tiff"),
    "I;16B TIFF": file_of(Image.frombytes("I;16B", (12, 10), DEEP.astype(">u2").tobytes()), "tiff"),
    "I TIFF": file_of(Image.fromarray(DEEP.astype(np.int32)), "tiff"),
    "F TIFF": file_of(Image.fromarray(DEEP.astype(np.float32)), "tiff"),
    "PGM": b"P5 12 10 65535 " + DEEP.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", DEEP_FILES)
def test_more_than_8_bits_need_a_range(kind: str) -> None:
    content = DEEP_FILES[kind]
    defect = refused(content)
    assert isinstance(defect, NeedsRange)
    assert not defect.in_colour
    assert lowest_and_highest(content, Reading()) == (DEEP.min(), DEEP.max())
    expected = np.rint((DEEP.clip(200, 3000) - 200.0) * 255 / 2800).astype(np.uint8)
    np.testing.assert_array_equal(read(content, range=(200, 3000)), expected[None])


def test_values_that_are_no_numbers_are_refused() -> None:
    values = np.full((10, 12), np.nan, np.float32)
    content = file_of(Image.fromarray(values), "tiff")
    assert "NaN" in str(refused(content, range=(0, 1)))
    with pytest.raises(UnusableImage, match="NaN"):
        lowest_and_highest(content, Reading())


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "grey, alpha", "RGBA"])
def test_16_bits_a_channel_keep_the_upper_8_if_that_is_stated(colour: int, channels: int) -> None:
    content = png(colour, 16, b"\xff\x02" * channels * 12)
    for choice in (None, (0, 4095)):
        defect = refused(content, range=choice)
        assert isinstance(defect, NeedsRange)
        assert defect.in_colour
    assert (read(content, range=(0, 65535)) == 255).all()


def test_5_bits_a_channel_are_no_16() -> None:
    head = b"BM" + struct.pack("<IHHI", 54 + 8 * 16, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, *[0] * 6)
    assert (read(head + b"\xff\x7f" * 64) == 255).all()


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "tiff"])
def test_orientation_is_applied(form: str) -> None:
    image = Image.fromarray(np.kron(np.array([[0, 255, 128]], np.uint8), np.ones((16, 16), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"tiffinfo": {0x0112: 6}} if form == "tiff" else {"exif": exif}
    content = file_of(image, form, **options)
    expected = np.rot90(np.asarray(image), -1)
    pixels = read(content)
    assert pixels.shape[1:] == expected.shape
    assert np.abs(pixels[0].astype(int) - expected).mean() < 5
    small = read(content, size=(24, 8))
    assert np.abs(small[0].astype(int)[4::8] - expected[8::16, ::2]).mean() < 20


def stack(form: str) -> bytes:
    images = [Image.fromarray(np.full((10, 12), 60 * page, np.uint8)) for page in range(3)]
    return file_of(images[0], form, save_all=True, append_images=images[1:])


@pytest.mark.parametrize("form", ["tiff", "gif", "png", "webp", "mpo"])
def test_of_several_pages_one_is_chosen(form: str) -> None:
    content = stack(form)
    defect = refused(content)
    assert (defect.kind, defect.detail) == ("of several pages or frames", "3")
    for page in range(3):
        assert np.abs(read(content, page=page).astype(int) - 60 * page).max() <= 2
    assert (refused(content, page=3).kind, refused(content, page=3).detail) == ("without a page 3", "3 in all")
    np.testing.assert_array_equal(read(file_of(Image.fromarray(GREY)), page=0), GREY[None])


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (7, 11), (3000, 2000)])
def test_fits(shape: tuple[int, int]) -> None:
    height, width = shape
    wave = np.linspace(0, 255, width)[None].repeat(height, 0).astype(np.uint8)
    content = file_of(Image.fromarray(wave), "jpeg" if width > 1000 else "png")
    resized, cropped, padded = (
        read(content, size=(16, 32), fit=fit, background="black")[0].astype(int) for fit in ("resize", "crop", "pad")
    )
    whole = np.linspace(0, 255, 32 * 2 + 1)[1::2]
    assert np.abs(resized - whole).max() < 14
    shown = min(1, height * 2 / width)
    assert np.abs(cropped - (127.5 + (whole - 127.5) * shown)).max() < 14
    inner = padded[padded.max(1) > 0][:, padded.max(0) > 0]
    scale = min(16 / height, 32 / width)
    assert np.abs(np.array(inner.shape) - (height * scale, width * scale)).max() <= 1.5


NATIVE = {
    "larger": ((31, 40), (8, 11), np.s_[11:19, 14:25], np.s_[:, :]),
    "smaller": ((9, 10), (16, 13), np.s_[:, :], np.s_[3:12, 1:11]),
    "taller, narrower": ((40, 11), (9, 16), np.s_[15:24, :], np.s_[:, 2:13]),
    "lower, wider": ((7, 20), (16, 8), np.s_[:, 6:14], np.s_[4:11, :]),
    "of that size": ((10, 12), (10, 12), np.s_[:, :], np.s_[:, :]),
}
"""Sizes of an image and of the result, what is shown, and where."""


@pytest.mark.parametrize("case", NATIVE)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_native_pixels_are_those_of_the_middle(case: str, mode: str) -> None:
    shape, size, shown, place = NATIVE[case]
    values = np.random.default_rng(1).integers(0, 256, (*shape, 4), np.uint8)
    values[..., 3] = np.where(values[..., 3] > 127, 255, 0)
    behind = np.array([255, 128, 0], np.uint8)
    if mode == "L":
        behind = np.asarray(Image.new("RGB", (1, 1), "#ff8000").convert("L"))[0]
        values, image = values[..., :1], Image.fromarray(values[..., 0])
    else:
        image = Image.fromarray(values if mode == "RGBA" else values[..., :3])
    expected = np.empty((*size, len(behind)), np.uint8)
    expected[:] = behind
    expected[place] = values[shown][..., : len(behind)]
    if mode == "RGBA":
        expected[place][values[shown][..., 3] == 0] = behind
    pixels = read(file_of(image), size=size, fit="native", background="#ff8000")
    np.testing.assert_array_equal(pixels, expected.transpose(2, 0, 1))


def test_native_pixels_of_a_photograph_are_decoded_whole_and_turned() -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (300, 500), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = file_of(noise, "jpeg", quality=95, exif=exif)
    turned = np.rot90(np.asarray(Image.open(io.BytesIO(content))), -1)
    np.testing.assert_array_equal(read(content, size=(20, 16), fit="native")[0], turned[240:260, 142:158])


def test_what_is_made_smaller_shows_no_false_patterns() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    for size in (17, 31, 64):
        assert np.ptp(read(file_of(Image.fromarray(stripes)), size=size)[0, :, 2:-2].astype(int)) < 40


def test_large_photographs_are_decoded_at_a_fraction() -> None:
    image = Image.radial_gradient("L").resize((2048, 1536)).convert("RGB")
    content = file_of(image, "jpeg", quality=95)
    expected = np.asarray(image.resize((96, 64), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.abs(read(content, size=(64, 96)).astype(int) - expected).max() <= 3


def test_sizes_are_checked_before_pixels() -> None:
    for side in (14_000, 200_000):
        claim = bytearray(png(0, 8, b"\0" * 12))
        claim[16:24] = struct.pack(">II", side, side)
        claim[29:33] = struct.pack(">I", zlib.crc32(claim[12:29]))
        assert refused(bytes(claim)).kind == "of more than 178,956,970 pixels"
