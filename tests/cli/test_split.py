"""``twinrank data split`` says what it understood, and what the parts have."""

from pathlib import Path

import pytest

from twinrank.cli.main import main

ROWS = [(row % 40, (row + 1 + (row * 7 + row // 40) % 39) % 40) for row in range(600)]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with names of its own for the columns, in the working folder, and its images in ``photos``."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for image in range(40):
        Path("photos", f"{image}.png").write_text(str(image))
    lines = [f"{left}.png;{right}.png;oben;{left // 4};{right // 4}" for left, right in ROWS]
    Path("votes.csv").write_text("\n".join(("erstes;zweites;wahl;g1;g2", *lines)) + "\n", encoding="utf-8")
    return Path("votes.csv")


def test_a_table_is_split(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = "left=erstes,right=zweites,outcome=wahl,left_is=oben,left_group=g1,right_group=g2"
    arguments = ["data", "split", str(table), "--images", "photos", "--columns", columns, "--by", "group"]
    main([*arguments, "--shares", "0.5,0.25,0.25", "--seed", "2", "--out", "parts"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "votes.csv: 600 judgements of 40 images"
    assert said[1].startswith("left = erstes, right = zweites, outcome = wahl (oben is left), left_group = g1")
    assert said[2].startswith("parts/train.csv: ")
    assert said[2].endswith(" judgements of 20 images")
    assert [line.partition(":")[0] for line in said[3:6]] == [
        f"parts/{name}.csv" for name in ("val", "test", "crossing")
    ]
    assert "of 600 judgements" in said[6]
    assert len(said) == 7
    assert sorted(path.name for path in Path("parts").iterdir()) == ["crossing.csv", "test.csv", "train.csv", "val.csv"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            [],
            "votes.csv: no two columns of images among 'erstes', 'zweites', 'wahl', 'g1', 'g2'; name them",
        ),
        (
            ["--columns", "left=erstes,right=zweites,outcome=wahl,left_is=oben", "--by", "group"],
            "no column of groups; name it with --columns",
        ),
        (
            ["--columns", "left=erstes,right=zweites,outcome=wahl,left_is=oben", "--shares", "0.5,0.5"],
            "--shares: 0.5,0.5 are not possible",
        ),
        (["--columns", "left=erstes,rigt=zweites"], "--columns: unknown role 'rigt'; did you mean 'right'?"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_command_line(
    table: Path, capsys: pytest.CaptureFixture[str], more: list[str], line: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["data", "split", str(table), "--images", "photos", "--out", "parts", *more])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert line in printed
    assert printed.count("\n") == 1
    assert not Path("parts").exists()
