"""Boosted trees as arrays of numbers, which are checked and evaluated here.

LightGBM grows the trees. Its parser of trees is not memory-safe, so it never gets text from a file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from twinrank.errors import InputError

Source = TypeVar("Source")
Number = TypeVar("Number", int, float)

_DEFAULT_LEFT, _MISSING = 2, 12
_MISSING_ZERO, _MISSING_NAN = 4, 8
_ZERO = float(np.float32(1e-35))
"""LightGBM takes values of at most this size for 0."""
_INTEGERS = {"split_feature": "feature", "decision_type": "decision", "left_child": "left", "right_child": "right"}
_FLOATS = {"threshold": "threshold", "leaf_value": "value"}


class TreeState(msgspec.Struct):
    """A tree with L leaves as JSON values.

    Attributes:
        feature: Feature of each of the L - 1 splits.
        threshold: Largest value that goes left, of each split.
        decision: LightGBM's decision type of each split: 2 if missing values go left, plus 4 if zeros are missing
            values, or 8 if NaN is.
        left: Left child of each split: a split, or -1 - leaf.
        right: Right child of each split.
        value: Value of each leaf.
    """

    feature: list[int]
    threshold: list[float]
    decision: list[int]
    left: list[int]
    right: list[int]
    value: list[float]


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree with L leaves, whose splits point to later splits alone.

    Attributes:
        feature: Feature of each split, int64 (L - 1,).
        threshold: Largest value that goes left, float64 (L - 1,).
        decision: LightGBM's decision types, int64 (L - 1,), see :class:`TreeState`.
        left: Left children, int64 (L - 1,).
        right: Right children, int64 (L - 1,).
        value: Values of the leaves, float64 (L,).

    Raises:
        InputError: The arrays are not those of a tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray

    def __post_init__(self) -> None:
        splits = len(self.value) - 1
        arrays = (self.feature, self.threshold, self.decision, self.left, self.right)
        if splits < 0 or any(array.shape != (splits,) for array in arrays):
            raise InputError("its arrays have lengths that no tree has")
        if not (np.isfinite(self.threshold).all() and np.isfinite(self.value).all()):
            raise InputError("a threshold or a value is not finite")
        if (self.feature < 0).any():
            raise InputError("a feature is below 0")
        known = _DEFAULT_LEFT | _MISSING
        if ((self.decision & ~known) != 0).any() or ((self.decision & _MISSING) == _MISSING).any():
            raise InputError("a decision type is unknown")
        children = np.concatenate([self.left, self.right])
        # Every leaf, and every split but the first, is the child of one earlier split. So there is no way round.
        expected = [*range(-len(self.value), 0), *range(1, splits)] if splits else []
        if sorted(children.tolist()) != expected:
            raise InputError("its splits do not make a tree")
        if ((children >= 0) & (children <= np.tile(np.arange(splits), 2))).any():
            raise InputError("a split points back")

    @classmethod
    def from_state(cls, state: TreeState) -> "Tree":
        """A tree from JSON values.

        Raises:
            InputError: The values are not those of a tree.
        """
        try:
            integers = {key: np.array(getattr(state, key), np.int64) for key in _INTEGERS.values()}
        except OverflowError as error:
            raise InputError("a number is too large") from error
        floats = {key: np.array(getattr(state, key), np.float64) for key in _FLOATS.values()}
        return cls(**integers, **floats)

    def state(self) -> dict[str, list[Any]]:
        """The tree as JSON values, which :class:`TreeState` takes."""
        return {name: getattr(self, name).tolist() for name in TreeState.__struct_fields__}

    def add_to(self, total: np.ndarray, columns: np.ndarray) -> None:
        """Add the value of each row's leaf.

        Args:
            total: Sums, float64 (N,), which are changed.
            columns: Features, float64 (F, N).
        """
        if len(self.value) == 1:
            total += self.value[0]
            return
        waiting = [(0, np.arange(len(total)))]
        while waiting:
            node, rows = waiting.pop()
            if node < 0:
                total[rows] += self.value[-1 - node]
                continue
            left = self._goes_left(node, columns[self.feature[node], rows])
            waiting += [(int(self.left[node]), rows[left]), (int(self.right[node]), rows[~left])]

    def _goes_left(self, node: int, values: np.ndarray) -> np.ndarray:
        decision, missing = int(self.decision[node]), int(self.decision[node]) & _MISSING
        unknown = np.isnan(values)
        known = np.where(unknown, 0.0, values)
        left = known <= self.threshold[node]
        default = bool(decision & _DEFAULT_LEFT)
        if missing == _MISSING_NAN:
            return np.where(unknown, default, left)
        return np.where(np.abs(known) <= _ZERO, default, left) if missing == _MISSING_ZERO else left


@dataclass(frozen=True, eq=False)
class Trees:
    """Boosted trees.

    Attributes:
        trees: Trees in the order in which they were grown.
    """

    trees: tuple[Tree, ...]

    def score(self, features: np.ndarray) -> np.ndarray:
        """Sum of the trees' values, float64 (N,), to the bit what LightGBM's raw score is.

        Args:
            features: Features, float64 (N, F).

        Raises:
            InputError: A tree takes a feature that the rows do not have.
        """
        # As LightGBM reads rows: tiny values are 0.
        columns = np.where(np.abs(features) <= _ZERO, 0.0, features).T.copy()
        total = np.zeros(len(features))
        for number, tree in enumerate(self.trees):
            if len(tree.feature) and tree.feature.max() >= len(columns):
                raise InputError(
                    f"tree {number} takes feature {tree.feature.max()}, but there are {len(columns)}; stack again"
                )
            tree.add_to(total, columns)
        return total


def trees_from_states(states: list[TreeState]) -> Trees:
    """Trees from JSON values.

    Raises:
        InputError: One is not a tree.
    """
    return Trees(tuple(_numbered(number, Tree.from_state, state) for number, state in enumerate(states)))


def trees_from_text(text: str) -> Trees:
    """Trees from the text that LightGBM writes of a model, read strictly.

    Args:
        text: Text of a model for one output.

    Raises:
        InputError: The text is not that of such a model.
    """
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    values = _values(head)
    if not head.startswith("tree\n") or values.get("num_tree_per_iteration") != "1" or "average_output" in values:
        raise InputError("not the text of LightGBM's boosted trees for one output")
    return Trees(tuple(_numbered(number, _parsed, f"Tree={block}") for number, block in enumerate(blocks)))


def _parsed(block: str) -> Tree:
    values = _values(block)
    if values.get("num_cat", "0") != "0" or values.get("is_linear", "0") != "0":
        raise InputError("it has categories or linear leaves")
    try:
        integers = {name: np.array(_numbers(values, key, int), np.int64) for key, name in _INTEGERS.items()}
        floats = {name: np.array(_numbers(values, key, float), np.float64) for key, name in _FLOATS.items()}
        leaves = int(values["num_leaves"])
    except (KeyError, ValueError, OverflowError) as error:
        raise InputError(f"a value is missing or is no number ({error})") from error
    # A split of NaN from all else has an infinite threshold; JSON has no infinity, and no finite number lies between.
    floats["threshold"][floats["threshold"] == np.inf] = np.finfo(np.float64).max
    if leaves != len(floats["value"]):
        raise InputError(f"it has {len(floats['value'])} leaves, not {leaves}")
    return Tree(**integers, **floats)


def _values(block: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in block.splitlines())}


def _numbers(values: dict[str, str], key: str, kind: Callable[[str], Number]) -> list[Number]:
    # A tree of one leaf has no splits.
    text = values.get(key, "") if values["num_leaves"] == "1" else values[key]
    return [kind(each) for each in text.split()]


def _numbered(number: int, make: Callable[[Source], Tree], source: Source) -> Tree:
    try:
        return make(source)
    except InputError as error:
        raise InputError(f"tree {number}: {error}") from error
