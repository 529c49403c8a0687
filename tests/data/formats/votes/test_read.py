"""Tables of judgements as people write them."""

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.errors import InputError

Write = Callable[..., Path]
LABELLED = "left,right,label\na.png,b.png,1\nb.png,c.png,0\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a table, and returns its path."""

    def write(text: str, name: str = "votes.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def refused(path: Path, columns: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_votes(path, columns)
    line = str(caught.value)
    assert line.splitlines() == [line]
    return line


def shares(votes: VoteTable) -> list[float]:
    assert votes.y is not None
    assert votes.y.dtype == np.float32
    return [round(share, 4) for share in votes.y.tolist()]


def test_the_strict_table_of_before(write: Write) -> None:
    votes = read_votes(write("left,right,label,id\na.png,b.png,1,first\nb.png,c.png,0,second\n"))
    assert (votes.left, votes.right, votes.id) == (["a.png", "b.png"], ["b.png", "c.png"], ["first", "second"])
    assert shares(votes) == [1, 0]
    assert (votes.tie.tolist(), votes.weight.tolist(), votes.rater, votes.left_group) == (
        [False] * 2,
        [1, 1],
        None,
        None,
    )
    assert votes.lines == [2, 3]
    assert len(votes) == 2


def test_what_was_understood_is_said_in_two_lines(write: Write) -> None:
    text = "photo_1,photo_2,winner,worker,comment,time\na,b,a,w1,good,9\nb,c,tie,w2,,9\nc,a,skip,w2,,9\n"
    votes = read_votes(write(text))
    assert votes.understood == (
        "votes.csv: 3 judgements of 3 images by 2 raters; 2 ties (1 skipped)",
        "left = photo_1, right = photo_2, outcome = winner (the winner's name), rater = worker; ignored: comment, time",
    )
    assert votes.ignored == ("comment", "time")
    assert shares(votes) == [1, 0.5, 0.5]
    assert votes.tie.tolist() == [False, True, True]


@pytest.mark.parametrize(
    "names",
    [
        *("left,right", "Left Image,Right-Image", "image_a,image_b", "A,B", "item1,item2", "PHOTO_1,PHOTO_2"),
        *("image1,image2", "left_id,right_id", "img1_path,img2_path", "first,second", "path a,path b", "p1,p2"),
        "leftImage,rightImage",
    ],
)
def test_names_of_the_image_columns(write: Write, names: str) -> None:
    votes = read_votes(write(f"{names},label\nx.png,y.png,1\ny.png,z.png,0\n"))
    assert (votes.left, votes.right, shares(votes)) == (["x.png", "y.png"], ["y.png", "z.png"], [1, 0])


@pytest.mark.parametrize("names", ["winner,loser", "chosen,rejected", "Loser,Winner", "winner_image,loser_image"])
def test_the_winner_and_the_loser(write: Write, names: str) -> None:
    votes = read_votes(write(f"{names}\nx,y\nz,x\n"))
    first = ["x", "z"] if not names.startswith("L") else ["y", "x"]
    assert (votes.left, shares(votes)) == (first, [1, 1])
    assert "left is always the winner" in votes.understood[1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("true,False,TRUE", [1, 0, 1]),
        ("left,Right,LEFT", [1, 0, 1]),
        ("a,b,A", [1, 0, 1]),
        ("Left is better,Right is better,tie", [1, 0, -1]),
        ("image_a,image b,Image A", [1, 0, 1]),
        ("x.png,z.png,tie", [1, 0, -1]),
        ("x,z,equal", [1, 0, -1]),
        ("draw,same,skip", [-1, -1, -1]),
        ("0.25,1,0", [0.25, 1, 0]),
        ("1,2,1", [1, 0, 1]),
    ],
)
def test_outcomes(write: Write, values: str, expected: list[float]) -> None:
    pairs = ("x.png,y.png", "y.png,z.png", "x.png,z.png")
    rows = "\n".join(f"{pair},{value}" for pair, value in zip(pairs, values.split(","), strict=True))
    votes = read_votes(write(f"image_a,image_b,winner\n{rows}\n"))
    assert shares(votes) == [0.5 if value == -1 else value for value in expected]
    assert votes.tie.tolist() == [value == -1 for value in expected]


