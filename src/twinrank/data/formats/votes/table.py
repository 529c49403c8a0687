"""Votes about pairs of named images."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from twinrank.core.messages import counted, first_few, quoted
from twinrank.errors import InputError


@dataclass(frozen=True, eq=False)
class VoteTable:
    """N judgements of pairs of images, which are known by name.

    Attributes:
        path: Table that they are from.
        left: Names of the left images, as :func:`twinrank.data.formats.votes.names.normal_name` writes them, (N,).
        right: Names of the right images, (N,).
        y: Share of the votes for left, float32 (N,): 1 left, 0 right, 0.5 a tie. None if the table has no outcomes.
        tie: Whether the images were judged equal, bool (N,).
        weight: Number of votes, float32 (N,), 1 each where the table counts none.
        rater: Who judged, (N,); None if the table does not say.
        id: Row ids, (N,), each once; None if the table has none.
        left_group: Group of the left image, such as a patient or a place, (N,); None without groups.
        right_group: Group of the right image, (N,).
        lines: Line of the file, or number of the entry, of each judgement, counted from 1, (N,).
        summary: What the table holds, in words before and after the number of images; and how its columns were read,
            empty where they can be read in one way only.
        ignored: Columns that were not read.
        stated: What was stated about columns, see :func:`twinrank.data.formats.votes.read.read_votes`.
        question: Question that people answered, in one line; None where the table does not say.
        digests: SHA-256 of the file of each image that was judged, by name; empty where the table does not say.
    """

    path: Path
    left: list[str]
    right: list[str]
    y: np.ndarray | None
    tie: np.ndarray
    weight: np.ndarray
    rater: list[str] | None
    id: list[str] | None
    left_group: list[str] | None
    right_group: list[str] | None
    lines: list[int]
    summary: tuple[str, str, str]
    ignored: tuple[str, ...]
    stated: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.left)

    @property
    def grouped(self) -> bool:
        """Whether images have groups."""
        return self.left_group is not None or self.right_group is not None

    @property
    def understood(self) -> tuple[str, ...]:
        """Lines: what the table holds, each name as an image of its own, and how its columns were read."""
        return self.described(len({*self.left, *self.right}))

    def described(self, images: int) -> tuple[str, ...]:
        """The same with the number of different images, where it is known."""
        before, after, how = self.summary
        first = f"{before}{counted(images, 'image', 'images')}{after}"
        return (first, how) if how else (first,)

    def select(self, rows: np.ndarray) -> "VoteTable":
        """Some judgements, in the order given.

        Args:
            rows: Positions int (M,), or mask bool (N,).
        """
        places = np.arange(len(self))[rows].tolist()
        lists = {name: getattr(self, name) for name in ("left", "right", "rater", "id", *_GROUPS, "lines")}
        chosen = {name: values and [values[place] for place in places] for name, values in lists.items()}
        y = None if self.y is None else self.y[places]
        return replace(self, **chosen, y=y, tie=self.tie[places], weight=self.weight[places])

    def groups(self, left: Sequence[Hashable], right: Sequence[Hashable]) -> Mapping[Hashable, str]:
        """The groups of the images that have one; a row may leave a group out.

        Args:
            left: What the left images are known by, such as their files, (N,).
            right: What the right images are known by, (N,).

        Raises:
            InputError: An image has two groups; the line names both.
        """
        found: dict[Hashable, str] = {}
        twice: dict[Hashable, str] = {}
        for images, groups, names in ((left, self.left_group, self.left), (right, self.right_group, self.right)):
            for row, group in enumerate(groups or ()):
                image = images[row]
                if group and found.setdefault(image, group) != group:
                    pair = f"{quoted(found[image])} and {quoted(group)} in line {self.lines[row]}"
                    twice.setdefault(image, f"{quoted(names[row])}: {pair}")
        if twice:
            counts = counted(len(twice), "image has", "images have")
            raise InputError(f"{self.path}: {counts} two groups ({first_few([*twice.values()])}); give each image one")
        return found


_GROUPS = ("left_group", "right_group")
