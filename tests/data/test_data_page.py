"""The page about pair files is true: what it shows runs, and it names what can be found."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from twinrank.benchmark.submission import write_submission
from twinrank.cli.main import main
from twinrank.data.check import check_pairs

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {})
    assert capsys.readouterr().out == "100 (100, 3, 32, 48) float32 [0 1 0] ['0' '1' '2']\n"
    assert check_pairs([Path(name) for name in ("train.npz", "colour.npz", "val.npz", "test.npz", "photos")])
    assert Path("test_labels.csv").read_text().startswith(blocks("text")[0])
    write_submission(Path("submission.csv"), [f"T_{row:04d}" for row in range(100)], np.ones(100, int))
    (commands,) = blocks("sh")
    for command in commands.splitlines():
        main(shlex.split(command, comments=True)[1:])
    message = capsys.readouterr().out.splitlines()
    assert message[-1] == "submission.csv: fits test.npz; 100 rows, left ranks higher in 100 of them"
    assert Path("sheet.png").is_file()