@pytest.mark.parametrize("values", [("1", "0"), ("1.0", "0.0")])
def test_one_in_a_column_such_as_label_is_left(write: Write, values: tuple[str, str]) -> None:
    votes = read_votes(write("left,right,label\n" + "".join(f"a,b,{value}\n" for value in values)))
    assert (shares(votes), votes.understood[1]) == ([1, 0], "left = left, right = right, outcome = label (1 is left)")


def test_votes_for_each_image_become_shares_and_ties_rows_of_their_own(write: Write) -> None:
    text = "left,right,votes_left,votes_right,ties,id\na,b,3,1,0,q\nb,c,0,0,2,r\na,c,1,2,1,s\n"
    votes = read_votes(write(text))
    assert (votes.left, votes.id) == (["a", "b", "a", "a"], ["q", "r", "s", "s (ties)"])
    assert shares(votes) == [0.75, 0.5, 0.3333, 0.5]
    assert (votes.tie.tolist(), votes.weight.tolist()) == ([False, True, False, True], [4, 2, 3, 1])
    assert votes.understood[0] == "votes.csv: 4 judgements of 3 images; 2 ties; 2 shares of votes; 10 votes"


def test_shares_weights_groups_and_a_column_of_ties(write: Write) -> None:
    votes = read_votes(write("left,right,share,votes,left_group,right_group\na,b,0.25,4,p,q\nb,c,1,2,q,q\n"))
    assert (shares(votes), votes.weight.tolist()) == ([0.25, 1], [4, 2])
    assert (votes.left_group, votes.right_group) == (["p", "q"], ["q", "q"])
    assert votes.groups(votes.left, votes.right) == {"a": "p", "b": "q", "c": "q"}
    votes = read_votes(write("winner,loser,tie,group\na,b,0,p\nb,c,true,p\n"))
    assert (shares(votes), votes.tie.tolist(), votes.right_group) == ([1, 0.5], [False, True], ["p", "p"])


def test_an_image_with_two_groups_is_refused_with_both(write: Write) -> None:
    votes = read_votes(write("left,right,left_group,right_group\na,b,p,q\nb,c,r,r\n"))
    with pytest.raises(InputError, match=r"1 image has two groups \('b': 'r' and 'q' in line 2\)|'q' and 'r'"):
        votes.groups(votes.left, votes.right)


def test_without_outcomes(write: Write) -> None:
    votes = read_votes(write("left,right\na,b\n"))
    assert votes.y is None
    assert votes.understood[0] == "votes.csv: 1 pair of 2 images; no outcomes"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators(write: Write, encoding: str, separator: str) -> None:
    text = 'left,right,label\r\n"ä,;x.png",b.png,1\r\n\r\nb.png,"c ""1"".png",0\r\n'
    votes = read_votes(write(text.replace(",", separator).replace(f"ä{separator}", "ä,"), encoding=encoding))
    assert votes.left == ["ä,;x.png", "b.png"]
    assert votes.right == ["b.png", 'c "1".png']
    assert (shares(votes), votes.lines) == ([1, 0], [2, 4])


def test_spreadsheets_of_other_countries(write: Write) -> None:
    votes = read_votes(write("sep=;\nleft;right;share\na;b;0,25\nb;c;1\n"))
    assert (shares(votes), votes.lines) == ([0.25, 1], [3, 4])


def test_json_lines_and_lists(write: Write) -> None:
    lines = '{"left": "a", "right": "b", "label": 1, "user": 7}\n\n{"right": "c", "left": "b", "label": 0.0}\n'
    votes = read_votes(write(lines, "votes.jsonl"))
    assert (votes.left, shares(votes), votes.rater, votes.lines) == (["a", "b"], [1, 0], ["7", "unknown"], [1, 3])
    assert votes.understood[0].endswith("by 1 rater; 1 row names no rater")
    entries = [{"a": "x", "b": "y", "winner": True}, {"a": "x", "b": "z", "winner": False}]
    votes = read_votes(write(json.dumps(entries), "votes.json"))
    assert (votes.left, shares(votes), votes.lines) == (["x", "x"], [1, 0], [1, 2])


