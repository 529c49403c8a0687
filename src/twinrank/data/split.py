"""Splits of judgements into training, validation and test data that hold out images, not rows."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinrank.core.messages import counted
from twinrank.core.randomness import numpy_generator
from twinrank.data.formats.votes.table import VoteTable
from twinrank.errors import InputError

By = Literal["image", "group"]
PARTS = ("train", "val", "test")
SHARES = (0.7, 0.15, 0.15)
_DRAWS = 32
"""Random divisions, of which the one with the most held-out judgements is taken."""
_SMALL = 0.25
"""Images that only occur together stay together if they are at most this share of the smallest part."""


@dataclass(frozen=True, eq=False)
class Split:
    """A division of images, and what it makes of N judgements.

    Attributes:
        part: Part of each judgement, int8 (N,): 0 train, 1 val, 2 test, where both of its images belong to it; else -1.
        sides: Part of its left and its right image, int8 (2, N).
        crossing: Judgements of a training image and a test image, bool (N,).
        images: Number of images of each part.
        lost: Number of judgements of images of two parts, by the parts' names.
        joined: Number of groups that stay with others, since they have copies of one image.
    """

    part: np.ndarray
    sides: np.ndarray
    crossing: np.ndarray
    images: dict[str, int]
    lost: dict[tuple[str, str], int]
    joined: int = 0

    def rows(self, part: str) -> np.ndarray:
        """Positions of the judgements of a part, int64, ascending."""
        return np.flatnonzero(self.part == PARTS.index(part))


def split_votes(
    votes: VoteTable,
    by: By = "image",
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    files: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    contents: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
) -> Split:
    """Divide the images of judgements at random into three parts.

    A judgement belongs to a part if both of its images do. Images that are only ever compared among themselves, such
    as the two of a pair that occurs once, stay together where they are few. Outcomes play no role.

    Args:
        votes: N judgements.
        by: What is held out: images, or groups of images, such as patients or places.
        shares: Shares of the images in training, validation and test data.
        seed: Seed of the division.
        files: What the left and the right images are known by, (N,) each; their names by default.
        contents: What their contents are known by, (N,) each. Groups with copies of one image stay together.

    Raises:
        InputError: The shares are impossible; there are no groups, or an image has two; or no division was found that
            leaves judgements in every part.
    """
    if by not in ("image", "group"):
        raise InputError(f"`by`: {by!r} is unknown; it is one of image, group")
    if len(shares) != len(PARTS) or not all(0 < share < 1 for share in shares) or not math.isclose(sum(shares), 1):
        shown = ",".join(f"{share:g}" for share in shares)
        raise InputError(
            f"`shares`: {shown} are not possible; write three above 0 that add up to 1, such as 0.7,0.15,0.15"
        )
    left, right = files or (votes.left, votes.right)
    number = {image: place for place, image in enumerate(dict.fromkeys([*left, *right]))}
    pairs = np.array([[number[image] for image in side] for side in (left, right)])
    unit, joined = np.arange(len(number)), 0
    if by == "group":
        unit = _group_numbers(votes, left, right, number)
        if contents is not None:
            content = dict(zip([*left, *right], [*contents[0], *contents[1]], strict=True))
            unit, joined = _with_copies(unit, [content[image] for image in number])
    blocks = _blocks(unit[pairs], unit, min(shares))
    part = _best(votes, pairs, blocks, shares, seed)
    sides = part[pairs]
    same = sides[0] == sides[1]
    low, high = sides.min(0), sides.max(0)
    counts = {
        (PARTS[one], PARTS[other]): int(((low == one) & (high == other)).sum())
        for one, other in ((0, 1), (0, 2), (1, 2))
    }
    return Split(
        part=np.where(same, sides[0], -1).astype(np.int8),
        sides=sides,
        crossing=(low == 0) & (high == 2),
        images={name: int((part == place).sum()) for place, name in enumerate(PARTS)},
        lost=counts,
        joined=joined,
    )


def _group_numbers(
    votes: VoteTable, left: Sequence[Hashable], right: Sequence[Hashable], number: dict[Hashable, int]
) -> np.ndarray:
    """Number of the group of each image, int (M,); an image without one is a group of its own."""
    if votes.left_group is None and votes.right_group is None:
        raise InputError(
            f"{votes.path}: no column of groups; name it with `columns`, group=NAME, or split with `by` image"
        )
    groups = votes.groups(left, right)
    known: dict[Hashable, int] = {}
    return np.array(
        [known.setdefault(("group", groups[image]) if image in groups else image, len(known)) for image in number]
    )


def _with_copies(unit: np.ndarray, contents: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """Units of images, int (M,), such that copies are in one; and how many units are in one with others by that.

    Args:
        unit: Group of each image, (M,).
        contents: What the content of each image is known by, (M,).
    """
    groups, place = int(unit.max()) + 1, dict[Hashable, int]()
    content = np.array([place.setdefault(each, len(place)) for each in contents])
    if len(place) == len(unit):
        return unit, 0
    count = groups + len(place)
    links = coo_array((np.ones(len(unit), np.int8), (unit, groups + content)), shape=(count, count))
    component = connected_components(links, directed=False)[1]
    of_groups = component[np.unique(unit)]
    alone = int((np.bincount(of_groups) == 1).sum())
    return np.unique(component[unit], return_inverse=True)[1], len(of_groups) - alone


def _blocks(pairs: np.ndarray, unit: np.ndarray, smallest: float) -> np.ndarray:
    """Number of the block of each image, int (M,): units that stay together.

    Args:
        pairs: Units of the images of each judgement, int (2, N).
        unit: Unit of each image, (M,).
        smallest: Share of the smallest part.
    """
    count = int(unit.max()) + 1
    links = coo_array((np.ones(pairs.shape[1], np.int8), tuple(pairs)), shape=(count, count))
    component = connected_components(links, directed=False)[1]
    sizes = np.bincount(component[unit], minlength=count)
    together = sizes[component] <= _SMALL * smallest * len(unit)
    blocks = np.where(together, count + component, np.arange(count))
    return np.unique(blocks[unit], return_inverse=True)[1]


def _best(votes: VoteTable, pairs: np.ndarray, blocks: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Part of each image, int8 (M,).

    Raises:
        InputError: No division leaves judgements in every part.
    """
    sizes = np.bincount(blocks)
    ends = np.cumsum(shares)[:-1] * len(blocks)
    best, found = 0.0, None
    fewest = np.full(len(PARTS), 0)
    for draw in range(_DRAWS):
        order = numpy_generator(seed, "split", draw).permutation(len(sizes))
        # A block belongs where its middle falls.
        middles = np.cumsum(sizes[order]) - sizes[order] / 2
        of_block = np.empty(len(sizes), np.int8)
        of_block[order] = np.searchsorted(ends, middles)
        part = of_block[blocks]
        sides = part[pairs]
        kept = np.bincount(sides[0][sides[0] == sides[1]], minlength=len(PARTS))
        fewest = np.maximum(fewest, kept)
        # Random halves of the images keep a quarter of the judgements.
        score = float(kept.min() > 0) * min(kept[1] / shares[1] ** 2, kept[2] / shares[2] ** 2)
        if score > best:
            best, found = score, part
    if found is None:
        empty = [name for name, most in zip(PARTS, fewest, strict=True) if most == 0]
        which = f"none has judgements for {' and '.join(empty)}" if empty else "each leaves a part without judgements"
        raise InputError(
            f"{votes.path}: {counted(len(blocks), 'image', 'images')} with"
            f" {counted(pairs.shape[1], 'judgement', 'judgements')} cannot be divided so; of {_DRAWS}"
            f" divisions {which}; choose larger shares for the small parts with `shares`, such as 0.4,0.3,0.3, or judge"
            " more pairs"
        )
    return found
