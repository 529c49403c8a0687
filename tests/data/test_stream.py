import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from twinrank.core import memory
from twinrank.data.formats import pair_arrays
from twinrank.data.formats.selection import Selection, write_selection
from twinrank.data.inputs import require_other_files
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.stream import stream_pairs
from twinrank.errors import InputError

Refusal = Callable[..., str]

RNG = np.random.default_rng(0)
N = 11
UNIT = RNG.random((N, 8, 16))
X = (255 * UNIT).astype(np.uint8)
IDS = np.array([f"ü{row}" for row in range(N)])


def saved(path: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(path, **arrays)


def chunks_of(path: Path, rows: int | None = None) -> list[Judgements]:
    with stream_pairs(path, rows) as stream:
        chunks = list(stream.chunks)
        assert sum(map(len, chunks)) == stream.pairs
    return chunks


def streaming_refused(path: Path, rows: int) -> str:
    with pytest.raises(InputError) as caught:
        chunks_of(path, rows)
    return str(caught.value)


def assert_same_pairs(chunks: list[Judgements], whole: Judgements) -> None:
    for side in ("xa", "xb"):
        parts = [getattr(chunk, side) for chunk in chunks]
        assert {part.dtype for part in parts} == {getattr(whole, side).dtype}
        np.testing.assert_array_equal(np.concatenate(parts), getattr(whole, side))
    np.testing.assert_array_equal(np.concatenate([chunk.row_ids for chunk in chunks]), whole.row_ids)
    assert {(chunk.y, chunk.path, chunk.sha256) for chunk in chunks} == {(None, whole.path, whole.sha256)}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream") / "pairs.npz"


@settings(max_examples=80)
@given(
    pairs=st.integers(1, 40),
    rows=st.integers(1, 45),
    dtype=st.sampled_from(["|u1", "<f2", ">f2", "<f4", ">f4", "<f8"]),
    shape=st.sampled_from([(8, 16), (9, 20), (1, 8, 11), (3, 8, 11)]),
    apart=st.booleans(),
    columns=st.sampled_from(["y", "id", "y id"]),
    order=st.sampled_from(["C", "F"]),
    save=st.sampled_from([np.savez, np.savez_compressed]),
)
def test_chunks_together_are_the_loaded_pairs(
    scratch: Path,
    pairs: int,
    rows: int,
    dtype: str,
    shape: tuple[int, ...],
    apart: bool,
    columns: str,
    order: Any,
    save: Callable[..., None],
) -> None:
    images = np.random.default_rng(pairs).random((2, pairs, *shape))
    images = (images * (255 if dtype == "|u1" else 1)).astype(dtype)
    joined = not apart and len(shape) == 2
    sides = {"x": images[0]} if joined else {"xa": images[0], "xb": images[1]}
    # One side in another order than the other is no reason to refuse them.
    stored = {key: np.array(side, order=order if key != "xa" else "C") for key, side in sides.items()}
    every = {"y": np.arange(pairs) % 2, "id": np.array([f" {row:x}_" for row in range(pairs)])}
    save(scratch, **stored, **{key: every[key] for key in columns.split()})
    chunks = chunks_of(scratch, rows)
    assert {len(chunk) for chunk in chunks[:-1]} <= {rows}
    assert_same_pairs(chunks, load_pairs(scratch))


def changed(array: np.ndarray, *changes: tuple[Any, Any]) -> np.ndarray:
    array = array.copy()
    for index, value in changes:
        array[index] = value
    return array


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "NaN late": ({"x": changed(UNIT, (9, np.nan), ((10, 3), np.inf))}, "'x' has NaN or infinity, first in row 9;"),
    "infinity late": ({"xa": UNIT, "xb": changed(UNIT, ((10, 7, 1), -np.inf))}, "'xb' has NaN or infinity, first in"),
    "range first, NaN late": ({"x": changed(UNIT, (0, 7), (8, np.nan))}, "has NaN or infinity, first in row 8"),
    "range over the file": ({"x": changed(UNIT, (2, -3), (9, 255))}, "'x' is float64 from -3 to 255; floats are"),
    "range of the right side first": (
        {"xa": changed(UNIT, (10, 2)), "xb": changed(UNIT, (0, 9))},
        "key 'xa' is float64 from",
    ),
    "big-endian": ({"x": changed(UNIT.astype(">f4"), (5, 2))}, "key 'x' is >f4 from"),
    "Fortran order": ({"x": np.asfortranarray(changed(UNIT, (7, np.nan)))}, "first in row 7"),
    "ids twice": ({"x": X, "id": changed(IDS, (10, "ü1"))}, "ids that occur again: 1 ('ü1' in row 10)"),
    "ids missing": ({"x": X, "id": changed(IDS, (9, " "))}, "missing ids: 1 (row 9)"),
    "both": ({"x": changed(UNIT, (0, 7)), "id": changed(IDS, (9, ""))}, "missing ids: 1 (row 9)"),
    "lengths": ({"x": X, "y": np.zeros(3)}, "'y' has 3 rows and 'x' 11; lengths must be the same"),
    "a size": ({"x": X[:, :7]}, "images of 7 x 8 pixels"),
    "a type": ({"x": X.astype(int)}, "key 'x' is int64"),
    "sides": ({"xa": X, "xb": UNIT}, "'xa' is uint8 (11, 8, 16) and 'xb' float64 (11, 8, 16); they must be the same"),
    "objects": ({"x": X, "id": IDS.astype(object)}, "holds pickled objects"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("rows", [1, 4, 50])
def test_what_is_refused_is_refused_with_the_same_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: Refusal, case: str, rows: int
) -> None:
    monkeypatch.setattr(pair_arrays, "_CHECKED_BYTES", 3 * UNIT[0].nbytes)
    arrays, message = REFUSED[case]
    saved(tmp_path / "bad.npz", {"y": np.zeros(N, int)} | arrays)
    line = refusal(tmp_path / "bad.npz")
    assert message in line
    assert streaming_refused(tmp_path / "bad.npz", rows) == line


def test_what_needs_no_images_is_checked_before_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, x=X, id=changed(IDS, (10, "")))
    with pytest.raises(InputError, match="missing ids"), stream_pairs(path, 2):
        pytest.fail("it was opened")
    np.savez(path, x=changed(UNIT, (9, np.nan)), id=IDS)
    given: list[int] = []
    with pytest.raises(InputError, match="row 9"), stream_pairs(path, 2) as stream:
        given.extend(len(chunk) for chunk in stream.chunks)
    assert given == [2, 2, 2, 2]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_in_the_images_is_refused(tmp_path: Path, refusal: Refusal, save: Callable[..., None]) -> None:
    path = tmp_path / "bad.npz"
    save(path, xa=UNIT, xb=UNIT[::-1], y=np.zeros(N, int))
    content = bytearray(path.read_bytes())
    content[content.index(b"xb.npy") + 5000] ^= 1
    path.write_bytes(content)
    line = refusal(path)
    assert "key 'xb' cannot be read (" in line
    assert streaming_refused(path, 3) == line


