from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinrank.data.judgements import Judgements, load_pairs
from twinrank.errors import InputError
from twinrank.reporting.pair_sheet import draw_sheet

MARK = (0xE6, 0x9F, 0x00)


def pairs(path: Path, n: int, channels: int = 1, size: tuple[int, int] = (28, 28), **columns: np.ndarray) -> Judgements:
    xa, xb = np.random.default_rng(0).integers(0, 256, (2, n, channels, *size), np.uint8)
    np.savez(path, xa=xa, xb=xb, **(columns or {"y": np.arange(n) % 2}))  # pyright: ignore[reportArgumentType]
    return load_pairs(path)


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def places(sheet: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """Where in a sheet (H, W, 3) a picture stands, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (1, picture.shape[1]))[:, :, 0]
    starts = np.argwhere((windows == picture[0, :, 0]).all(axis=-1))
    height, width = picture.shape[:2]
    return [(y, x) for y, x in starts.tolist() if np.array_equal(sheet[y : y + height, x : x + width], picture)]


def enlarged(pixels: np.ndarray, times: int) -> np.ndarray:
    """An image (C, H, W) as it stands in a sheet: (times H, times W, 3)."""
    image = np.broadcast_to(pixels.transpose(1, 2, 0), (*pixels.shape[1:], 3))
    return image.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize(("channels", "size", "times"), [(1, (28, 28), 3), (3, (28, 28), 3), (1, (8, 12), 8)])
def test_every_pixel_is_shown_and_the_mark_is_under_the_higher(
    tmp_path: Path, channels: int, size: tuple[int, int], times: int
) -> None:
    data = pairs(tmp_path / "a.npz", 5, channels, size)
    rows = draw_sheet(data, tmp_path / "sheet.png")
    sheet = drawn(tmp_path / "sheet.png")
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert data.y is not None
    for row in rows:
        for higher, pixels in ((data.y[row] == 1, data.xa[row]), (data.y[row] == 0, data.xb[row])):
            picture = enlarged(pixels, times)
            ((y, x),) = places(sheet, picture)
            below = sheet[y + len(picture) : y + len(picture) + 12, x : x + picture.shape[1]]
            assert (below == MARK).all(axis=-1).any() == higher


def test_the_same_sheet_is_the_same_bytes(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 50)
    sheets = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        draw_sheet(data, tmp_path / f"{name}.png", 10, seed)
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_rows_are_taken_at_random_once_and_in_order(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 50)
    rows = draw_sheet(data, tmp_path / "sheet.png", 20)
    assert len(rows) == 20
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 25


def test_unlabelled_pairs_have_no_mark(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 3, id=np.array(["a", "b\n漢字", "c" * 500]))
    draw_sheet(data, tmp_path / "sheet.png")
    assert not (drawn(tmp_path / "sheet.png") == MARK).all(axis=-1).any()


def test_even_votes_have_no_mark_and_shares_mark_the_majority(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 1)
    for y, marked in ((0.5, False), (0.75, True)):
        draw_sheet(replace(data, y=np.array([y], np.float32)), tmp_path / "sheet.png")
        assert (drawn(tmp_path / "sheet.png") == MARK).all(axis=-1).any() == marked


def test_large_images_are_reduced(tmp_path: Path) -> None:
    draw_sheet(pairs(tmp_path / "a.npz", 2, 3, (512, 256)), tmp_path / "sheet.png")
    height, width, _ = drawn(tmp_path / "sheet.png").shape
    assert height < 512
    assert width < 1024


def test_floats_look_like_their_8_bit_values(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 4)
    np.savez(tmp_path / "a.npz", xa=data.xa / 255, xb=data.xb / 255, y=data.y)  # pyright: ignore[reportArgumentType]
    draw_sheet(data, tmp_path / "bytes.png")
    draw_sheet(load_pairs(tmp_path / "a.npz"), tmp_path / "floats.png")
    assert (tmp_path / "bytes.png").read_bytes() == (tmp_path / "floats.png").read_bytes()


@pytest.mark.parametrize("number", [0, -1, 401])
def test_impossible_numbers_of_pairs_are_refused(tmp_path: Path, number: int) -> None:
    data = pairs(tmp_path / "a.npz", 3)
    with pytest.raises(InputError, match=f"^`pairs` is {number}; 1 to 400 are possible"):
        draw_sheet(data, tmp_path / "sheet.png", number)
    assert not (tmp_path / "sheet.png").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    data = pairs(tmp_path / "a.npz", 3)
    with pytest.raises(InputError, match="cannot be written"):
        draw_sheet(data, tmp_path / "a.npz" / "sheet.png")
