from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.data.judgements import load_pairs

Refusal = Callable[..., str]

RNG = np.random.default_rng(0)
N = 6
Y = np.array([1, 0, 0, 1, 1, 0], np.int8)
IDS = np.array(["a", "b", "ü 3", "d", "e", "f"])


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


def saved(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


X = pixels(N, 10, 24)
XA, XB = pixels(N, 12, 9), pixels(N, 12, 9)
UNIT = RNG.random((N, 10, 24))
RGB_A, RGB_B = pixels(N, 3, 10, 14), pixels(N, 3, 10, 14)


@pytest.mark.parametrize(
    ("images", "left", "right"),
    [
        ({"x": X}, X[:, None, :, :12], X[:, None, :, 12:]),
        ({"x": np.asfortranarray(X)}, X[:, None, :, :12], X[:, None, :, 12:]),
        ({"xa": XA, "xb": XB}, XA[:, None], XB[:, None]),
        ({"xa": XA[:, None], "xb": XB[:, None]}, XA[:, None], XB[:, None]),
        ({"xa": RGB_A, "xb": RGB_B}, RGB_A, RGB_B),
    ],
    ids=["x", "Fortran order", "xa and xb (N,H,W)", "xa and xb (N,1,H,W)", "xa and xb (N,3,H,W)"],
)
def test_every_layout_gives_the_two_sides(
    tmp_path: Path, images: dict[str, np.ndarray], left: np.ndarray, right: np.ndarray
) -> None:
    data = load_pairs(saved(tmp_path / "a.npz", images | {"y": Y}))
    assert data.xa.dtype == data.xb.dtype == np.uint8
    np.testing.assert_array_equal(data.xa, left)
    np.testing.assert_array_equal(data.xb, right)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
def test_every_float_becomes_float32(tmp_path: Path, dtype: str) -> None:
    x = UNIT.astype(dtype)
    data = load_pairs(saved(tmp_path / "a.npz", {"x": x, "y": Y}))
    assert data.xa.dtype == data.xb.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(np.concatenate([data.xa, data.xb], axis=-1)[:, 0], x.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 512), (512, 8), (512, 512)])
def test_the_smallest_and_largest_sizes_load(tmp_path: Path, channels: int, height: int, width: int) -> None:
    xa, xb = pixels(2, channels, height, width), pixels(2, channels, height, width)
    data = load_pairs(saved(tmp_path / "a.npz", {"xa": xa, "xb": xb, "y": Y[:2]}))
    np.testing.assert_array_equal(data.xa, xa)
    np.testing.assert_array_equal(data.xb, xb)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", ">i4", "int64", "float16", "float64"])
def test_labels_of_any_number_type_become_int8(tmp_path: Path, dtype: str) -> None:
    data = load_pairs(saved(tmp_path / "a.npz", {"x": X, "y": Y.astype(dtype)}))
    assert data.y is not None
    assert data.y.dtype == np.int8
    np.testing.assert_array_equal(data.y, Y)
    assert data.id is None
    assert data.row_ids.tolist() == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (IDS, IDS.tolist()),
        (np.char.encode(IDS, "utf-8"), IDS.tolist()),
        (np.array([5, 4, 3, 2, 1, 10]), ["5", "4", "3", "2", "1", "10"]),
        (np.array([f" {i} " for i in range(N)]), ["0", "1", "2", "3", "4", "5"]),
    ],
    ids=["text", "bytes", "numbers", "blanks around"],
)
def test_ids_become_text(tmp_path: Path, stored: np.ndarray, read: list[str]) -> None:
    data = load_pairs(saved(tmp_path / "a.npz", {"x": X, "id": stored}))
    assert data.y is None
    assert data.id is not None
    assert data.id.dtype.kind == "U"
    assert data.row_ids.tolist() == data.id.tolist() == read


def test_labels_and_ids_together(tmp_path: Path) -> None:
    data = load_pairs(saved(tmp_path / "a.npz", {"x": X, "y": Y, "id": IDS}))
    assert data.y is not None
    assert (data.y.tolist(), data.row_ids.tolist()) == (Y.tolist(), IDS.tolist())