def test_parquet_needs_pyarrow(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "needs the package pyarrow; install it (pip install pyarrow)" in refused(write("PAR1", "votes.parquet"))


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"image_a": ["x", "y"], "image_b": ["y", "z"], "label": [1.0, 0.0], "user": [1, None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "votes.parquet")
    votes = read_votes(tmp_path / "votes.parquet")
    assert (votes.left, shares(votes), votes.rater) == (["x", "y"], [1, 0], ["1", "unknown"])


def test_a_folder_with_one_table(write: Write, tmp_path: Path) -> None:
    (tmp_path / "._votes.csv").write_bytes(b"\0\5\x16\7")
    path = write(LABELLED)
    assert read_votes(tmp_path).path == path
    write(LABELLED, "more.csv")
    assert "several tables (more.csv, votes.csv); name one, or call it pairs.csv" in refused(tmp_path)
    write("left,right\na,b\n", "pairs.csv")
    assert read_votes(tmp_path).y is None


def test_columns_can_be_stated(write: Write) -> None:
    path = write("x,y,vote,who\na,b,links,1\nb,c,rechts,2\n")
    columns = {"left": "x", "right": "Y", "outcome": "vote", "left_is": "links", "right_is": "rechts", "rater": "who"}
    votes = read_votes(path, columns)
    assert (votes.left, shares(votes), votes.rater) == (["a", "b"], [1, 0], ["1", "2"])
    assert votes.understood[1] == "left = x, right = y, outcome = vote (links is left, rechts is right), rater = who"
    votes = read_votes(write("left,right,label,user\na,b,1,u\n"), {"rater": "", "outcome": ""})
    assert (votes.rater, votes.y, votes.ignored) == (None, None, ("label", "user"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lft": "a"}, "`columns`: unknown role 'lft'; did you mean 'left'?"),
        ({"left": "q"}, "no column 'q' for left; the columns are 'left', 'right', 'label'"),
        ({"left": "left"}, "one image column is named; name both with `columns`: left=...,right=..."),
    ],
)
def test_wrong_statements_are_refused(write: Write, columns: dict[str, str], message: str) -> None:
    assert message in refused(write(LABELLED), columns)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("left,right,image_a,image_b\na,b,c,d\n", "left=left,right=right or left=image_a,right=image_b"),
        ("left,right,choice,result\na,b,1,1\n", "outcome=choice or outcome=result"),
        ("left,right,label,user,annotator\na,b,1,u,v\n", "rater=user or rater=annotator"),
        ("left,right,label\na,b,1\nb,c,2\n", "left_is=1,right_is=2 or left_is=2,right_is=1"),
        ("left,right,winner\na,b,1\nb,c,2\nc,d,0\n", "tie_is=0,left_is=1,right_is=2 or left_is=0,right_is=1,tie_is=2"),
        ("left,right,vote\na,b,-1\nb,c,1\n", "left_is=1,right_is=-1 or left_is=-1,right_is=1"),
        ("p0,p1,label\na,b,1\n", "left_is=1,right_is=0 or left_is=0,right_is=1"),
        ("left,right,winner\na,b,1\nb,c,0\n", "left_is=1,right_is=0 or left_is=0,right_is=1"),
        ("image_1,image_2,choice\na,b,1\n", "left_is=1,right_is=0 or left_is=0,right_is=1"),
        ("left,right,winner\n1,2,1\n2,1,2\n", "winner=winner or left_is=VALUE,right_is=VALUE"),
        ("left,right,label,question\na,b,1,safe\nb,c,1,lively\n", "only=question=safe, or only= for all"),
        ("winner,loser,label\na,b,1\n", "outcome=NAME, or outcome= for none"),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_choices(write: Write, text: str, choices: str) -> None:
    line = refused(write(text))
    assert choices in line
    assert "with `columns`" in line


def test_a_choice_settles_it(write: Write) -> None:
    path = write("left,right,winner\na,b,1\nb,c,2\nc,d,0\n")
    votes = read_votes(path, {"tie_is": "0", "left_is": "1", "right_is": "2"})
    assert (shares(votes), votes.tie.tolist()) == ([1, 0, 0.5], [False, False, True])
    path = write("left,right,label,question\na,b,1,safe\nb,c,0,lively\n")
    assert shares(read_votes(path, {"only": "question=lively"})) == [0]
    assert len(read_votes(path, {"only": ""})) == 2
    assert "no row has question = x; there are 'safe', 'lively'" in refused(path, {"only": "question=x"})
    assert "only=topic=x, and the columns are" in refused(path, {"only": "topic=x"})


def test_more_votes_than_can_be_added_up_are_refused(write: Write) -> None:
    line = refused(write("left,right,label,count\na,b,1,1e20\nb,c,0,2\n"))
    assert "too large or too small: 1 (line 2); write numbers from 1e-30 to 1e+15" in line


def test_a_question_that_all_rows_have_is_kept(write: Write) -> None:
    path = write("left,right,label,question\na,b,1,Which is safe?\nb,c,0,Which is lively?\nc,d,0,Which is lively?\n")
    chosen = read_votes(path, {"only": "question=Which is lively?"})
    assert (chosen.question, chosen.ignored) == ("Which is lively?", ())
    assert read_votes(path, {"only": ""}).question is None
    path = write('left,right,label,Question\na,b,1,"Which is\nsafe?"\n')
    assert read_votes(path).question == "Which is\\nsafe?"
    assert read_votes(path, {"rater": "Question"}).question is None
    assert read_votes(write("left,right,label,question\na,b,1,\n")).question is None


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["empty; the first line names the columns"]),
        ("left,right\n", ["no judgements, only a header line"]),
        ("left,right,label\na,b\n", ["line 2 has 2 cells, the header has 3; quote cells that have commas"]),
        ('left,right\n"a,b\n', ["is not valid CSV", "check its quotation marks"]),
        ("x,y\na,b\n", ["no two columns of images among 'x', 'y'; name them with `columns`: left=...,right=..."]),
        ("left,right,right\na,b,c\n", ["more than one column is called 'right'"]),
        ("Left,left,right\na,b,c\n", ["more than one column is called 'Left' and 'left'"]),
        (
            "left,right,label,id,votes\na,b,maybe,x,2\n,c,,x,0\na,,perhaps,y,many\n",
            [
                "missing left images: 1 (line 3); missing right images: 1 (line 4)",
                "missing outcomes: 1 (line 3);",
                "outcomes that are not understood: 2 ('maybe' in line 2, 'perhaps' in line 4)",
                "numbers of votes that are not above 0: 2 (line 3, line 4)",
                "ids that occur again: 1 ('x' in line 3)",
            ],
        ),
        (
            "left,right,winner\na,b,a\nb,c,d\n",
            ["winners that are not one of the two images: 1 ('d' in line 3); name one of"],
        ),
        (
            "left,right,winner\na.png,a.png,a\nb,c,c\n",
            [": judgements that compare an image with itself: 1 (line 2); leave"],
        ),
        ("left,right,winner\na,a,left\nb,c,b\n./c,c,left\n", ["an image with itself: 2 (line 2, line 4); leave these"]),
        ("left,right,share\na,b,1.5\n", ["outcomes that are not understood: 1 ('1.5' in line 2)"]),
        ("left,right,share\na,b,nan\n", ["outcomes that are not understood: 1 ('nan' in line 2)"]),
        (
            "left,right,left_votes,right_votes\na,b,0,0\nb,c,x,-1\n",
            ["numbers of votes that are not 0 or more: 1 (line 3)", "rows without votes: 1 (line 2)"],
        ),
        ("winner,loser,tie\na,b,perhaps\n", ["values of 'tie' that are not true or false: 1 ('perhaps' in line 2)"]),
        ("PK\3\4", ["a zip archive, such as NPZ or XLSX, and no table of judgements"]),
        ("[1]", ["entry 1 is no object"]),
        ("[]", ["no judgements"]),
        ('{"left": "a"}\n{bad\n', ["line 2: not valid JSON"]),
        ('{"left": "a\\u0000", "right": "\\ud800"}', ["texts that are not Unicode, or have a zero byte: 2"]),
    ],
)
def test_defects_are_refused_together(write: Write, text: str, messages: list[str]) -> None:
    line = refused(write(text))
    assert all(message in line for message in messages)


