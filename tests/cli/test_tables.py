"""Commands take tables of judgements with ``--images`` and ``--columns``."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from twinrank.cli.images import ImageFlags
from twinrank.cli.main import main
from twinrank.data.images.reading import Reading
from twinrank.data.judgements import load_pairs
from twinrank.data.source import Source, kept_references, write_reference
from twinrank.errors import InputError

TYPEFACES = Path(__file__).parent.parent / "typefaces"
IMAGES = ["--images", str(TYPEFACES / "images")]
SMALL = ["--size", "16", "--channels", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split table, and a network trained on it."""
    folder = tmp_path_factory.mktemp("tables")
    table = str(TYPEFACES / "votes.csv")
    main(["data", "split", table, *IMAGES, "--shares", "0.5,0.3,0.2", "--out", str(folder)])
    files = ["--train", str(folder / "train.csv"), "--val", str(folder / "val.csv")]
    quick = ["--width", "8", "--epochs", "1", "--batch-size", "128", "--views", "1"]
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
    assert (folder / "saliency.png").is_file()
    main(["plot", "augmentations", table, *IMAGES, *SMALL, "--out", str(folder / "augmentations.png")])
    assert (folder / "augmentations.png").is_file()


OVERWRITES = {
    "data show votes.csv --images photos": "photos/word_0001.png photos/word_0002.png",
    "data show photos": "photos/word_0001.png",
    "plot augmentations votes.csv --images photos": "photos/word_0001.png",
    "plot saliency run votes.csv --images photos": "photos/word_0001.png",
    "order run cycles.csv --images photos": "photos",
    "order run pairs.json --images photos": ".",
    "predict --run run --data votes.csv --images photos": "votes.csv link.csv",
    "predict --run run --data votes.pairs.json": "votes.csv",
    "predict --run run --data photos": "photos/votes.csv",
    "predict --data new.npz": "new_labels.csv ./new_labels.csv",
    "rank run photos --judgements votes.csv": "votes.csv",
    "rank run photos --judgements photos": "photos/votes.csv",
    "next run photos --judgements votes.pairs.json": "votes.csv",
}
"""Outputs of commands that would replace what these read, or be read as labels afterwards."""


def test_nothing_that_is_read_is_replaced(
    folder: Path, tmp_path: Path, called: Callable[..., CompletedProcess[str]]
) -> None:
    shutil.copytree(TYPEFACES / "images", tmp_path / "photos")
    shutil.copy(TYPEFACES / "votes.csv", tmp_path)
    shutil.copy(TYPEFACES / "votes.csv", tmp_path / "photos")
    shutil.copy(tmp_path / "photos" / "word_0001.png", tmp_path / "photos" / "cycles.png")
    (tmp_path / "cycles.csv").write_text("left,right\ncycles.png,word_0001.png\n")
    (tmp_path / "pairs.json").write_text('[{"left": "cycles.png", "right": "word_0001.png"}]')
    (tmp_path / "order.json").hardlink_to(tmp_path / "pairs.json")
    (tmp_path / "link.csv").symlink_to("votes.csv")
    (tmp_path / "run").symlink_to(folder / "run")
    (tmp_path / "new.npz").touch()
    write_reference(tmp_path / "votes.pairs.json", tmp_path / "votes.csv", Source(tmp_path / "photos"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "run" not in path.parts}
    for command, outs in OVERWRITES.items():
        for out in outs.split():
            done = called(*command.split(), "--out", out, cwd=tmp_path)
            assert done.returncode == 2, command
            assert "choose another name with --out" in done.stderr, command
            assert done.stderr.count(os.linesep) == 1
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "run" not in path.parts}
    assert after == before


def test_what_is_stated_is_kept_for_other_processes(tmp_path: Path) -> None:
    table, source = TYPEFACES / "votes.csv", ImageFlags(images=TYPEFACES / "images", size=(16,)).source()
    kept, other = kept_references(table, Path("val.npz"), tmp_path, source)
    assert (kept, other) == (tmp_path / "train.pairs.json", Path("val.npz"))
    assert load_pairs(kept).images.shape[1:] == (16, 16)
    assert kept_references(table, Path("val.npz"), tmp_path, source)[0] == kept
    assert kept_references(table, table, tmp_path, Source()) == (table, table)
    for another in (replace(source, reading=Reading(background="black")), replace(source, images=TYPEFACES)):
        with pytest.raises(InputError, match="refers to another table, or states something else; choose another `out`"):
            kept_references(table, table, tmp_path, another)
        assert not (tmp_path / "val.pairs.json").exists()