@settings(max_examples=150)
@given(data=st.data())
def test_changed_bytes_are_refused_or_change_nothing(scratch: Path, data: st.DataObject) -> None:
    np.savez_compressed(scratch, x=X, id=IDS)
    content = bytearray(scratch.read_bytes())
    for place in data.draw(st.sets(st.integers(0, len(content) - 1), min_size=1, max_size=3), "places"):
        content[place] ^= data.draw(st.integers(1, 255), "bits")
    scratch.write_bytes(content)
    try:
        chunks, message = chunks_of(scratch, 4), None
    except InputError as error:
        chunks, message = [], str(error)
    if message is None:
        np.testing.assert_array_equal(np.concatenate([chunk.xb for chunk in chunks])[:, 0], X[..., 8:])
        np.testing.assert_array_equal(np.concatenate([chunk.row_ids for chunk in chunks]), IDS)
    else:
        assert message.startswith(f"{scratch}: ")
        assert len(message.splitlines()) == 1


def test_neither_labels_nor_ids_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "bare.npz"
    np.savez(path, x=X)
    with pytest.raises(InputError, match="keys 'y' and 'id' are both missing"):
        load_pairs(path)
    assert [chunk.row_ids.tolist() for chunk in chunks_of(path, 5)] == [
        ["0", "1", "2", "3", "4"],
        ["5", "6", "7", "8", "9"],
        ["10"],
    ]


