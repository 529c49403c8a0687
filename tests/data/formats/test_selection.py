from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinrank.data.formats.selection import Selection, write_selection
from twinrank.data.judgements import load_pairs


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).integers(0, 255, (6, 8, 16), np.uint8)
    np.savez_compressed(tmp_path / "pairs.npz", x=x, y=np.array([0, 1, 1, 0, 1, 0]), id=np.array(list("abcdef")))
    return tmp_path / "pairs.npz"


def select(pairs: Path, rows: list[int], path: Path) -> Path:
    write_selection(path, Selection(pairs, load_pairs(pairs).sha256, np.array(rows)))
    return path


def test_a_selection_is_read_like_any_pair_file(pairs: Path, tmp_path: Path) -> None:
    chosen = load_pairs(select(pairs, [1, 4, 5], tmp_path / "some" / "chosen.rows.npz"))
    whole = load_pairs(pairs)
    assert chosen.row_ids.tolist() == ["b", "e", "f"]
    assert np.array_equal(chosen.xa, whole.xa[[1, 4, 5]])
    assert np.array_equal(chosen.xb, whole.xb[[1, 4, 5]])
    assert chosen.y is not None
    assert chosen.y.tolist() == [1, 1, 0]
    assert chosen.path == tmp_path / "some" / "chosen.rows.npz"


def test_its_digest_is_that_of_what_is_selected(pairs: Path, tmp_path: Path) -> None:
    first = load_pairs(select(pairs, [0, 2], tmp_path / "a.rows.npz")).sha256
    assert load_pairs(select(pairs, [0, 2], tmp_path / "far" / "b.rows.npz")).sha256 == first
    assert load_pairs(select(pairs, [0, 3], tmp_path / "c.rows.npz")).sha256 != first
    assert load_pairs(pairs).sha256 != first


def test_it_may_be_moved_together_with_its_pairs(pairs: Path, tmp_path: Path) -> None:
    select(pairs, [3], tmp_path / "one.rows.npz")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("pairs.npz", "one.rows.npz"):
        (tmp_path / name).rename(moved / name)
    assert load_pairs(moved / "one.rows.npz").row_ids.tolist() == ["d"]


def test_bad_selections_are_refused(pairs: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    path = tmp_path / "bad.rows.npz"
    assert "row 6 is beyond the 6 rows" in refusal(select(pairs, [1, 6], path))
    for rows in ([2, 1], [1, 1], [-1, 2], []):
        np.savez(path, rows=np.array(rows, int), of=np.array("pairs.npz"), of_sha256=np.array("0" * 64))
        assert "'rows' must be positions" in refusal(path)
    for of, digest in (("a\0b", "0" * 64), ("", "0" * 64), ("pairs.npz", "text")):
        np.savez(path, rows=np.array([1]), of=np.array(of), of_sha256=np.array(digest))
        assert "keys 'of' and 'of_sha256' must be a path and a SHA-256" in refusal(path)
    np.savez(path, x=np.zeros((2, 8, 16), np.uint8))
    assert "not a selection of rows" in refusal(path)
    assert "select from the pair file itself" in refusal(select(pairs, [1], path) and _nested(tmp_path, path))
    select(pairs, [1], path)
    np.savez_compressed(pairs, x=np.ones((6, 8, 16), np.uint8), y=np.zeros(6, int))
    assert "has changed since its rows were selected" in refusal(path)
    pairs.unlink()
    assert "no such file" in refusal(path, at_fault=pairs)


def _nested(folder: Path, of: Path) -> Path:
    write_selection(folder / "nested.rows.npz", Selection(of, "0" * 64, np.array([0])))
    return folder / "nested.rows.npz"