GOOD = {"x": X, "y": Y}
SIDES = {"xa": XA, "xb": XB, "y": Y}
VALID_KEYS = "valid keys are x, or xa and xb, with y and/or id"


def changed(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"y": Y}, f"key 'x' (or 'xa' and 'xb') is missing; {VALID_KEYS}"),
    "left images only": ({"xa": XA, "y": Y}, f"key 'xb' is missing; {VALID_KEYS}"),
    "right images only": ({"xb": XB, "y": Y}, f"key 'xa' is missing; {VALID_KEYS}"),
    "joined and apart": (GOOD | {"xa": XA}, "key 'x' together with 'xa'; give x, or xa and xb"),
    "neither labels nor ids": ({"x": X}, "keys 'y' and 'id' are both missing; add labels y (N,) of 0 and 1, or ids"),
    "unknown key": (GOOD | {"digits": Y}, f"unknown key 'digits'; remove it, {VALID_KEYS}"),
    "unknown key with a line break": (GOOD | {"d\nd": Y}, r"unknown key 'd\nd'; remove it"),
    "images of int64": (GOOD | {"x": X.astype(int)}, "key 'x' is int64; images are uint8 (0 to 255) or float (0 to 1)"),
    "images of bool": (SIDES | {"xb": XB > 9}, "key 'xb' is bool; images are uint8"),
    "images of complex": (GOOD | {"x": X + 1j}, "key 'x' is complex128; images are uint8"),
    "images of text": (GOOD | {"x": X.astype(str)}, "key 'x' is text; images are uint8"),
    "x flat": (GOOD | {"x": X.reshape(N, -1)}, "key 'x' has shape (6, 240), not (N,H,2W)"),
    "x with channels": (
        GOOD | {"x": X[:, None]},
        "has shape (6, 1, 10, 24), not (N,H,2W); for channels give xa and xb",
    ),
    "x a number": (GOOD | {"x": np.uint8(3)}, "key 'x' has shape (), not (N,H,2W)"),
    "xa of 5 axes": (SIDES | {"xa": XA[:, None, None]}, "'xa' has shape (6, 1, 1, 12, 9), not (N,H,W) or (N,C,H,W)"),
    "2 channels": (
        {"xa": RGB_A[:, :2], "xb": RGB_B[:, :2], "y": Y},
        "key 'xa' has shape (6, 2, 10, 14), 2 channels; 1 or 3 are possible",
    ),
    "channels last": (
        {"xa": RGB_A.transpose(0, 2, 3, 1), "xb": RGB_B.transpose(0, 2, 3, 1), "y": Y},
        "key 'xa' has shape (6, 10, 14, 3), 10 channels; channels come before height: transpose(0, 3, 1, 2)",
    ),
    "odd width": (GOOD | {"x": X[..., 1:]}, "key 'x' has shape (6, 10, 23), width 23 is odd; it is left and right"),
    "too low": (GOOD | {"x": X[:, :7]}, "key 'x' has images of 7 x 12 pixels; resize them, 8 to 512 are possible"),
    "too narrow": (GOOD | {"x": X[..., :14]}, "key 'x' has images of 10 x 7 pixels; resize them"),
    "too high": (GOOD | {"x": pixels(N, 513, 16)}, "key 'x' has images of 513 x 8 pixels; resize them"),
    "too wide": (GOOD | {"x": pixels(N, 8, 1026)}, "key 'x' has images of 8 x 513 pixels; resize them"),
    "no pairs": ({"x": X[:0], "y": Y[:0]}, "key 'x' has shape (0, 10, 24): no pairs"),
    "sides of different length": (SIDES | {"xb": XB[:5]}, "'xa' has 6 images and 'xb' 5; lengths must be the same"),
    "sides of different size": (
        SIDES | {"xb": pixels(N, 12, 10)},
        "'xa' is uint8 (6, 12, 9) and 'xb' uint8 (6, 12, 10); they must be the same",
    ),
    "sides of different type": (
        SIDES | {"xb": XB.astype(np.float32) / 255},
        "'xa' is uint8 (6, 12, 9) and 'xb' float32 (6, 12, 9); they must be the same",
    ),
    "too few labels": (GOOD | {"y": Y[:4]}, "'y' has 4 rows and 'x' 6; lengths must be the same"),
    "too many ids": (SIDES | {"id": np.arange(7)}, "'id' has 7 rows and 'xa' 6; lengths must be the same"),
    "labels in a column": (GOOD | {"y": Y[:, None]}, "key 'y' has shape (6, 1), not (N,)"),
    "one label for all": (GOOD | {"y": np.int8(1)}, "key 'y' has shape (), not (N,)"),
    "labels of text": (GOOD | {"y": Y.astype(str)}, "key 'y' is text; labels are numbers, 0 and 1"),
    "label 2": (GOOD | {"y": changed(Y, 3, 2)}, "key 'y' has labels other than 0 and 1 (2 in row 3); 1 is left ranks"),
    "labels -1 and 1": (GOOD | {"y": 2 * Y - 1}, "labels other than 0 and 1 (-1 in row 1, -1 in row 2, -1 in row 5)"),
    "label one half": (GOOD | {"y": changed(Y.astype(float), 0, 0.5)}, "other than 0 and 1 (0.5 in row 0)"),
    "label NaN": (GOOD | {"y": changed(Y.astype(float), 5, np.nan)}, "other than 0 and 1 (nan in row 5)"),
    "label infinite": (GOOD | {"y": changed(Y.astype(float), 5, np.inf)}, "other than 0 and 1 (inf in row 5)"),
    "many bad labels": (GOOD | {"y": Y + 5}, "(6 in row 0, 5 in row 1, 5 in row 2 and 3 more)"),
    "ids twice": (
        GOOD | {"id": changed(IDS, 4, "a")},
        "key 'id' has ids that occur again: 1 ('a' in row 4); every row needs an id of its own",
    ),
    "ids missing": (GOOD | {"id": changed(IDS, 4, " ")}, "key 'id' has missing ids: 1 (row 4); every row needs an id"),
    "ids of float": (GOOD | {"id": np.arange(6.0)}, "key 'id' is float64; ids are text or whole numbers"),
    "ids in Latin-1": (
        GOOD | {"id": np.array([i.encode("latin-1") for i in IDS])},
        "key 'id' has text that is not Unicode",
    ),
    "ids of half characters": (GOOD | {"id": changed(IDS, 4, "\ud800")}, "save it as UTF-8 or numpy str"),
    "ids beyond Unicode": (
        GOOD | {"id": np.array([0x7FFFFFFF + i for i in range(N)], "<u4").view("<U1")},
        "save it as UTF-8 or numpy str",
    ),
    "objects as images": (GOOD | {"x": X.astype(object)}, "key 'x' holds pickled objects, which are never loaded"),
    "objects as labels": (GOOD | {"y": Y.astype(object)}, "key 'y' holds pickled objects, which are never loaded"),
    "objects as ids": (GOOD | {"id": IDS.astype(object)}, "for example ids as id.astype(str)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arrays_are_refused(tmp_path: Path, refusal: Refusal, case: str) -> None:
    arrays, message = REFUSED[case]
    assert message in refusal(saved(tmp_path / "bad.npz", arrays))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "key 'xb' has NaN or infinity, first in row 2; remove or repair such pairs"),
        (np.inf, "key 'xb' has NaN or infinity, first in row 2"),
        (-np.inf, "key 'xb' has NaN or infinity, first in row 2"),
        (255.0, "to 255; floats are 0 to 1, divide by 255 or clip"),
        (-0.5, "from -0.5 to"),
    ],
)
def test_floats_out_of_range_are_refused(
    tmp_path: Path, refusal: Refusal, dtype: str, value: float, message: str
) -> None:
    xb = changed(UNIT.astype(dtype), (2, 0, 3), value)
    assert message in refusal(saved(tmp_path / "bad.npz", {"xa": UNIT.astype(dtype), "xb": xb, "y": Y}))
