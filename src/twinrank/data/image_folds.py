"""Folds of images, for rows that are connected by the images that they share.

The images are divided into P parts, and there are P folds. A fold leaves out some parts, such that any two parts are
left out together by exactly one fold: the parts are the points of a finite projective plane, the folds its lines. So
each row is of the one fold that leaves out both its images. A network that saw no image of these parts predicts it, and
no row is lost.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinrank.core.randomness import numpy_generator

_PLANES = {
    7: (0, 1, 3),
    13: (0, 1, 3, 9),
    21: (3, 6, 7, 12, 14),
    31: (1, 5, 11, 24, 25, 27),
    57: (0, 1, 3, 13, 32, 36, 43, 52),
    73: (0, 1, 3, 7, 15, 31, 36, 54, 63),
    91: (0, 1, 3, 9, 27, 49, 56, 61, 77, 81),
}
"""Perfect difference sets by their modulus P (Singer 1938): each number but 0 is one difference of two members."""


@dataclass(frozen=True, eq=False)
class ImageFolds:
    """Parts of images, and which of them each of K folds leaves out.

    Attributes:
        part: Parts of the left and the right image of each row, int8 (N, 2), 0 to P - 1.
        left_out: Whether a fold leaves out a part, bool (K, P).
        stop: Whether a row chooses the epoch where a fold is left out, bool (K, N). One of its images or both are in no
            row that is fitted there.
    """

    part: np.ndarray
    left_out: np.ndarray
    stop: np.ndarray

    def apart(self, fold: int) -> NDArray[np.bool_]:
        """Rows that have no image of the parts that a fold leaves out, bool (N,)."""
        return ~self.left_out[fold][self.part].any(1)


def parts_for(folds: int) -> int:
    """Number of parts, and of folds: the least that is possible and not below a number, or the largest possible."""
    return next((parts for parts in _PLANES if parts >= folds), max(_PLANES))


def assign_images(
    units: np.ndarray, parts: int, stop_share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, ImageFolds]:
    """Divide images into parts at random, so that folds have about as many rows each.

    Args:
        units: Numbers of the left and the right image of each row, int (N, 2), 0 to M - 1. Images that have to stay
            together have one number.
        parts: Number of parts, from :func:`parts_for`; at most M.
        stop_share: Share of the rows that chooses epochs.
        seed: Seed of the division.

    Returns:
        Fold of each row, int8 (N,); whether a row chooses the epoch where no fold is left out, bool (N,); and the parts
        behind these folds. A fold may have no row.
    """
    part = _even_parts(units, parts, seed)[units].astype(np.int8)
    left_out = np.zeros((parts, parts), bool)
    for fold in range(parts):
        left_out[fold, (np.array(_PLANES[parts]) + fold) % parts] = True
    fold_of = _folds_of(part, left_out)
    stop = np.zeros((parts, len(units)), bool)
    images = ImageFolds(part, left_out, stop)
    for fold in range(parts):
        rows = np.flatnonzero(images.apart(fold))
        stop[fold, rows] = _touching_few(units[rows], stop_share, seed, fold)
    return fold_of, _touching_few(units, stop_share, seed, parts), images


def _even_parts(units: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Part of each image, int (M,): one after the other goes where least rows are, those with the most rows first."""
    rows_of = np.bincount(units.ravel())
    order = numpy_generator(seed, "image folds").permutation(len(rows_of))
    order = order[np.argsort(-rows_of[order], kind="stable")]
    part = np.empty(len(rows_of), np.int64)
    # Of parts with equally many rows, that with the fewest images.
    filled = [(0, 0, place) for place in range(parts)]
    for unit in order:
        rows, count, place = filled[0]
        part[unit] = place
        heapq.heapreplace(filled, (rows + int(rows_of[unit]), count + 1, place))
    return part


def _folds_of(part: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The fold that leaves out both images of each row; of several, the one with the fewest rows."""
    parts = len(left_out)
    of_pair = np.empty((parts, parts), np.int8)
    for first in range(parts):
        for second in range(parts):
            of_pair[first, second] = np.flatnonzero(left_out[:, first] & left_out[:, second])[0]
    fold_of = of_pair[part[:, 0], part[:, 1]]
    inside = part[:, 0] == part[:, 1]
    filled = np.bincount(fold_of[~inside], minlength=parts)
    for place in range(parts):
        possible = [(int(filled[fold]), int(fold)) for fold in np.flatnonzero(left_out[:, place])]
        heapq.heapify(possible)
        for row in np.flatnonzero(inside & (part[:, 0] == place)):
            rows, fold = possible[0]
            fold_of[row] = fold
            heapq.heapreplace(possible, (rows + 1, fold))
        for rows, fold in possible:
            filled[fold] = rows
    return fold_of


def _touching_few(units: np.ndarray, share: float, seed: int, fold: int) -> np.ndarray:
    """Rows of a few images that are drawn at random, bool (N,): about a share of the rows; none for a share of 0."""
    if not share or not len(units):
        return np.zeros(len(units), bool)
    rows_of = np.bincount(units.ravel())
    order = numpy_generator(seed, "stop images", fold).permutation(len(rows_of))
    most = share * len(units)
    # An image with many rows would take the whole share, so it comes last.
    order = order[np.argsort(rows_of[order] > max(1.0, most / 2), kind="stable")]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    earliest = place[units].min(1)
    taken = np.sort(earliest)
    # One row at least, and no more than the share where that is possible.
    last = taken[0]
    for end in np.unique(taken):
        if np.searchsorted(taken, end, side="right") > most:
            break
        last = end
    return earliest <= last
