"""Splits hold out images, or groups of them."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.split import PARTS, split_votes
from twinrank.errors import InputError


def votes_of(pairs: np.ndarray, groups: list[str] | None = None) -> VoteTable:
    """Judgements of pairs of image numbers, int (N, 2); groups are of images."""
    left, right = pairs.T.tolist()
    count = len(pairs)
    return VoteTable(
        path=Path("votes.csv"),
        left=[f"{image}.png" for image in left],
        right=[f"{image}.png" for image in right],
        y=np.ones(count, np.float32),
        tie=np.zeros(count, bool),
        weight=np.ones(count, np.float32),
        rater=None,
        id=None,
        left_group=groups and [groups[image] for image in left],
        right_group=groups and [groups[image] for image in right],
        lines=[*range(2, count + 2)],
        summary=("", "", ""),
        ignored=(),
    )


def random_pairs(images: int, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, images, count)
    return np.stack([left, (left + rng.integers(1, images, count)) % images], 1)


def images_of(votes: VoteTable, rows: np.ndarray) -> set[str]:
    part = votes.select(rows)
    return {*part.left, *part.right}


def test_parts_share_no_image_and_have_their_share_of_images() -> None:
    votes = votes_of(random_pairs(200, 4000))
    made = split_votes(votes)
    seen = [images_of(votes, made.rows(part)) for part in PARTS]
    assert all(first.isdisjoint(second) for first, second in combinations(seen, 2))
    assert made.images == {"train": 140, "val": 30, "test": 30}
    assert sum(len(made.rows(part)) for part in PARTS) + sum(made.lost.values()) == 4000
    crossing = images_of(votes, made.crossing.nonzero()[0])
    assert made.crossing.sum() == made.lost["train", "test"]
    assert crossing & seen[0]
    assert crossing & seen[2]
    assert not crossing & seen[1]


def test_a_split_is_known_by_its_seed_alone() -> None:
    votes = votes_of(random_pairs(60, 500))
    first, again, other = (split_votes(votes, seed=seed).part for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_outcomes_play_no_role() -> None:
    votes = votes_of(random_pairs(60, 500))
    assert votes.y is not None
    flipped = replace(votes, y=1 - votes.y)
    np.testing.assert_array_equal(split_votes(votes).part, split_votes(flipped).part)


def test_pairs_that_occur_once_are_never_lost() -> None:
    votes = votes_of(np.arange(400).reshape(200, 2))
    made = split_votes(votes)
    assert sum(made.lost.values()) == 0
    assert [len(made.rows(part)) for part in PARTS] == [140, 30, 30]


def test_stray_pairs_beside_a_connected_set() -> None:
    strays = 100 + np.arange(40).reshape(20, 2)
    made = split_votes(votes_of(np.concatenate([random_pairs(80, 600), strays])))
    assert (made.part[600:] >= 0).all()
    assert all(len(made.rows(part)) for part in PARTS)


def test_groups_stay_together() -> None:
    groups = [f"patient {image // 5}" for image in range(200)]
    votes = votes_of(random_pairs(200, 4000), groups)
    made = split_votes(votes, by="group")
    names = dict(zip([f"{image}.png" for image in range(200)], groups, strict=True))
    seen = [{names[image] for image in images_of(votes, made.rows(part))} for part in PARTS]
    assert all(first.isdisjoint(second) for first, second in combinations(seen, 2))
    assert made.images == {"train": 140, "val": 30, "test": 30}


def test_groups_with_copies_of_one_image_stay_together() -> None:
    """Else a copy is in the test of a network that was fitted to the image."""
    groups = [f"patient {image // 5}" for image in range(200)]
    votes = votes_of(random_pairs(200, 4000), groups)
    # Image 150 is a copy of image 0, and so on, which joins ten patients with ten others.
    numbers = [[int(name.partition(".")[0]) for name in side] for side in (votes.left, votes.right)]
    contents = [[number % 150 for number in side] for side in numbers]
    made = split_votes(votes, by="group", contents=(contents[0], contents[1]))
    assert made.joined == 20
    part_of: dict[int, set[int]] = {}
    for side, sides in zip(contents, made.sides.tolist(), strict=True):
        for content, part in zip(side, sides, strict=True):
            part_of.setdefault(content, set()).add(part)
    assert all(len(parts) == 1 for parts in part_of.values())
    assert sum(made.images.values()) == 200
    own = split_votes(votes, by="group", contents=(votes.left, votes.right))
    np.testing.assert_array_equal(own.part, split_votes(votes, by="group").part)
    assert own.joined == 0


def test_an_image_without_a_group_is_one_of_its_own() -> None:
    votes = votes_of(random_pairs(60, 900), ["" if image % 2 else f"group {image // 10}" for image in range(60)])
    made = split_votes(votes, by="group", shares=(0.5, 0.25, 0.25))
    assert all(len(made.rows(part)) for part in PARTS)


def test_two_names_of_one_file_are_one_image() -> None:
    votes = votes_of(random_pairs(40, 800))
    files = [[int(name.partition(".")[0]) // 2 for name in side] for side in (votes.left, votes.right)]
    made = split_votes(votes, files=(files[0], files[1]))
    assert sum(made.images.values()) == 20
    part_of = {}
    for side in files:
        for row, image in enumerate(side):
            if made.part[row] >= 0:
                assert part_of.setdefault(image, made.part[row]) == made.part[row]


@settings(max_examples=40)
@given(images=st.integers(4, 40), count=st.integers(1, 120), seed=st.integers(0, 9))
def test_small_sets_are_split_or_refused_in_a_line(images: int, count: int, seed: int) -> None:
    votes = votes_of(random_pairs(images, count, seed))
    try:
        made = split_votes(votes, shares=(0.5, 0.25, 0.25), seed=seed)
    except InputError as error:
        line = str(error)
    else:
        assert all(len(made.rows(part)) for part in PARTS)
        return
    assert "cannot be divided so" in line
    assert "`shares`, such as 0.4,0.3,0.3, or judge more pairs" in line


@pytest.mark.parametrize(
    "shares", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (0.8, 0.3, -0.1), (0.5, float("nan"), 0.5)]
)
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"`shares`: .* are not possible; write three above 0 that add up to 1"):
        split_votes(votes_of(random_pairs(60, 500)), shares=shares)


def test_missing_groups_are_refused() -> None:
    with pytest.raises(InputError, match="no column of groups; name it with `columns`, group=NAME, or split with `by`"):
        split_votes(votes_of(random_pairs(60, 500)), by="group")
