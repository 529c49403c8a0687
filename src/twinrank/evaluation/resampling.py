"""Resamples of rows; where images recur in several rows, of images."""

from collections.abc import Iterator

import numpy as np

_COUNTS_AT_ONCE = 4_000_000


def recurs(images: np.ndarray | None) -> bool:
    """Whether an image occurs in more than one row.

    Args:
        images: Numbers of the left and the right image of each row, int (N, 2); None where none recurs.
    """
    if images is None:
        return False
    once_a_row = np.concatenate([images[:, 0], images[images[:, 0] != images[:, 1], 1]])
    return len(np.unique(once_a_row)) < len(once_a_row)


def images_to_resample(images: np.ndarray | None) -> int | None:
    """Number of distinct images where one recurs, as :func:`recurs` finds it; None where rows are resampled."""
    return len(np.unique(images)) if images is not None and recurs(images) else None


def resampled_sums(rows: np.ndarray, images: np.ndarray | None, seed: int, draws: int) -> np.ndarray:
    """Column sums of resamples of the rows, or of their images where images recur: float64 (draws, C).

    Images are resampled with replacement, and a row counts as often as the product of its two images' multiplicities
    says (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1:386). A row of one image on both sides
    counts as often as that image. The variance of such a sum is the one that takes rows with a common image as
    dependent, plus twice that of independent rows. So intervals are somewhat wide where images recur seldom, and right
    where they recur often.

    Args:
        rows: Values to sum, float64 (N, C).
        images: Numbers of the images of each row, int (N, 2); None where none recurs.
        seed: Seed of the resamples.
        draws: Number of resamples. Those of images in which no row occurs are left out.
    """
    generator = np.random.default_rng(seed)
    if images is None or not recurs(images):
        return np.concatenate([counts @ rows for counts in _counts(generator, len(rows), draws, len(rows))])
    pairs, sums = pooled(rows, images)
    distinct, codes = np.unique(pairs, return_inverse=True)
    left, right = codes.reshape(-1, 2).T
    apart, drawn = left != right, []
    for counts in _counts(generator, len(distinct), draws, max(len(distinct), len(pairs))):
        times = counts[:, left] * np.where(apart, counts[:, right], 1)
        drawn.append(times[times.any(1)] @ sums)
    return np.concatenate(drawn)


def pooled(rows: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the rows of each pair of images, in whatever order the two stand.

    Args:
        rows: Values to sum, float64 (N, C).
        images: Numbers of the images of each row, int (N, 2).

    Returns:
        The pairs, int (P, 2), and their sums, float64 (P, C).
    """
    distinct, codes = np.unique(images, return_inverse=True)
    low, high = np.sort(codes.reshape(-1, 2), 1).T
    pairs, place = np.unique(low * len(distinct) + high, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(pairs)))
    sides = np.stack(np.divmod(pairs, len(distinct)), 1)
    return distinct[sides], np.add.reduceat(rows[order], starts, axis=0)


def _counts(generator: np.random.Generator, count: int, draws: int, width: int) -> Iterator[np.ndarray]:
    """How often each of ``count`` things is drawn, float64 (some, count), for all draws, a few million numbers a time.

    Args:
        generator: Generator of the draws.
        count: Number of things, and of those that a draw takes.
        draws: Number of draws.
        width: Numbers that a draw keeps in memory.
    """
    for start in range(0, draws, at_once := max(1, _COUNTS_AT_ONCE // width)):
        some = range(start, min(start + at_once, draws))
        yield np.stack([np.bincount(generator.integers(count, size=count), minlength=count) for _ in some]).astype(
            np.float64
        )