def test_labels_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    (tmp_path / "a_labels.csv").write_text("no labels at all")
    for labels in ({"y": np.full(N, -1)}, {"id": IDS}):
        saved(path, {"x": X} | labels)
        with pytest.raises(InputError):
            load_pairs(path)
        assert [chunk.y for chunk in chunks_of(path, 6)] == [None, None]


def test_memory_is_that_of_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    np.savez_compressed(path, x=np.zeros((20_000, 28, 56), np.uint8))
    tracemalloc.start()
    try:
        with stream_pairs(path, 2000) as stream:
            assert sum(len(chunk) for chunk in stream.chunks) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 2000 * 28 * 56


def test_only_what_is_needed_must_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: Refusal) -> None:
    path, float32 = tmp_path / "a.npz", np.zeros((1000, 28, 56), np.float32)
    chunk = 2 * 10 * 28 * 56 * 4
    monkeypatch.setattr(memory, "available_memory", lambda: chunk)
    np.savez_compressed(path, x=float32, y=np.zeros(1000))
    assert "split the file" in refusal(path)
    assert len(chunks_of(path, 10)) == 100
    assert f"loading needs {11 * chunk // 10:,} bytes of memory and" in streaming_refused(path, 11)
    np.savez_compressed(path, x=np.asfortranarray(float32))
    assert f"loading needs {float32.nbytes + chunk:,} bytes" in streaming_refused(path, 10)
    np.savez_compressed(path, x=float32, id=np.arange(1000))
    assert f"loading needs {chunk + 1000 * (6 * 8 + 200):,} bytes" in streaming_refused(path, 10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(folder / f"{number}.png")
    lines = [f"{row}.png,{(row + 1) % N}.png,{row % 2},{row_id}" for row, row_id in enumerate(IDS)]
    (folder / "pairs.csv").write_text("\n".join(["left,right,label,id", *lines]))
    return folder


def test_folders_and_tables_are_streamed_like_the_rest(folder: Path) -> None:
    for path in (folder, folder / "pairs.csv"):
        assert_same_pairs(chunks_of(path, 4), load_pairs(path))


def selections(folder: Path) -> Iterator[tuple[Path, Path]]:
    np.savez(folder / "a.npz", x=X, y=np.zeros(N, int))
    for of in (folder / "a.npz", folder / "pairs.csv", folder):
        path = folder / "some.rows.npz"
        write_selection(path, Selection(of, load_pairs(of).sha256, np.array([1, 4, 5, 10])))
        yield path, of


def test_selections_are_streamed_like_the_rest(folder: Path) -> None:
    for path, of in selections(folder):
        assert_same_pairs(chunks_of(path, 3), load_pairs(path))
        for file in (path, folder / "pairs.csv" if of == folder else of):
            with pytest.raises(InputError, match="one of the files that are read"):
                require_other_files([file], path)
        require_other_files([folder / "other.csv"], path)


def test_a_selection_of_bare_images_needs_no_labels_either(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    (chunk,) = chunks_of(tmp_path / "a.npz", 100)
    write_selection(tmp_path / "a.rows.npz", Selection(tmp_path / "a.npz", chunk.sha256, np.array([2, 9])))
    assert [chunk.row_ids.tolist() for chunk in chunks_of(tmp_path / "a.rows.npz", 1)] == [["2"], ["9"]]


@pytest.mark.parametrize("name", ["none.npz", "none.csv", "none.rows.npz", "n" * 300])
def test_a_path_that_cannot_be_read(tmp_path: Path, refusal: Refusal, name: str) -> None:
    assert streaming_refused(tmp_path / name, 1) == refusal(tmp_path / name)
