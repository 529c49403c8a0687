"""Judgements in the forms of annotation tools and published experiments."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.errors import InputError


def read(folder: Path, entries: Any, columns: dict[str, str] | None = None) -> VoteTable:
    path = folder / "export.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries), encoding="utf-8")
    return read_votes(path, columns)


def shares(votes: VoteTable) -> list[float]:
    assert votes.y is not None
    return [round(share, 4) for share in votes.y.tolist()]


def annotation(number: int, rater: Any, *results: tuple[str, str, str]) -> dict[str, Any]:
    """An annotation of Label Studio: results are control, type and what was chosen."""
    value = {"pairwise": lambda chosen: {"selected": chosen}, "choices": lambda chosen: {"choices": [chosen]}}
    result = [
        {"from_name": name, "to_name": "one,two", "type": kind, "value": value[kind](chosen)}
        for name, kind, chosen in results
    ]
    return {"id": number, "completed_by": rater, "was_cancelled": not results, "result": result}


def task(number: int, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": number, "data": data or {"image1": "a.png", "image2": "b.png"}, "annotations": list(annotations)}


def test_label_studio_pairwise(tmp_path: Path) -> None:
    first = task(1, annotation(11, 1, ("pw", "pairwise", "left")), annotation(12, 2, ("pw", "pairwise", "right")))
    second = task(2, annotation(13, {"id": 2, "email": "x@y"}, ("pw", "pairwise", "left")), annotation(14, 1))
    votes = read(tmp_path, [first, second])
    assert (votes.left, votes.right) == (["a.png"] * 3, ["b.png"] * 3)
    assert (shares(votes), votes.rater, votes.id, votes.lines) == (
        [1, 0, 1],
        ["1", "2", "x@y"],
        ["11", "12", "13"],
        [1, 1, 2],
    )
    assert votes.understood[0].endswith("by 3 raters; 1 annotation without a judgement left out")
    assert votes.understood[1].startswith("Label Studio: left = image1, right = image2, outcome = pw (left or right)")


def test_label_studio_choices_with_ties(tmp_path: Path) -> None:
    votes = read(
        tmp_path,
        [
            task(1, annotation(1, 1, ("better", "choices", "Left is better"))),
            task(2, annotation(2, 1, ("better", "choices", "Tie")), annotation(3, 2, ("better", "choices", "image 2"))),
        ],
    )
    assert (shares(votes), votes.tie.tolist()) == ([1, 0.5, 0], [False, True, False])


def test_label_studio_finds_the_two_images(tmp_path: Path) -> None:
    votes = read(tmp_path, [task(1, annotation(1, 1, ("pw", "pairwise", "left")), one="x", two="y", note="n")])
    assert (votes.left, votes.right, votes.ignored) == (["x"], ["y"], ("note",))
    votes = read(tmp_path, [task(1, annotation(1, 1, ("pw", "pairwise", "left")), old="/d/x.png", new="/d/y.JPG?s=1")])
    assert (votes.left, votes.right) == (["/d/x.png"], ["/d/y.JPG?s=1"])
    with pytest.raises(InputError, match="no two columns of images among 'old', 'new'"):
        read(tmp_path, [task(1, annotation(1, 1, ("pw", "pairwise", "left")), old="x", new="y")])
    votes = read(
        tmp_path,
        [task(1, annotation(1, 1, ("pw", "pairwise", "left")), old="x", new="y")],
        {"left": "old", "right": "new"},
    )
    assert (votes.left, votes.right) == (["x"], ["y"])


def test_label_studio_with_several_controls(tmp_path: Path) -> None:
    two = annotation(1, 1, ("sharp", "pairwise", "left"), ("nice", "pairwise", "right"))
    with pytest.raises(InputError, match="choose with `columns`: outcome=sharp or outcome=nice"):
        read(tmp_path, [task(1, two)])
    assert shares(read(tmp_path, [task(1, two)], {"outcome": "nice"})) == [0]
    ties = [annotation(1, 1, ("pw", "pairwise", "left")), annotation(2, 1, ("same", "choices", "equal"))]
    votes = read(tmp_path, [task(1, *ties)])
    assert (shares(votes), votes.tie.tolist()) == ([1, 0.5], [False, True])


def test_label_studio_without_judgements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotation that compares two images"):
        read(tmp_path, [task(1, annotation(1, 1))])
    with pytest.raises(InputError, match="entry 1 is no task of Label Studio"):
        read(tmp_path, [{"data": {}, "annotations": [3]}])


def test_label_studios_short_export(tmp_path: Path) -> None:
    votes = read(tmp_path, [{"image1": "a", "image2": "b", "choice": [{"selected": "left"}], "annotator": 4}])
    assert (shares(votes), votes.rater) == ([1], ["4"])


def test_place_pulse(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    header = "left_id,right_id,winner,left_lat,left_long,right_lat,right_long,category"
    rows = ("50f,51a,left,1,2,3,4,safety", "50f,52b,equal,1,2,3,4,lively", "52b,51a,right,1,2,3,4,lively")
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"2 questions, column 'category'.* only=category=safety, or only= for"):
        read_votes(path)
    votes = read_votes(path, {"only": "category=lively"})
    assert (votes.left, shares(votes), votes.tie.tolist(), votes.lines) == (
        ["50f", "52b"],
        [0.5, 0],
        [True, False],
        [3, 4],
    )
    assert votes.understood[0] == "votes.csv: 2 judgements of 3 images; only category = lively; 1 tie"


@pytest.mark.parametrize(
    ("text", "left", "expected"),
    [
        (
            "Observer,Session,Scene,Condition_1,Condition_2,Selection\n1,1,Window,TMO,Ferwerda,1\n2,2,Hall,Ronan,TMO,2\n",
            ["Window/TMO", "Hall/Ronan"],
            [1, 0],
        ),
        (
            "observer,session_id,scene,condition_B,condition_A,is_A_selected,criterion\nM1,1,hall,tmo,ferwerda,0,x\n",
            ["hall/ferwerda"],
            [0],
        ),
    ],
)
def test_pwcmp(tmp_path: Path, text: str, left: list[str], expected: list[float]) -> None:
    path = tmp_path / "pw.csv"
    path.write_text(text, encoding="utf-8")
    votes = read_votes(path)
    assert (votes.left, shares(votes)) == (left, expected)
    assert votes.rater is not None
    assert votes.left_group == [name.partition("/")[0] for name in left]
    assert votes.understood[1].startswith("pwcmp: ")


def test_preferences_like_those_of_hpd(tmp_path: Path) -> None:
    votes = read(
        tmp_path,
        [
            {"human_preference": [1, 0], "prompt": "p", "file_path": ["1.jpg", "2.jpg"], "user_hash": "u"},
            {"human_preference": [1, 3], "prompt": "p", "file_path": ["1.jpg", "3.jpg"], "user_hash": "v"},
        ],
    )
    assert (votes.right, shares(votes), votes.weight.tolist(), votes.rater) == (
        ["2.jpg", "3.jpg"],
        [1, 0.25],
        [1, 4],
        ["u", "v"],
    )
    votes = read(tmp_path, [{"image_path": ["1", "2", "3"], "human_preference": 1}])
    assert (votes.left, votes.right, shares(votes), votes.rater) == (["1", "2"], ["2", "3"], [0, 1], None)


def test_ranks_like_those_of_hpd(tmp_path: Path) -> None:
    raw = [{"rank": [1, 2, 2], "user_hash": "u"}, {"rank": [3, 2, 1], "user_hash": "v"}]
    votes = read(tmp_path, [{"image_path": ["1", "2", "3"], "rank": [1, 2, 3], "raw_annotations": raw}])
    assert (votes.left, votes.right) == (["1", "1", "2"] * 2, ["2", "3", "3"] * 2)
    assert (shares(votes), votes.tie.tolist()) == ([1, 1, 0.5, 0, 0, 0], [False, False, True, False, False, False])
    assert votes.rater == ["u"] * 3 + ["v"] * 3
    votes = read(tmp_path, [{"image_path": ["1", "2"], "rank": [2, 1]}])
    assert (shares(votes), votes.rater) == ([0], None)


@pytest.mark.parametrize("wrong", [[1], [0, 0], ["a", "b"], [1, -1], 5, "x"])
def test_wrong_preferences_are_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"without votes or ranks for each: 1 \(entry 2\)"):
        read(tmp_path, [{"image_path": ["1", "2"], "human_preference": each} for each in ([1, 0], wrong)])


def test_patches_like_those_of_bapps(tmp_path: Path) -> None:
    for name, judged in (("cnn", (0.0, 0.4, 1.0)), ("color", (0.5,))):
        for part in ("ref", "p0", "p1", "judge"):
            (tmp_path / name / part).mkdir(parents=True)
        for number, share in enumerate(judged):
            np.save(tmp_path / name / "judge" / f"{number}.npy", np.array([share], np.float32))
            for part in ("ref", "p0", "p1"):
                (tmp_path / name / part / f"{number}.png").touch()
    votes = read_votes(tmp_path)
    assert votes.left == ["cnn/p0/0.png", "cnn/p0/1.png", "cnn/p0/2.png", "color/p0/0.png"]
    assert votes.right[0] == "cnn/p1/0.png"
    assert (shares(votes), votes.weight.tolist()) == ([1, 0.6, 0, 0.5], [5, 5, 5, 2])
    np.save(tmp_path / "cnn" / "judge" / "7.npy", np.array([1.0]))
    np.save(tmp_path / "cnn" / "judge" / "8.npy", np.array([2.0]))
    (tmp_path / "cnn" / "judge" / "9.npy").write_bytes(b"\x93NUMPY")
    message = r"not one number from 0 to 1: 2 \(cnn/judge/8.npy, cnn/judge/9.npy\); judgements without both patches: 1"
    with pytest.raises(InputError, match=message):
        read_votes(tmp_path)
