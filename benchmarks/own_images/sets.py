"""Sets of real images with judgements for training, and images that only the test knows.

A set is a folder. ``train`` and ``test`` have the images of each part, and no image is in both. ``votes.csv`` has the
judgements of training images: ``photo_1``, ``photo_2``, ``winner`` (a name, or ``tie``), and ``worker`` where a crowd
judged. ``test.csv`` has pairs of test images with their true winners, and ``truth.csv`` the true score of every image.
``set.json`` is written last, and says what the set is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_data.cells import cells
from benchmarks.real_data.photographs import photograph_sources, photographs
from benchmarks.real_data.picture import Picture
from benchmarks.real_data.tables import read_table, write_table
from benchmarks.real_data.typefaces import find_fonts, typefaces
from benchmarks.real_data.writing import vote_rows, write_crowd, write_images, write_votes
from twinrank.core.files import write_json
from twinrank.errors import InputError
from twinrank.evaluation.simulate import make_crowd, simulate_crowd

FAMILIES = ("exo-2", "inter", "noto-serif", "roboto")
"""Typefaces that have all nine weights."""
TEST_PHOTOGRAPHS = 3
SIDES = (224, 640)
TRAINING_SHARE_OF_CELLS = 0.6
JUDGEMENTS_OF_CELLS = 10_000
FEW = 300


@dataclass(frozen=True)
class Sizes:
    """Numbers of images and votes of the sets that are drawn; solar cells are all there is.

    Attributes:
        train: Training images.
        test: Test images.
        votes: Votes on training images.
        nu: Davidson's nu of the crowd, which sets how many votes are ties.
    """

    train: int
    test: int
    votes: int
    nu: float


TYPEFACES = Sizes(400, 200, 3000, 2.9)
PHOTOGRAPHS = Sizes(400, 200, 4000, 2.35)


@dataclass(frozen=True)
class Set:
    """A set on disk.

    Attributes:
        folder: Folder of the set.
        votes: Table of judgements of training images.
    """

    folder: Path
    votes: Path

    @property
    def train(self) -> Path:
        """Folder of the training images."""
        return self.folder / "train"

    @property
    def test(self) -> Path:
        """Folder of the test images."""
        return self.folder / "test"

    @property
    def pairs(self) -> Path:
        """Table of the pairs of test images."""
        return self.folder / "test.csv"

    def truth(self) -> dict[str, float]:
        """True scores of the test images by name."""
        rows = read_table(self.folder / "truth.csv")
        return {row["image"]: float(row["score"]) for row in rows if row["part"] == "test"}


def make_typefaces(out: Path, seed: int, fonts: Path | None, sizes: Sizes = TYPEFACES) -> None:
    """Words in nine weights of four families: which is bolder? Test: all pairs of test images, equal weights left out.

    Args:
        out: Folder of the set.
        seed: Seed of all choices.
        fonts: Folder in which ``npm install @fontsource/...`` ran.
        sizes: Numbers of images and votes.

    Raises:
        InputError: A family is not installed.
    """
    if fonts is None:
        raise InputError("typefaces need --fonts FOLDER")
    known = [font for font in find_fonts(fonts) if font.family in FAMILIES]
    if missing := set(FAMILIES) - {font.family for font in known}:
        packages = " ".join(f"@fontsource/{name}" for name in sorted(missing))
        raise InputError(f"{fonts}: typefaces are missing; run `npm install {packages}` there")
    words = [*typefaces(known, sizes.train + sizes.test, seed)]
    write_drawn(out, seed, words[: sizes.train], words[sizes.train :], sizes)


def make_photographs(out: Path, seed: int, fonts: Path | None = None, sizes: Sizes = PHOTOGRAPHS) -> None:
    """Degraded pieces of photographs: which is in the better state? Test: all pairs of pieces of other photographs.

    The test photographs of the seeds 0 to 5 differ.

    Args:
        out: Folder of the set.
        seed: Seed of all choices.
        fonts: Not used.
        sizes: Numbers of images and votes.
    """
    names = np.random.default_rng(0).permutation([*photograph_sources()]).tolist()
    first = TEST_PHOTOGRAPHS * seed % len(names)
    names = names[first:] + names[:first]
    unseen, known = names[:TEST_PHOTOGRAPHS], names[TEST_PHOTOGRAPHS:]
    train = photographs(sizes.train, 2 * seed, SIDES, known)
    write_drawn(out, seed, train, photographs(sizes.test, 2 * seed + 1, SIDES, unseen), sizes)


def write_drawn(out: Path, seed: int, train: Iterable[Picture], test: Iterable[Picture], sizes: Sizes) -> None:
    """Writes a set whose training images a crowd judges on random pairs, and whose test is all pairs.

    Args:
        out: Folder of the set.
        seed: Seed of crowd and votes.
        train: Training images.
        test: Test images.
        sizes: Number of votes, and ties.
    """
    parts = {"train": write_images(train, out / "train"), "test": write_images(test, out / "test")}
    crowd = make_crowd(12, seed, careless=0.3, bias=0.3, nu=sizes.nu)
    write_votes({each.name: each.score for each in parts["train"]}, crowd, sizes.votes, seed, out)
    pairs = np.array([*combinations(range(len(parts["test"])), 2)])
    # Either image of a pair may be on the left.
    turned = np.random.default_rng(seed).random(len(pairs)) < 0.5
    pairs[turned] = pairs[turned][:, ::-1]
    _finish(out, seed, parts, pairs)


def make_cells(out: Path, seed: int, fonts: Path | None = None) -> None:
    """Solar cells: which is the more defective? Judgements and test pairs are of two different levels, drawn evenly.

    There are three tables of judgements: ``votes.csv`` is clean, ``votes-300.csv`` its beginning, and
    ``votes-raters.csv`` what 20 people say of the same pairs, 30% of whom hardly look.

    Args:
        out: Folder of the set.
        seed: Seed of all choices.
        fonts: Not used.
    """
    every = [*cells(None, 0)]
    order = np.random.default_rng(seed).permutation(len(every))
    first = round(TRAINING_SHARE_OF_CELLS * len(every))
    parts = {
        name: write_images((every[row] for row in sorted(rows.tolist())), out / name)
        for name, rows in (("train", order[:first]), ("test", order[first:]))
    }
    pairs = {
        name: pairs_of_two_levels(_levels(part), JUDGEMENTS_OF_CELLS, 2 * seed + number)
        for number, (name, part) in enumerate(parts.items())
    }
    clean = _true_rows(parts["train"], pairs["train"])
    write_table(out / "votes.csv", clean)
    write_table(out / "votes-300.csv", clean[:FEW])
    crowd = make_crowd(20, seed, careless=0.3, bias=0.3, nu=0.5)
    scores = np.array([each.score for each in parts["train"]])
    left, right = pairs["train"].T
    votes = simulate_crowd(scores, left, right, crowd, seed)
    write_table(out / "votes-raters.csv", vote_rows([each.name for each in parts["train"]], votes, crowd))
    write_crowd(crowd, out)
    _finish(out, seed, parts, pairs["test"])


def pairs_of_two_levels(level: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Pairs of images of different levels, int64 (count, 2): first two levels are drawn, then an image of each.

    Args:
        level: Levels of the images, int (M,).
        count: Number of pairs.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(level == each) for each in np.unique(level)]
    pairs = [rng.choice(len(members), 2, replace=False) for _ in range(count)]
    return np.array([[rng.choice(members[each]) for each in pair] for pair in pairs])


def _levels(part: list[Picture]) -> np.ndarray:
    return np.array([each.facts["level"] for each in part])


def _true_rows(part: list[Picture], pairs: np.ndarray) -> list[dict[str, str]]:
    """Lines of a table with the true winners; pairs of equal scores are left out."""
    rows = [(part[left], part[right]) for left, right in pairs]
    return [
        {"photo_1": left.name, "photo_2": right.name, "winner": max(left, right, key=lambda each: each.score).name}
        for left, right in rows
        if left.score != right.score
    ]


def _finish(out: Path, seed: int, parts: dict[str, list[Picture]], pairs: np.ndarray) -> None:
    """Writes the truth, the test pairs, and at last ``set.json``."""
    truth = [each.row() | {"part": name} for name, part in parts.items() for each in part]
    write_table(out / "truth.csv", truth)
    rows = _true_rows(parts["test"], pairs)
    write_table(out / "test.csv", rows)
    facts: dict[str, Any] = {"seed": seed, "test_pairs": len(rows)}
    facts |= {f"{name}_images": len(part) for name, part in parts.items()}
    for votes in sorted(out.glob("votes*.csv")):
        table = read_table(votes)
        ties = sum(row["winner"] == "tie" for row in table)
        facts[votes.name] = {"judgements": len(table), "decided": len(table) - ties}
    write_json(out / "set.json", facts)


MAKERS: dict[str, Callable[[Path, int, Path | None], None]] = {
    "cells": make_cells,
    "typefaces": make_typefaces,
    "photographs": make_photographs,
}
SETS = {
    "cells": ("cells", "votes.csv"),
    "cells-300": ("cells", "votes-300.csv"),
    "cells-raters": ("cells", "votes-raters.csv"),
    "typefaces": ("typefaces", "votes.csv"),
    "photographs": ("photographs", "votes.csv"),
}
"""Maker and table of judgements of each set."""


def make_set(name: str, seed: int, folder: Path, fonts: Path | None = None) -> Set:
    """A set, which is made unless it is there.

    Args:
        name: One of :data:`SETS`.
        seed: Seed of all choices.
        folder: Folder of all sets.
        fonts: Folder in which ``npm install @fontsource/...`` ran; typefaces need it.
    """
    maker, votes = SETS[name]
    out = folder / f"{maker}-{seed}"
    if not (out / "set.json").exists():
        MAKERS[maker](out, seed, fonts)
    return Set(out, out / votes)
