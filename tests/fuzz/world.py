"""A small folder of everything that twinrank reads, made by its own commands: the corpus that is bent."""

import csv
import json
import shutil
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist
from twinrank.cli.main import main
from twinrank.config import BenchmarkConfig
from twinrank.labelling.storage import LabelStore

TESTS = Path(__file__).parents[1]
_SMALL = BenchmarkConfig(severity=1, pairs_train=64, pairs_val=32, pairs_public=16, pairs_private=16)
_FORMATS = ("png", "jpg", "webp", "tif", "bmp", "gif")
_RECIPE = {"model": "order_net", "options": {"width": 4}, "train": {"epochs": 1}}
_TRAIN = ("--epochs", "1", "--width", "4", "--threads", "1")


class Target(NamedTuple):
    """Files that are bent, one at a time, and commands that read them.

    Attributes:
        files: Patterns of files in the world.
        commands: Command lines; ``FILE`` stands for the bent file.
    """

    files: tuple[str, ...]
    commands: tuple[str, ...]


TARGETS = {
    "tables": Target(
        ("votes.*",),
        ("data check FILE --images pictures", "rank runs/own pictures --judgements FILE --judged-images pictures"),
    ),
    "databases": Target(
        ("labels.db",),
        (
            "label export FILE --out exported.csv",
            "data check FILE --images pictures",
            "rank runs/own pictures --judgements FILE",
        ),
    ),
    "images": Target(
        ("pictures/*",),
        ("data check votes.csv --images pictures", "rank runs/own pictures", "data export votes.csv --images pictures"),
    ),
    "pairs": Target(
        ("data/*.npz", "data/*.csv"),
        (
            "data check data/val.npz",
            "evaluate runs/digits data/test_public.npz",
            "predict --run runs/digits --data FILE --out predicted.csv",
            "submit check data/test_public_labels.csv --test data/test_public.npz",
        ),
    ),
    "runs": Target(
        ("runs/digits/*", "runs/digits/*/*"),
        (
            "evaluate runs/digits data/test_public.npz",
            "predict --run runs/digits --data data/val.npz --out predicted.csv",
            "report runs/digits",
            "resume runs/digits",
            "leaderboard runs/digits",
            "verify runs/digits",
            "slim runs/digits --out slim",
            "plot curves runs/digits --out curves.png",
        ),
    ),
    "recipes": Target(("recipe.yaml",), ("run FILE --train data/train.npz --val data/val.npz --out made",)),
}
"""What is bent, by name."""


def make_world(folder: Path) -> None:
    """Make the corpus.

    Args:
        folder: Folder that is made.
    """
    folder.mkdir()
    with np.load(TESTS / "digits.npz") as arrays:
        make_benchmark(Mnist(**arrays), folder / "data", _SMALL, jobs=1)
    images = sorted((TESTS / "typefaces" / "images").iterdir())[:12]
    (folder / "pictures").mkdir()
    for number, path in enumerate(images):
        with Image.open(path) as image:
            small = image.convert("RGB").resize((48, 40))
        small.save(folder / "pictures" / f"{number:02}.{_FORMATS[number % len(_FORMATS)]}")
    _write_votes(folder)
    (folder / "recipe.yaml").write_text(json.dumps(_RECIPE, indent=1))
    with chdir(folder), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        for command in (
            ("train", "order_net", "--train", "data/train.npz", "--val", "data/val.npz", "--out", "runs/digits"),
            (
                "train",
                "order_net",
                "--train",
                "votes.csv",
                "--val",
                "later.csv",
                "--images",
                "pictures",
                "--out",
                "runs/own",
            ),
        ):
            main([*command, *_TRAIN])
        main(["evaluate", "runs/digits", "data/val.npz"])


def copied(world: Path, folder: Path) -> Path:
    """A copy of the corpus, in place of the last one.

    Args:
        world: Corpus.
        folder: Folder of the copy.
    """
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(world, folder, symlinks=True))


def _write_votes(folder: Path) -> None:
    """The same votes as a table of each format, and as a database."""
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    rng = np.random.default_rng(0)
    pairs = [tuple(map(str, rng.choice(names, 2, replace=False))) for _ in range(60)]
    rows = [{"left": a, "right": b, "winner": max(a, b), "rater": f"r{n % 3}"} for n, (a, b) in enumerate(pairs)]
    for name, some in (("votes.csv", rows[:40]), ("votes.tsv", rows[:40]), ("later.csv", rows[40:])):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, [*rows[0]], delimiter="\t" if name.endswith("tsv") else ",")
            table.writeheader()
            table.writerows(some)
    (folder / "votes.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    store = LabelStore(folder / "labels.db", "Bolder?")
    for left, right in pairs[:20]:
        store.answer(store.show(left, right, "at random", "Ada").id, "Ada", "left" if left > right else "right")
    store.close()
