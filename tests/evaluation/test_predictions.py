import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions


def some(**changed: Any) -> Predictions:
    arrays: dict[str, Any] = {
        "id": np.array(["PUB_0000000", "PUB_0000001", "ü 3"]),
        "logit": np.array([0.5, -2.0, 1e-3], np.float32),
        "y": np.array([1, 0, 0], np.int8),
        "levels_a": np.log(np.full((3, 4), 0.25, np.float32)),
        "levels_b": np.log(np.full((3, 4), 0.25, np.float32)),
        "meta": {"data": {"path": "test.npz", "sha256": "ab", "n": 3}, "used": [], "note": "“quoted” $x$"},
    }
    return Predictions(**arrays | changed)


PEOPLE = {
    "y": np.array([1, 0.5, 0.25], np.float32),
    "images": np.array([[5, 7], [7, 2**62], [-1, 5]]),
    "tie": np.array([False, True, False]),
    "weight": np.array([1, 1, 4], np.float32),
    "rater": np.array(["ann", "bob", "ann"]),
    "seen": np.array([[True, False], [False, False], [True, True]]),
}
"""What people said, and what training used."""


@pytest.mark.parametrize("changed", [{}, {"y": None}, {"levels_a": None, "levels_b": None}, {"meta": {}}, PEOPLE])
def test_what_is_saved_is_loaded(tmp_path: Path, changed: dict[str, Any]) -> None:
    path, saved = tmp_path / "new" / "test.npz", some(**changed)
    saved.save(path)
    loaded = Predictions.load(path)
    assert loaded.meta == saved.meta
    for name in ("id", "logit", "y", "levels_a", "levels_b", *PEOPLE):
        before, after = getattr(saved, name), getattr(loaded, name)
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(after, before)
            assert after.dtype == before.dtype


def test_the_same_predictions_are_the_same_bytes(tmp_path: Path) -> None:
    some().save(tmp_path / "a.npz")
    some().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_arrays_are_brought_to_their_types() -> None:
    made = some(id=np.array([7, 8, 9]), logit=[1, 2, 3], y=np.array([True, False, True]))
    assert [made.id.dtype.kind, made.logit.dtype, made.y is not None and made.y.dtype] == ["U", np.float32, np.int8]
    assert len(made) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logit": np.zeros(2)}, "'logit' has shape"),
        ({"y": np.array([0, 1])}, "'y' has shape"),
        ({"y": np.array([0, 1, 256])}, "labels other than 0 and 1"),
        ({"y": np.array([0, 0.5, 1.5])}, "labels other than 0 and 1"),
        ({"y": np.array([0, 0.5, np.nan])}, "labels other than 0 and 1"),
        ({"weight": np.array([1, 0, 1])}, "'weight' has values"),
        ({"images": np.zeros((3, 3))}, "'images' has shape"),
        ({"id": np.array(["a", "b", "a"])}, "row id 'a' occurs 2 times"),
        ({"levels_b": None}, "come together"),
        ({"levels_b": np.zeros((3, 5))}, "have shapes"),
        ({"levels_a": np.zeros((2, 4)), "levels_b": np.zeros((2, 4))}, "have shapes"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        some(**changed)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"val\.npz: no such file"):
        Predictions.load(tmp_path / "val.npz")


def test_a_cut_or_changed_file_is_refused(tmp_path: Path) -> None:
    some().save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    middle = len(whole) // 8
    for damaged in (b"", b"text", whole[:-30], whole[:middle], whole[:middle] + b"\0" * 40 + whole[middle + 40 :]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged\.npz: "):
            Predictions.load(path)


def test_another_npy_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="not an NPZ file"):
        Predictions.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logit": None}, "key 'logit' is missing"),
        ({"meta": None}, "key 'meta' is missing"),
        ({"meta": np.array("{")}, "'meta': not valid JSON"),
        ({"meta": np.array("[]")}, "must be a JSON object"),
        ({"logit": np.array([1, 2])}, "'logit' is int64, not floating-point"),
        ({"logit": np.zeros(5)}, "'logit' has shape"),
        ({"id": np.array(["a", {}], object)}, "pickled objects"),
    ],
)
def test_files_of_other_content_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    arrays = {"id": np.array(["a", "b"]), "logit": np.zeros(2), "meta": np.array(json.dumps({}))} | changed
    path = tmp_path / "odd.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(InputError, match=message) as caught:
        Predictions.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
