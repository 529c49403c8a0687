from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.benchmark.submission import check_submission, write_submission
from twinrank.errors import InputError

IDS = ["PRV_0000000", "PRV_0000001", 'a "quoted", id', "ü"]
LABELS = [1, 0, 0, 1]


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 8, 16), np.uint8), id=np.array(IDS))
    return tmp_path / "test.npz"


@pytest.mark.parametrize("labels", [LABELS, np.array(LABELS, bool), np.array(LABELS, np.int8), np.array(LABELS, float)])
def test_what_is_written_fits(test_file: Path, tmp_path: Path, labels: Any) -> None:
    path = tmp_path / "new" / "submission.csv"
    write_submission(path, np.array(IDS), labels)
    summary = check_submission(path, test_file)
    assert (summary.rows, summary.left_higher) == (4, 2)
    assert path.read_bytes().startswith(b"id,label\nPRV_0000000,1\nPRV_0000001,0\n")


def test_the_order_of_rows_does_not_matter(test_file: Path, tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.csv", IDS[::-1], LABELS)
    assert check_submission(tmp_path / "submission.csv", test_file).rows == 4


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        (IDS, LABELS[:3], "4 ids and 3 labels; lengths must be the same"),
        ([*IDS[:3], IDS[0]], LABELS, "ids that occur again: 1 ('PRV_0000000' in row 3)"),
        ([*IDS[:3], ""], LABELS, "missing ids: 1 (row 3)"),
        (IDS, [0, 1, 2, 1], "labels other than 0 and 1: 1 ('2' in row 2)"),
        (IDS, [0, 1, 0.5, float("nan")], "labels other than 0 and 1: 2 ('0.5' in row 2, 'nan' in row 3)"),
    ],
)
def test_what_would_not_fit_is_not_written(tmp_path: Path, ids: list[str], labels: list[Any], message: str) -> None:
    path = tmp_path / "submission.csv"
    with pytest.raises(InputError) as caught:
        write_submission(path, ids, labels)
    assert message in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["PRV_0000000,1", "PRV_0000001,0", "ü,1"], "ids of test.npz that are not there: 1 ('a \"quoted\", id')"),
        ([*"abc", "PRV_0000000,1"], "line 2 has 1 cells, the header has 2"),
        (["PUB_0000000,1"], "ids that are not in test.npz: 1 ('PUB_0000000' in line 2)"),
        (["PRV_0000000,1", "PRV_0000000,1"], "ids that occur again: 1 ('PRV_0000000' in line 3)"),
        (["PRV_0000000,", "ü,1"], "missing labels: 1 (line 2)"),
        ([",1", "ü,1"], "missing ids: 1 (line 2)"),
        (["PRV_0000000,0.73"], "labels other than 0 and 1: 1 ('0.73' in line 2)"),
        (["PRV_0000000,True"], "labels other than 0 and 1: 1 ('True' in line 2)"),
    ],
)
def test_what_does_not_fit_is_refused(test_file: Path, tmp_path: Path, rows: list[str], message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("\n".join(["id,label", *rows]), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        check_submission(path, test_file)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,prediction\nü,1\n", "column 'label' is missing, the first line has 'id', 'prediction'"),
        ("id,label,probability\nü,1,0.9\n", "unknown column 'probability'; the columns are id, label"),
        ("", "empty; the first line names the columns id,label"),
    ],
)
def test_other_tables_are_refused(test_file: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        check_submission(path, test_file)
    assert message in str(caught.value)


def test_missing_files_are_named(test_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        check_submission(tmp_path / "none.csv", test_file)
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        check_submission(tmp_path / "none.csv", tmp_path / "none.npz")
