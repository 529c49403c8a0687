import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source

Refusal = Callable[..., str]
Outcome = Callable[[Path], Judgements | str]

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 10, 12), np.uint8)
RGB = RNG.integers(0, 256, (4, 10, 12, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four grey images, 0.png to 3.png, and no table."""
    for number, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    return tmp_path


def table(folder: Path, *rows: str, header: str = "left,right,label", name: str = "pairs.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_a_folder_with_its_table(folder: Path) -> None:
    table(folder, "0.png,1.png,1", "2.png,3.png,0", "3.png,0.png,0")
    data = load_pairs(folder)
    np.testing.assert_array_equal(data.xa, GREY[[0, 2, 3], None])
    np.testing.assert_array_equal(data.xb, GREY[[1, 3, 0], None])
    assert data.xa.dtype == np.uint8
    assert data.y is not None
    assert (data.y.tolist(), data.id, len(data), data.path) == ([1, 0, 0], None, 3, folder)


def test_the_table_may_be_given_or_be_the_only_one_in_the_folder(folder: Path) -> None:
    path = table(folder, "0.png,1.png,1", name="Order.CSV")
    digests = {load_pairs(folder).sha256, load_pairs(path).sha256}
    assert len(digests) == 1


def test_colour_subfolders_absolute_paths_and_ids(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for number, image in enumerate(RGB):
        Image.fromarray(image).save(tmp_path / "sub" / f"{number}.png")
    rows = (f"first,sub/0.png,{tmp_path / 'sub' / '1.png'}", "second,sub/2.png,./sub/3.png")
    data = load_pairs(table(tmp_path, *rows, header="id,left,right"))
    np.testing.assert_array_equal(data.xa, RGB[[0, 2]].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.xb, RGB[[1, 3]].transpose(0, 3, 1, 2))
    assert data.y is None
    assert data.row_ids.tolist() == ["first", "second"]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    for number, image in enumerate(RGB[:2]):
        Image.fromarray(image).save(tmp_path / f"{number}.{suffix}", lossless=True)
    table(tmp_path, f"0.{suffix},1.{suffix},1")
    data = load_pairs(tmp_path)
    np.testing.assert_array_equal(data.xa, RGB[:1].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.xb, RGB[1:2].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("name", "image", "channels"),
    [
        ("jpeg", Image.linear_gradient("L").resize((12, 10)), 1),
        ("gif", Image.fromarray(GREY[0]), 3),
        ("png", Image.fromarray(GREY[0] > 99), 1),
        ("png", Image.fromarray(RGB[0]).quantize(16), 3),
        ("png", Image.merge("LA", (Image.fromarray(GREY[0]), Image.new("L", (12, 10), 255))), 1),
        ("png", Image.fromarray(RGB[0]).convert("RGBA"), 3),
    ],
    ids=["JPEG", "GIF", "1 bit", "palette", "grey, opaque alpha", "RGB, opaque alpha"],
)
def test_other_formats_and_modes(tmp_path: Path, name: str, image: Image.Image, channels: int) -> None:
    image.save(tmp_path / f"a.{name}")
    table(tmp_path, f"a.{name},a.{name}", header="left,right")
    data = load_pairs(tmp_path)
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB"), float).reshape(10, 12, channels)
    assert data.xa.shape == (1, channels, 10, 12)
    assert np.abs(data.xa[0].transpose(1, 2, 0) - expected).mean() < 3


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY[0]).save(tmp_path / "a.png", exif=exif)
    table(tmp_path, "a.png,a.png", header="left,right")
    np.testing.assert_array_equal(load_pairs(tmp_path).xa[0, 0], np.rot90(GREY[0], -1))


def test_other_columns_are_left_aside_and_metadata_of_macos_too(folder: Path) -> None:
    table(folder, "0.png,1.png,9,1", header="left,right,size,label")
    (folder / "._pairs.csv").write_bytes(b"\0\5\x16\7")
    data = load_pairs(folder)
    assert data.y is not None
    assert data.y.tolist() == [1]


def test_the_digest_covers_the_images(folder: Path) -> None:
    table(folder, "0.png,1.png,1")
    before = load_pairs(folder).sha256
    Image.fromarray(GREY[3]).save(folder / "1.png")
    assert load_pairs(folder).sha256 != before


def test_the_digest_covers_what_was_stated_about_the_table(folder: Path) -> None:
    """Another outcome, or other rows of one file, are not the pairs that a network was fitted to."""
    table(folder, "0.png,1.png,1,0,1", "0.png,1.png,1,0,2", header="left,right,sharper,nicer,day")
    stated = [{"outcome": "sharper"}, {"outcome": "nicer"}, {"outcome": "nicer", "only": "day=1"}]
    digests = [load_pairs(folder, source=Source(columns=columns)).sha256 for columns in (*stated, stated[0])]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
    other = load_pairs(folder, source=Source(columns={"only": "day=2", "outcome": "nicer"}))
    again = load_pairs(folder, source=Source(recorded={"outcome": "nicer"}, columns={"only": "day=2"}))
    assert other.sha256 == again.sha256


def test_images_may_lack_a_group(folder: Path) -> None:
    table(folder, "0.png,1.png,1,p,", "2.png,1.png,0,,", header="left,right,label,left_group,right_group")
    data = load_pairs(folder)
    assert data.group is not None
    assert dict(zip(map(data.images.name, range(3)), data.group.tolist(), strict=True)) == {
        "0.png": "p",
        "1.png": "",
        "2.png": "",
    }


def test_labels_can_come_from_elsewhere_but_once(folder: Path, refusal: Refusal) -> None:
    path = table(folder, "0.png,1.png,a", "2.png,3.png,b", header="left,right,id")
    labels = table(folder, "b,0", "a,1", header="id,label", name="labels.csv")
    data = load_pairs(path, labels)
    assert data.y is not None
    assert data.y.tolist() == [1, 0]
    path = table(folder, "0.png,1.png,1")
    assert "has labels already (outcomes)" in refusal(path, labels)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ((), "left,right,label", "no judgements, only a header line; add a line for each"),
        (("0.png,1",), "left,label", "no two columns of images among 'left', 'label'; name them with `columns`"),
        (("0.png,1.png,2",), "left,right,label", "column 'label' has 2, which can be read in several ways"),
        (("0.png,1.png,3",), "left,right,label", "outcomes that are not understood: 1 ('3' in line 2); an outcome is"),
        (("0.png,1.png,",), "left,right,label", "missing outcomes: 1 (line 2)"),
        (
            ("0.png,1.png,1", "1.png,1,0"),
            "left,right,label",
            "judgements that compare an image with itself: 1 (line 3: 1.png); leave these out",
        ),
        (("0.png,1.png,a", "1.png,0.png,a"), "left,right,id", "ids that occur again: 1 ('a' in line 3)"),
        (("0.png,1.png,",), "left,right,id", "missing ids: 1 (line 2); an id occurs once"),
        (("0.png,,1",), "left,right,label", "missing right images: 1 (line 2); name both images"),
        (("0.png,none.png,1",), "left,right,label", "images that are not in"),
        (("0.png,.,1",), "left,right,label", "1 of 2 ('.'); correct the names, or name the folder of the images with"),
        (("0.png,1.png,1", f"0.png,{'n' * 300},1"), "left,right,label", "1 of 3 ('nnnn"),
        (("0.png,1.png,1", f"0.png,/{'n' * 300},1"), "left,right,label", "1 of 3 ('/nnn"),
    ],
)
def test_bad_tables_are_refused(
    folder: Path, refusal: Refusal, rows: tuple[str, ...], header: str, message: str
) -> None:
    path = table(folder, *rows, header=header)
    assert message in refusal(folder, at_fault=path)


UNREADABLE = "Images that cannot be read as PNG, JPEG, BMP, GIF, WEBP, TIFF, PPM, JPEG2000, AVIF: 1 ('odd.png': "


def png_that_claims(width: int, height: int) -> bytes:
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0), b"IDAT")
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            Image.new("I;16", (12, 10)),
            "Images with more than 8 bits in grey: 1 ('odd.png'); state the `range`",
        ),
        (b"", "Images that are empty: 1 ('odd.png'); copy or save them again"),
        (b"left,right\n", UNREADABLE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 10\n", UNREADABLE),
        (png_that_claims(12, 10), UNREADABLE),
        (png_that_claims(12_000, 10_000), UNREADABLE),
        (png_that_claims(200_000, 200_000), "Images of more than 178,956,970 pixels: 1 ('odd.png'); make them smaller"),
    ],
    ids=[
        *("16 bits", "empty", "text", "PostScript", "no pixels", "many pixels", "decompression bomb"),
    ],
)
def test_bad_images_are_refused(folder: Path, refusal: Refusal, image: Image.Image | bytes, message: str) -> None:
    if isinstance(image, bytes):
        (folder / "odd.png").write_bytes(image)
    else:
        image.save(folder / "odd.png")
    path = table(folder, "0.png,1.png,1", "2.png,odd.png,0")
    assert message in refusal(folder, at_fault=path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no table of judgements; name one, or call it pairs.csv"),
        (("a.csv", "b.csv"), "several tables (a.csv, b.csv); name one, or call it pairs.csv"),
    ],
)
def test_folders_without_one_table_are_refused(
    folder: Path, refusal: Refusal, names: tuple[str, ...], message: str
) -> None:
    for name in names:
        table(folder, "0.png,1.png,1", name=name)
    assert message in refusal(folder)


@pytest.fixture(scope="module", params=["png", "jpeg", "gif", "tiff", "webp", "bmp", "ppm"])
def damaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """An image of each format to be damaged, and its whole content."""
    folder = tmp_path_factory.mktemp(request.param)
    path = folder / f"a.{request.param}"
    Image.fromarray(RGB[0]).save(path)
    table(folder, f"{path.name},{path.name}", header="left,right")
    return path, path.read_bytes()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_images_are_refused_or_read(damaged: tuple[Path, bytes], outcome: Outcome, data: st.DataObject) -> None:
    path, whole = damaged
    content = bytearray(whole[: data.draw(st.integers(1, len(whole)), "bytes kept")])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3), "flips"):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    loaded = outcome(path.parent)
    if isinstance(loaded, str):
        assert f"'{path.name}'" in loaded
        assert len(loaded.splitlines()) == 1
        return
    np.testing.assert_array_equal(loaded.xa, loaded.xb)
    assert loaded.xa.dtype == np.uint8