def test_images_may_have_small_numbers_for_names(write: Write) -> None:
    rows = ("0,1,1", "1,2,1", "2,0,0", "2,1,2")
    assert shares(read_votes(write("left,right,winner\n" + "\n".join(rows) + "\n"))) == [0, 1, 0, 1]


WORDS = ["left", "right", "a", "b", "label", "winner", "loser", "tie", "votes", "id", "user", "share", "item1", "item2"]
WORDS += ["left_votes", "right_votes", "group", "question", "0", "1", "2", "0.5", "-1", "true", "skip", "x.png", ""]
CELLS = st.one_of(st.sampled_from(WORDS), st.text(max_size=4))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=5), min_size=1, max_size=5),
    separator=st.sampled_from([",", ";", "\t"]),
    square=st.booleans(),
)
def test_any_table_is_read_or_refused_in_a_line(
    tmp_path: Path, rows: list[list[str]], separator: str, square: bool
) -> None:
    if square:
        rows = [(row * 5)[: len(rows[0])] for row in rows]
    path = tmp_path / "votes.csv"
    path.write_bytes("\n".join(separator.join(row) for row in rows).encode("utf-8", "replace"))
    check(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.dictionaries(
            st.sampled_from([*WORDS, "annotations", "data", "image_path", "human_preference", "rank", "result"]),
            st.recursive(
                st.one_of(
                    CELLS,
                    st.none(),
                    st.booleans(),
                    st.integers(-2, 3),
                    st.floats(allow_nan=False, allow_infinity=False),
                ),
                lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(CELLS, inner, max_size=3)),
                max_leaves=5,
            ),
            max_size=5,
        ),
        max_size=4,
    ),
    as_lines=st.booleans(),
)
def test_any_json_is_read_or_refused_in_a_line(tmp_path: Path, records: list[Any], as_lines: bool) -> None:
    path = tmp_path / "votes.json"
    path.write_text("\n".join(map(json.dumps, records)) if as_lines else json.dumps(records), encoding="utf-8")
    check(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "votes.csv"
    path.write_bytes(content)
    check(path)


def check(path: Path) -> None:
    """Make sure that a table is well-formed, or refused in one line."""
    try:
        votes = read_votes(path)
    except InputError as error:
        line = str(error)
        assert line.splitlines() == [line]
        return
    columns = (votes.left, votes.right, votes.tie, votes.weight, votes.lines, votes.rater, votes.id, votes.left_group)
    assert {len(column) for column in columns if column is not None} == {len(votes)}
    assert all(votes.left)
    assert all(votes.right)
    assert (votes.weight > 0).all()
    assert all(line.splitlines() == [line] for line in votes.understood)
    if votes.y is not None:
        assert ((votes.y >= 0) & (votes.y <= 1)).all()
        assert (votes.y[votes.tie] == 0.5).all()


def test_other_encodings_are_refused(write: Write) -> None:
    assert "not UTF-8 (byte 0xe4 in line 2)" in refused(write("left,right\nä,b\n", encoding="latin-1"))
    assert "not UTF-8 (byte 0x00 in line 1)" in refused(write("left,right\na,b\n", encoding="utf-16-le"))
    path = write("left")
    path.write_bytes(b"\xff\xfel\0\x00\xd8")
    assert "not UTF-16" in refused(path)


def test_a_missing_table(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "votes.csv")
