"""What is written is read back without a difference."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinrank.data.formats.votes.names import normal_name
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.formats.votes.write import votes_as_csv

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.one_of(
    st.sampled_from(["left", "right", "tie", "a", "b", "0", "1", "0.5", "true", "skip", "x,y", 'q"', "a;b", "-", "=1"]),
    st.text(CHARACTERS, min_size=1, max_size=8).map(str.strip).filter(bool),
)
NAMES = TEXTS.map(normal_name).map(str.strip).filter(lambda name: name and normal_name(name) == name)
SHARES = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0, 1, width=32))
WEIGHTS = st.one_of(st.just(1.0), st.floats(0.25, 1e6, width=32), st.integers(1, 100).map(float))


@st.composite
def tables(draw: st.DrawFn) -> VoteTable:
    count = draw(st.integers(1, 5))

    def column(values: st.SearchStrategy[str]) -> list[str]:
        return draw(st.lists(values, min_size=count, max_size=count))

    left, right = column(NAMES), column(NAMES)
    # An image is not compared with itself.
    right = [f"{other}_" if one == other else other for one, other in zip(left, right, strict=True)]
    outcomes = draw(st.lists(st.one_of(SHARES, st.none()), min_size=count, max_size=count))
    labelled = draw(st.booleans())
    y = np.array([0.5 if share is None else share for share in outcomes], np.float32)
    tie = np.array([labelled and share is None for share in outcomes])
    groups = draw(st.booleans())
    return VoteTable(
        path=Path("made"),
        left=left,
        right=right,
        y=y if labelled else None,
        tie=tie,
        weight=np.array(draw(st.lists(WEIGHTS, min_size=count, max_size=count)), np.float32),
        rater=column(TEXTS) if draw(st.booleans()) else None,
        id=draw(st.lists(TEXTS, min_size=count, max_size=count, unique=True)) if draw(st.booleans()) else None,
        left_group=column(st.one_of(TEXTS, st.just(""))) if groups else None,
        right_group=column(st.one_of(TEXTS, st.just(""))) if groups else None,
        lines=[*range(2, count + 2)],
        summary=("", "", ""),
        ignored=(),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(votes=tables())
def test_what_is_written_is_read_back(tmp_path: Path, votes: VoteTable) -> None:
    text = votes_as_csv(votes)
    path = tmp_path / "votes.csv"
    path.write_bytes(text.encode())
    read = read_votes(path)
    for name in ("left", "right", "rater", "id", "left_group", "right_group"):
        assert getattr(read, name) == getattr(votes, name)
    for name in ("y", "tie", "weight"):
        given, expected = getattr(read, name), getattr(votes, name)
        if expected is None:
            assert given is None
        else:
            assert given.dtype == expected.dtype
            np.testing.assert_array_equal(given, expected)
    assert votes_as_csv(read) == text


def test_a_plain_table_stays_plain(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("photo_1,photo_2,winner\na.png,b.png,a.png\nb.png,c.png,tie\n", encoding="utf-8")
    votes = read_votes(path)
    assert votes_as_csv(votes) == "left,right,outcome\na.png,b.png,left\nb.png,c.png,tie\n"
    assert votes_as_csv(votes.select(np.array([1]))) == "left,right,outcome\nb.png,c.png,tie\n"


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.7, 1e-7, np.nextafter(np.float32(1), np.float32(0))])
def test_shares_are_exact(tmp_path: Path, share: float) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("left,right,share\na,b,0.5\n", encoding="utf-8")
    votes = read_votes(path)
    assert votes.y is not None
    votes.y[:] = share
    path.write_text(votes_as_csv(votes), encoding="utf-8")
    again = read_votes(path)
    assert again.y is not None
    assert again.y[0] == np.float32(share)
