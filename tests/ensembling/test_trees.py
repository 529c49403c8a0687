import json
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest

from twinrank.ensembling.fitted import Boosted, restore
from twinrank.ensembling.trees import Tree, Trees, TreeState, trees_from_states, trees_from_text
from twinrank.errors import InputError

STACK = Path(__file__).parents[2] / "results" / "stack"
STUMP: dict[str, Any] = {
    "feature": [0],
    "threshold": [0.5],
    "decision": [2],
    "left": [-1],
    "right": [-2],
    "value": [1.0, 2.0],
}


def state(values: dict[str, Any], **changes: Any) -> TreeState:
    changed: dict[str, Any] = {**values, **changes}
    return TreeState(**changed)


def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
    x = rng.normal(size=(rows, 6))
    x[rng.random(x.shape) < 0.1] = 0
    x[:, 3] = np.round(x[:, 3])
    x[: rows // 20] *= 1e-35
    return x


def grown(**values: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(0)
    x = draw(rng, 800)
    x[rng.random(x.shape) < 0.05] = np.nan
    y = (np.nansum(x, 1) + rng.normal(size=len(x)) > 0).astype(int)
    return lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1} | values, lightgbm.Dataset(x, y), 30
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"monotone_constraints": [1, 1, 0, 0, 0, 0]},
        {"num_leaves": 4, "min_data_in_leaf": 5},
        {"min_data_in_leaf": 800},
    ],
)
def test_scores_are_those_of_lightgbm_to_the_bit(values: dict[str, Any]) -> None:
    booster, rng = grown(**values), np.random.default_rng(1)
    x = draw(rng, 1_000)
    x[rng.random(x.shape) < 0.05] = np.nan
    trees = trees_from_text(booster.model_to_string())
    expected = np.asarray(booster.predict(x, raw_score=True, num_threads=1))
    assert np.array_equal(trees.score(x), expected)
    kept = json.loads(json.dumps([tree.state() for tree in trees.trees], allow_nan=False))
    again = trees_from_states(msgspec.convert(kept, list[TreeState]))
    assert np.array_equal(again.score(x), expected)


def test_the_text_of_older_stacks_is_read() -> None:
    states = json.loads((STACK / "learners.json").read_text())
    restored = restore(states["lightgbm"], "learners.json", 10)
    assert isinstance(restored, Boosted)
    booster = lightgbm.Booster(model_str=states["lightgbm"]["model"])
    x = np.random.default_rng(0).normal(size=(200, booster.num_feature()))
    assert np.array_equal(restored.trees.score(x), np.asarray(booster.predict(x, raw_score=True, num_threads=1)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"left": [0]}, "its splits do not make a tree"),
        ({"left": [-3]}, "its splits do not make a tree"),
        ({"left": [-1], "right": [-1]}, "its splits do not make a tree"),
        ({"left": [-1, -2]}, "lengths that no tree has"),
        ({"value": []}, "lengths that no tree has"),
        ({"value": [float("nan"), 1.0]}, "not finite"),
        ({"threshold": [float("inf")]}, "not finite"),
        ({"feature": [-1]}, "a feature is below 0"),
        ({"feature": [2**70]}, "a number is too large"),
        ({"decision": [1]}, "a decision type is unknown"),
        ({"decision": [12]}, "a decision type is unknown"),
    ],
)
def test_what_is_no_tree_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=f"tree 1: .*{why}"):
        trees_from_states([state(STUMP), state(STUMP, **change)])


def test_trees_that_go_round_or_ask_for_missing_features_are_refused() -> None:
    two: dict[str, Any] = {"feature": [0, 0], "threshold": [0.0, 0.0], "decision": [2, 2], "value": [1.0, 2.0, 3.0]}
    for left, right in (([1, -1], [-2, 1]), ([-1, 1], [-2, -3]), ([1, 0], [-1, -2])):
        with pytest.raises(InputError, match=r"its splits do not make a tree|points back"):
            Tree.from_state(state(two, left=left, right=right))
    with pytest.raises(InputError, match="tree 0 takes feature 9, but there are 2"):
        Trees((Tree.from_state(state(STUMP, feature=[9])),)).score(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "not the text of LightGBM's"),
        ("tree\n", "rf\n", "not the text of LightGBM's"),
        ("num_cat=0", "num_cat=1", "categories or linear leaves"),
        ("threshold=", "threshold=x ", "is no number"),
        ("left_child=", "left_child=9999999999999999999999 ", "is no number"),
        ("left_child=", "left_child=7 ", "lengths that no tree has"),
        ("num_leaves=4", "num_leaves=5", "it has 4 leaves, not 5"),
        ("split_feature=", "split=", "is no number"),
    ],
)
def test_bent_text_is_refused(old: str, new: str, why: str) -> None:
    text = grown(num_leaves=4).model_to_string()
    assert old in text
    with pytest.raises(InputError, match=why) as found:
        trees_from_text(text.replace(old, new, 1))
    assert str(found.value).count("\n") == 0
