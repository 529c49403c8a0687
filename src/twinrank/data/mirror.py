"""Rows with their images swapped, where the image that ranks higher stands mostly on one side."""

from dataclasses import replace

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.data.balance import label_imbalance
from twinrank.data.judgements import Judgements


def uneven_sides(data: Judgements) -> str | None:
    """How the labels of decided rows are uneven, for a message; None if they are even, or nothing is decided.

    Args:
        data: Labelled pairs.
    """
    assert data.y is not None
    decided = data.y[data.decided] > 0.5
    return label_imbalance(decided.astype(np.int64)) if len(decided) else None


def mirrored_at_random(data: Judgements, seed: int) -> tuple[Judgements, np.ndarray]:
    """The same pairs with a random half of the rows mirrored: images swapped, and the label for the other side.

    Ids and digest stay, since the file is the same.

    Args:
        data: N labelled pairs.
        seed: Seed of the choice.

    Returns:
        The pairs, and which of them are mirrored, bool (N,).
    """
    assert data.y is not None
    # Exactly a half, so that the labels of one-sided rows become even.
    chosen = np.zeros(len(data), bool)
    chosen[numpy_generator(seed, "mirror").permutation(len(data))[: len(data) // 2]] = True
    left, right = np.where(chosen, (data.right, data.left), (data.left, data.right))
    y = np.where(chosen, 1 - data.y, data.y).astype(data.y.dtype)
    return replace(data, left=left, right=right, y=y), chosen
