"""Which pair a rater sees next: first one that connects all images, then the one that tells most; some again."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from twinrank.errors import InputError
from twinrank.labelling.storage import Drawn, Shown

Pair = tuple[int, int]
_APART = 10
"""Judgements that a rater gives before a pair of their own comes again."""
_HOPELESS = 3
"""An image that was skipped so often and never judged is set aside: maybe it cannot be shown."""


@dataclass(frozen=True)
class Shares:
    """Shares of the pairs that are not chosen for what they tell.

    Attributes:
        again: Share of pairs that are shown again, to another rater or later to the same one, 0 to 1.
        random: Share of the others that is drawn uniformly from all pairs, once all images are connected, 0 to 1.

    Raises:
        InputError: A share is out of range.
    """

    again: float = 0.1
    random: float = 0.1

    def __post_init__(self) -> None:
        for name, value in (("repeat", self.again), ("share_random", self.random)):
            if not 0 <= value <= 1:
                raise InputError(f"`{name}` is {value}; it must be from 0 to 1")


class Components:
    """Images that chains of judged pairs connect (union-find).

    >>> parts = Components(3)
    >>> parts.join(0, 2), parts.count, parts.of(0) == parts.of(2)
    (True, 2, True)

    Args:
        images: Number of images.
    """

    def __init__(self, images: int) -> None:
        self._parent = list(range(images))
        self.count = images

    def of(self, image: int) -> int:
        """The image that stands for the component of an image."""
        while self._parent[image] != image:
            self._parent[image] = self._parent[self._parent[image]]
            image = self._parent[image]
        return image

    def join(self, one: int, other: int) -> bool:
        """Connect two images; False if they were connected."""
        one, other = self.of(one), self.of(other)
        if one == other:
            return False
        self._parent[other] = one
        self.count -= 1
        return True


class Choice:
    """The choice of the next pair, in memory. It does not know who else uses it: its caller keeps threads apart.

    Args:
        names: Names of the images, each once, at least two.
        rows: Pairs that were shown so far. Those of other images do not count.
        shares: Shares of pairs that come again, or are drawn at random.
        seed: Seed of all draws.

    Attributes:
        used: How often each image was shown, int64.
        components: Images that chains of shown pairs connect, whether they are judged yet or not.
        linked: Images that chains of judgements connect.
        aside: Images that were skipped too often to be shown again, by number.
    """

    def __init__(self, names: Sequence[str], rows: Iterable[Shown], shares: Shares, seed: int | None = None) -> None:
        self._number = {name: number for number, name in enumerate(names)}
        self._shares, self._random = shares, np.random.default_rng(seed)
        self._informative: deque[Pair] = deque()
        self._rows = {row.id: row for row in rows if {row.left, row.right} <= self._number.keys()}
        self._count()

    @property
    def covered(self) -> int:
        """Number of images that were shown."""
        return int((self.used > 0).sum())

    def _count(self) -> None:
        images = len(self._number)
        self.used = np.zeros(images, np.int64)
        self.components, self.linked = Components(images), Components(images)
        self.aside: set[int] = set()
        skipped = np.zeros(images, np.int64)
        judged = np.zeros(images, bool)
        self._seen: dict[str, Counter[Pair]] = {}
        self._judged: dict[str, list[Pair]] = {}
        for row in self._rows.values():
            self._add(row)
            skipped[[*self.pair(row)]] += row.outcome == "skip" and not row.undone
            judged[[*self.pair(row)]] |= row.counts
        for image in np.flatnonzero((skipped >= _HOPELESS) & ~judged).tolist():
            self.aside.add(image)
            for parts in (self.components, self.linked):
                parts.join(image, 1 if image == 0 else 0)

    def _add(self, row: Shown) -> None:
        if row.undone:
            return
        pair = self.pair(row)
        self._seen.setdefault(row.rater, Counter())[pair] += 1
        self.used[[*pair]] += 1
        # A pair that is being judged connects, too, so that two raters do not judge it by chance.
        if row.outcome != "skip":
            self.components.join(*pair)
        if row.counts:
            self._judge(row.rater, pair)

    def _judge(self, rater: str, pair: Pair) -> None:
        self._judged.setdefault(rater, []).append(pair)
        self.linked.join(*pair)

    def pair(self, row: Shown) -> Pair:
        """Numbers of the two images, the lower one first."""
        return _lower_first(self._number[row.left], self._number[row.right])

    def note(self, *rows: Shown) -> None:
        """Take rows into account that are new or were changed."""
        rows = tuple(row for row in rows if {row.left, row.right} <= self._number.keys())
        new = all(row.id not in self._rows for row in rows)
        answered = all(row.counts and row.id in self._rows and self._rows[row.id].open for row in rows)
        self._rows |= {row.id: row for row in rows}
        if new:
            for row in rows:
                self._add(row)
        elif answered:
            for row in rows:
                self._judge(row.rater, self.pair(row))
        else:
            # Components cannot be taken apart.
            self._count()

    @property
    def rows(self) -> list[Shown]:
        """Rows of these images, by number."""
        return [self._rows[number] for number in sorted(self._rows)]

    def open_rows(self, rater: str) -> list[Shown]:
        """Pairs that a rater has been shown and not answered, the oldest first."""
        return [row for row in self.rows if row.open and row.rater == rater]

    def tells_most(self, pairs: Iterable[Pair]) -> None:
        """Set the pairs to judge once all images are connected, the one that tells most first."""
        self._informative = deque(_lower_first(*pair) for pair in pairs)

    def next(self, rater: str) -> tuple[int, int, Drawn]:
        """The images to show on the left and on the right, by number, and why. Sides are drawn at random.

        Args:
            rater: Name of the rater.
        """
        pair, drawn = self._next(rater)
        left, right = pair if self._random.random() < 0.5 else pair[::-1]
        return left, right, drawn

    def _next(self, rater: str) -> tuple[Pair, Drawn]:
        if self._random.random() < self._shares.again and (pair := self._again(rater)) is not None:
            return pair, "again"
        if self.components.count > 1:
            return self._connecting(rater), "to cover"
        if self._random.random() < self._shares.random:
            return self._uniform(), "at random"
        seen = self._seen.get(rater, Counter())
        while self._informative:
            pair = self._informative.popleft()
            if not seen[pair] and not self.aside & {*pair}:
                return pair, "for its gain"
        return self._least_judged(seen), "to cover"

    def _again(self, rater: str) -> Pair | None:
        """A pair that another rater has judged, else one that the rater judged some time ago."""
        seen, own = self._seen.get(rater, Counter()), self._judged.get(rater, [])
        others = [pair for name, pairs in self._judged.items() if name != rater for pair in pairs if not seen[pair]]
        recent = {*own[-_APART:]}
        candidates = others or [pair for pair in own[:-_APART] if seen[pair] == 1 and pair not in recent]
        return candidates[self._random.integers(len(candidates))] if candidates else None

    def _connecting(self, rater: str) -> Pair:
        """Two images that nothing connects: the least judged one, and the least judged of those beyond its reach."""
        order = self._least_first()
        one = order[0]
        home = self.components.of(one)
        beyond = [image for image in order if self.components.of(image) != home]
        return _first_unseen(one, beyond, self._seen.get(rater, Counter()))

    def _least_judged(self, seen: Counter[Pair]) -> Pair:
        one, *others = self._least_first()
        return _first_unseen(one, others, seen)

    def _least_first(self) -> list[int]:
        """Images by how often they were shown; equals in random order."""
        return np.lexsort((self._random.random(len(self.used)), self.used)).tolist()

    def _uniform(self) -> Pair:
        return _lower_first(*self._random.choice(len(self.used), 2, replace=False).tolist())


def _lower_first(one: int, other: int) -> Pair:
    return min(one, other), max(one, other)


def _first_unseen(one: int, others: Sequence[int], seen: Counter[Pair]) -> Pair:
    """An image and the first of others with which a rater has not seen it, else the first of all."""
    pairs = (_lower_first(one, other) for other in others)
    return next((pair for pair in pairs if not seen[pair]), _lower_first(one, others[0]))
