"""Commands take tables of judgements with ``--images`` and ``--columns``."""

import json
from pathlib import Path

import pytest

from twinrank.cli.main import main
from twinrank.data.source import read_reference

TYPEFACES = Path(__file__).parent.parent / "typefaces"
IMAGES = ["--images", str(TYPEFACES / "images")]
SMALL = ["--size", "16", "--channels", "1"]
QUICK = ["--set", "options.width=8", "--set", "train.epochs=1", "--set", "train.batch_size=128"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split table, and a network trained on it."""
    folder = tmp_path_factory.mktemp("tables")
    table = str(TYPEFACES / "votes.csv")
    main(["data", "split", table, *IMAGES, "--shares", "0.5,0.3,0.2", "--out", str(folder)])
    files = ["--train", str(folder / "train.csv"), "--val", str(folder / "val.csv")]
    quick = ["--width", "8", "--epochs", "1", "--batch-size", "128"]
    main(["train", "order_net", *files, *IMAGES, *SMALL, *quick, "--out", str(folder / "run")])
    return folder


def test_check_and_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(folder / f"{part}.csv") for part in ("train", "test")]
    main(["data", "check", *files, *IMAGES, *SMALL])
    said = capsys.readouterr().out
    assert "train.csv: " in said
    assert "of 16 x 16 grey uint8" in said
    assert "shared-images" not in said
    main(["data", "show", files[0], *IMAGES, *SMALL, "--out", str(folder / "sheet.png")])
    assert (folder / "sheet.png").is_file()


def test_order_and_plots(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, table = str(folder / "run"), str(folder / "test.csv")
    main(["order", run, table, *IMAGES, "--number", "5"])
    assert "5 images of test.csv" in capsys.readouterr().out
    main(["plot", "saliency", run, table, *IMAGES, "--pairs", "1", "--out", str(folder / "saliency.png")])
    main(["plot", "augmentations", table, *IMAGES, *SMALL, "--out", str(folder / "augmentations.png")])
    assert (folder / "saliency.png").is_file()
    assert (folder / "augmentations.png").is_file()


def test_a_student(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--train", str(folder / "train.csv"), "--val", str(folder / "val.csv")]
    out = folder / "student"
    arguments = ["distill", "--teacher", str(folder / "run"), "--student", "order_net", *files, *IMAGES, *SMALL, *QUICK]
    main([*arguments, "--out", str(out)])
    said = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("train.csv: ") for line in said) == 1
    assert "source" in json.loads((out / "config.json").read_text())["data"]["train"]


def test_trainings_in_processes_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--train", str(folder / "train.csv"), "--val", str(folder / "val.csv")]
    out = folder / "seeds"
    arguments = [
        "seeds",
        "order_net",
        *files,
        *IMAGES,
        *SMALL,
        *QUICK,
        "--seeds",
        "1",
        "--threads",
        "1",
        "--out",
        str(out),
    ]
    main(arguments)
    table, source = read_reference(out / "train.pairs.json")
    assert table.resolve() == (folder / "train.csv").resolve()
    assert source.reading.size == 16
    assert (out / "seed_1" / "weights.safetensors").is_file()
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--background", "black"])
    assert stopped.value.code == 2
    assert "refers to another table, or states something else; choose another --out" in capsys.readouterr().err
