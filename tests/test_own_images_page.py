"""docs/own-images.md runs as it stands, on the small set that comes with the clone, with few epochs."""

import csv
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).parents[1]
SET = ROOT / "tests" / "typefaces"
PAGE = (ROOT / "docs" / "own-images.md").read_text(encoding="utf-8")
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ").splitlines()
SMALL = ["--epochs", "1", "--size", "16", "--width", "2"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_its_commands_run(tmp_path: Path, called: Callable[..., CompletedProcess[str]]) -> None:
    shutil.copytree(SET / "images", tmp_path / "photos")
    shutil.copy(SET / "votes.csv", tmp_path)
    for command in COMMANDS:
        words = shlex.split(command, comments=True)[1:]
        done = called(*words, *(SMALL if words[0] == "train" else []), cwd=tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    ranking = rows(tmp_path / "ranking.csv")
    assert [*ranking[0]][:5] == ["image", "score", "low", "high", "rank"]
    assert {row["image"] for row in ranking} == {row["image"] for row in rows(SET / "truth.csv")}
    assert [*rows(tmp_path / "p.csv")[0]] == ["id", "label", "probability", "tie", "logit", "left", "right"]
    assert len(rows(tmp_path / "next.csv")) == 100


def test_it_shows_the_table_that_comes_along() -> None:
    assert "".join((SET / "votes.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:4]) in PAGE
