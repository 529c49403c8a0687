"""Columns that were stated for another table, and the lines about a table."""

from pathlib import Path

import pytest

from twinrank.data.formats.votes.files import image_files
from twinrank.data.formats.votes.read import read_votes
from twinrank.errors import InputError


def test_what_was_stated_for_another_table_counts_where_this_one_has_the_columns(tmp_path: Path) -> None:
    table = tmp_path / "votes.csv"
    recorded = {"left": "x", "right": "y", "outcome": "z", "left_is": "ja", "right_is": "nein", "only": "k=1"}
    table.write_text("x,y,z,rater\na,b,ja,Ada\nb,c,nein,Ada\n")
    found = read_votes(table, recorded=recorded)
    assert found.y is not None
    assert (found.left, found.right, found.y.tolist()) == (["a", "b"], ["b", "c"], [1, 0])
    assert found.understood[1].endswith("; columns as stated in training")
    assert "only" not in found.stated
    table.write_text("x,y\na,b\n")
    assert read_votes(table, recorded=recorded).stated == {"left": "x", "right": "y"}
    table.write_text("left,right,outcome,rater\na,b,left,Ada\n")
    own = read_votes(table, recorded=recorded)
    assert (own.left, own.stated, own.rater) == (["a"], {}, ["Ada"])
    assert "training" not in own.understood[1]
    assert read_votes(table, recorded={"rater": ""}).rater is None


def test_what_is_stated_comes_first_and_leaves_the_rest_as_in_training(tmp_path: Path) -> None:
    """Outcomes would else be the wrong way round as soon as rows are chosen."""
    table = tmp_path / "votes.csv"
    table.write_text("left,right,label,other,worker,batch\na,b,0,1,Ada,1\nb,c,1,1,Ada,2\n")
    recorded = {"outcome": "label", "left_is": "0", "right_is": "1", "rater": "worker"}
    chosen = read_votes(table, {"only": "batch=1"}, recorded)
    assert chosen.y is not None
    assert chosen.y.tolist() == [1]
    assert chosen.stated == {**recorded, "only": "batch=1"}
    assert chosen.understood[1].endswith("; other columns as stated in training")
    # Another outcome is not spelled as the one in training was.
    other = read_votes(table, {"outcome": "other"}, recorded)
    assert other.y is not None
    assert (other.y.tolist(), other.rater) == ([1, 1], ["Ada", "Ada"])
    assert read_votes(table, {"outcome": "label", "id": "batch", "group": "worker"}, recorded).rater is None
    named = read_votes(table, {"left": "left", "right": "right", "outcome": "label"}, recorded)
    assert named.y is not None
    assert named.y.tolist() == [0, 1]
    assert named.stated == {"left": "left", "right": "right", "outcome": "label"}


def test_a_column_of_raters_that_is_empty_names_nobody(tmp_path: Path) -> None:
    """Votes of unnamed people are not those of one, whose agreement would be with himself."""
    table = tmp_path / "votes.csv"
    table.write_text("left,right,outcome,rater\na,b,left,\nb,a,left,\n")
    votes = read_votes(table)
    assert votes.rater is None
    assert votes.understood[0] == "votes.csv: 2 judgements of 2 images; 2 rows name no rater"
    table.write_text("left,right,outcome,rater\na,b,left,Ada\nb,a,left,\na,b,left,\n")
    votes = read_votes(table)
    assert votes.rater == ["Ada", "unknown", "unknown"]
    assert votes.understood[0] == "votes.csv: 3 judgements of 2 images by 1 rater; 2 rows name no rater"


def test_files_are_counted_as_images_not_the_ways_to_write_their_names(tmp_path: Path) -> None:
    for name in ("A.png", "b.png"):
        (tmp_path / name).touch()
    table, said = tmp_path / "votes.csv", []
    table.write_text("left,right\nA.png,b.png\nb,a.PNG\n")
    files = image_files(read_votes(table), None, said.append)
    assert [file.name for file in files] == ["A.png", "b.png", "b.png", "A.png"]
    assert said == ["votes.csv: 2 pairs of 2 images; no outcomes", "left = left, right = right"]
    table.write_text("left,right\nA.png,c.png\n")
    with pytest.raises(InputError, match="images that are not in"):
        image_files(read_votes(table), None, said.append)
    assert said[2] == "votes.csv: 1 pair of 2 images; no outcomes"
