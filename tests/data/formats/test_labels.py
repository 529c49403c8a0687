from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinrank.data.judgements import load_pairs

Refusal = Callable[..., str]

IDS = ["a", "b", "ü 3", "d"]


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 8, 16), np.uint8), id=np.array(IDS))
    return tmp_path / "test.npz"


def table(path: Path, *rows: str, header: str = "id,label") -> Path:
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


GOOD = ("a,1", "b,0", "ü 3,0", "d,1")


def test_labels_beside_the_file_are_found(npz: Path) -> None:
    unlabelled = load_pairs(npz)
    table(npz.with_name("test_labels.csv"), *GOOD)
    labelled = load_pairs(npz)
    assert unlabelled.y is None
    assert labelled.y is not None
    assert labelled.y.dtype == np.int8
    assert labelled.y.tolist() == [1, 0, 0, 1]
    assert labelled.sha256 == unlabelled.sha256


def test_labels_that_are_given_come_before_those_beside(npz: Path, tmp_path: Path) -> None:
    table(npz.with_name("test_labels.csv"), "nonsense")
    data = load_pairs(npz, table(tmp_path / "mine.csv", *GOOD))
    assert data.y is not None
    assert data.y.tolist() == [1, 0, 0, 1]


def test_labels_in_the_file_come_before_those_beside(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 8, 16), np.uint8), y=np.array([0, 1]))
    table(tmp_path / "a_labels.csv", "0,1", "1,0")
    data = load_pairs(tmp_path / "a.npz")
    assert data.y is not None
    assert data.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    "content",
    [
        "id,label\nd,1\nü 3,0\nb,0\na,1\n",
        "\ufeffid,label\r\na,1\r\nb,0\r\nü 3,0\r\nd,1",
        'label,id\n"1","a"\n 0 , b \n\n0,ü 3\n1,d\n\n',
    ],
    ids=["any order", "byte order mark, CRLF, no last line end", "columns swapped, quotes, blanks, empty lines"],
)
def test_labels_are_matched_by_id(npz: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode())
    data = load_pairs(npz, path)
    assert data.y is not None
    assert data.y.tolist() == [1, 0, 0, 1]


def test_rows_without_ids_are_known_by_their_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", x=np.zeros((3, 8, 16), np.uint8))
    data = load_pairs(tmp_path / "bare.npz", table(tmp_path / "labels.csv", "2,1", "0,0", "1,0"))
    assert data.id is None
    assert data.y is not None
    assert data.y.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a,1", "b,0", "d,1"), "ids of test.npz that are not there: 1 ('ü 3')"),
        ((*GOOD, "e,1"), "ids that are not in test.npz: 1 ('e' in line 6)"),
        ((*GOOD, "b,1"), "ids that occur again: 1 ('b' in line 6)"),
        ((*GOOD, ",1"), "missing ids: 1 (line 6)"),
        (("a,", "b,0", "ü 3,0", "d,1"), "missing labels: 1 (line 2)"),
        (("a,2", "b,0", "ü 3,yes", "d,1.0"), "labels other than 0 and 1: 3 ('2' in line 2, 'yes' in line 4, '1.0' in"),
        ((), "ids of test.npz that are not there: 4 ('a', 'b', 'ü 3' and 1 more)"),
        ((",7", "b,"), "missing ids: 1 (line 2); missing labels: 1 (line 3); labels other than 0 and 1: 1 ('7' in li"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    npz: Path, tmp_path: Path, refusal: Refusal, rows: tuple[str, ...], message: str
) -> None:
    path = table(tmp_path / "labels.csv", *rows)
    line = refusal(npz, path, at_fault=path)
    assert message in line
    assert line.endswith("it needs every id of test.npz once, with label 0 or 1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; the first line names the columns id,label"),
        ("id,label\na,1\nü 3,0\n".encode("latin-1"), "not UTF-8 (byte 0xfc in line 3); save it as CSV in UTF-8"),
        ("id,label\na,1\n".encode("utf-16"), "not UTF-8 (byte 0xff in line 1); save it as CSV in UTF-8"),
        ("id,label\na,1\n".encode("utf-16-le"), "not UTF-8 (byte 0x00 in line 1); save it as CSV in UTF-8"),
        (b"PK\x03\x04\x00\x01", "not UTF-8 (byte 0x00 in line 1)"),
        (
            b"id\na\n",
            "column 'label' is missing, the first line has 'id'; the columns are id, label, separated by commas",
        ),
        (
            b"id;label\na;1\n",
            "column 'id' is missing, the first line has 'id;label'; the columns are id, label, separated",
        ),
        (b"a,1\nb,0\n", "column 'id' is missing, the first line has 'a', '1'"),
        (b"id,label,weight\na,1,2\n", "unknown column 'weight'; the columns are id, label"),
        (b"id,label,id\na,1,a\n", "column 'id' occurs 2 times"),
        (b"id,label\na,1\nb\n", "line 3 has 1 cells, the header has 2; quote cells that have commas"),
        (b"id,label\na,1,0\n", "line 2 has 3 cells, the header has 2"),
        (b'id,label\n"a,1\nb,0\n', "is not valid CSV (unexpected end of data); check its quotation marks"),
        (b'id,label\n"a"b,1\n', "line 2 is not valid CSV"),
        (b"id,label\n" + b"a" * 200_000 + b",1\n", "line 2 is not valid CSV (field larger than field limit"),
    ],
)
def test_files_that_are_no_label_table_are_refused(
    npz: Path, tmp_path: Path, refusal: Refusal, content: bytes, message: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    assert message in refusal(npz, path, at_fault=path)


def test_a_label_file_that_does_not_exist_is_refused(npz: Path, tmp_path: Path, refusal: Refusal) -> None:
    assert "no such file" in refusal(npz, tmp_path / "none.csv", at_fault=tmp_path / "none.csv")
    assert "cannot be read (it is a folder); give a file" in refusal(npz, tmp_path, at_fault=tmp_path)


def test_labels_given_twice_are_refused(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 8, 16), np.uint8), y=np.array([0, 1]))
    labels = table(tmp_path / "labels.csv", "0,1", "1,0")
    line = refusal(tmp_path / "a.npz", labels)
    assert f"has labels already (key 'y'); leave out {labels}, or remove the labels from one of them" in line
