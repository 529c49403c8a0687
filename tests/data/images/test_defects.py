from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.images.conftest import PIXELS, Opened, pixels_of, save

from twinrank.data.images.store import ImageStore
from twinrank.errors import InputError


def break_some(folder: Path) -> None:
    (folder / "left" / "01.png").write_bytes((folder / "left" / "01.png").read_bytes()[:300])
    (folder / "left" / "02.png").write_bytes(b"left,right\n")
    pages = [Image.new("L", (24, 16), page) for page in range(5)]
    pages[0].save(folder / "right" / "stack.tif", save_all=True, append_images=pages[1:])
    for number in range(4):
        Image.fromarray(np.full((16, 24), 300 + number, np.uint16)).save(folder / "right" / f"deep{number}.png")
    values = np.full((16, 24), np.nan, np.float32)
    values[0, 0] = 7
    Image.fromarray(values).save(folder / "right" / "nan.tif")
    (folder / "right" / "gone.png").symlink_to("nowhere.png")


def test_all_unusable_images_are_named_at_once(folder: Path, counts: Opened) -> None:
    break_some(folder)
    with pytest.raises(InputError) as caught:
        ImageStore.from_folder(folder)
    line = str(caught.value)
    assert line.startswith(f"{folder}: 9 images of 27 cannot be used. Images ")
    assert "that cannot be read as PNG, JPEG" in line
    assert ": 2 ('left/01.png': " in line
    assert "'left/02.png': of another kind, or damaged" in line
    assert (
        "of several pages or frames: 1 ('right/stack.tif': 5); choose one with `page`, from 0, when you fit or" in line
    )
    assert (
        "with more than 8 bits in grey: 4 ('right/deep0.png', 'right/deep1.png', 'right/deep2.png', 'right/deep3.png');"
        " state the `range` of values that become black and white when you fit or train, or save them with 8 bits;"
        " their values are 300 to 303" in line
    )
    assert "with values that are no numbers (NaN): 1 ('right/nan.tif'); save them again without" in line
    assert "that do not exist: 1 ('right/gone.png'); check their paths" in line
    # What could be used is not decoded again.
    for path in [*folder.glob("right/[dsgn]*"), folder / "left" / "02.png"]:
        path.unlink()
    save(folder / "left" / "01.png", PIXELS[1])
    counts.since()
    store = ImageStore.from_folder(folder)
    assert counts.since() == (1, 2)
    np.testing.assert_array_equal(pixels_of(store), np.delete(PIXELS, 2, 0))


def test_up_to_twenty_are_named(tmp_path: Path) -> None:
    for number in range(23):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"" if number < 22 else b"text")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(InputError) as caught:
        ImageStore.from_folder(tmp_path)
    assert "that are empty: 22 ('00.jpg', '01.jpg', '02.jpg', " in str(caught.value)
    assert "'19.jpg' and 2 more); copy or save them again. Images that cannot be read as PNG" in str(caught.value)
    assert ": 2 ('22.jpg': of another kind, or damaged, 'IMG_1.HEIC': of another kind, or damaged)" in str(caught.value)


def test_images_in_words(folder: Path) -> None:
    assert ImageStore.from_folder(folder).described == "20 images, RGB, 16 x 24 pixels"
    save(folder / "odd.png", PIXELS[0, :, :9])
    assert ImageStore.from_folder(folder).described == ("21 images, RGB, 128 x 128 pixels; 21 of another size (resize)")


def test_where_nothing_can_be_used_nothing_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 image of 1 cannot be used\. Images that are empty: 1"):
        ImageStore.from_folder(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("left,right\n")
    (tmp_path / "._a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"no image in it; images end in \.png, "):
        ImageStore.from_folder(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        ImageStore.from_folder(tmp_path / "none")
    with pytest.raises(InputError, match="is no folder; give a folder of images"):
        ImageStore.from_folder(tmp_path / "votes.csv")
