"""Which pairs go into a batch together, where images recur: few images, and many pairs among them."""

import numpy as np

IMAGES_A_PAIR = 5
"""Images of a batch are at most so many times the batch size. Pairs stored apart are two."""
_PAIRS = 20
"""Pairs of a batch are at most so many times the batch size."""
_STEPS, _FEWEST = 6, 32
"""Steps that an epoch has at least, unless that leaves a batch fewer pairs than this."""


def plan(
    left: np.ndarray, right: np.ndarray, rows: np.ndarray, batch_size: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Divide rows into batches, so that an image goes through the tower few times an epoch.

    The images are divided at random into groups. A batch has the rows between two groups, so each of its images serves
    many rows. Rows within a group go to a random batch of that group. Where such batches would hold fewer rows than the
    batch size, since images seldom recur, batches are consecutive rows.

    >>> generator = np.random.default_rng(0)
    >>> left, right = generator.integers(0, 1_500, (2, 20_000))
    >>> chunks = plan(left, right, np.arange(20_000), 128, generator)
    >>> images = [len(np.unique([left[rows], right[rows]])) for rows in chunks]
    >>> len(chunks), sum(images) < 2 * 20_000 / 5
    (10, True)

    Args:
        left: Numbers of the left images, int (N,).
        right: Numbers of the right images, int (N,).
        rows: Rows of an epoch in random order, int (R,).
        batch_size: Number of pairs of a batch, where images seldom recur.
        generator: Generator of the groups.

    Returns:
        Rows of each batch; every row once.
    """
    images, places = np.unique(np.concatenate([left[rows], right[rows]]), return_inverse=True)
    groups = -(-2 * len(images) // (IMAGES_A_PAIR * batch_size))
    blocks = max(1, groups * (groups - 1) // 2)
    most = min(_PAIRS * batch_size, max(_FEWEST, len(rows) // _STEPS))
    if len(rows) < blocks * batch_size:
        return _evenly(rows, min(batch_size, most))
    if groups == 1:
        return _evenly(rows, most)
    group = generator.permutation(len(images)) % groups
    first, second = group[places].reshape(2, -1)
    other = generator.integers(0, groups - 1, len(rows))
    second = np.where(first == second, other + (other >= first), second)
    block = np.minimum(first, second) * groups + np.maximum(first, second)
    order = np.argsort(generator.permutation(groups * groups)[block], kind="stable")
    ends = np.flatnonzero(np.diff(block[order])) + 1
    return [chunk for part in np.split(rows[order], ends) for chunk in _evenly(part, most)]


def _evenly(rows: np.ndarray, most: int) -> list[np.ndarray]:
    """Consecutive rows in parts of equal size, of ``most`` rows or fewer."""
    return np.array_split(rows, -(-len(rows) // most))
