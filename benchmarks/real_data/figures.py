"""Figures of the command line on a set of real images whose truth is known.

    python -m benchmarks.real_data.figures SET RUNS --out FILE.json [--fit FIT] [--size N] [--epochs N] [--width N]

SET is a folder that ``python -m benchmarks.real_data`` made, and RUNS a folder for splits, runs and rankings. What is
there already is used again. A third of the votes is held out before anything else. The others are divided by images.
A network is trained on them, and a second one without the column of the raters. All images are ranked with the votes
that are not held out. The figures compare predictions with the held-out votes, and scores with the truth.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_data.choice import compare
from benchmarks.real_data.compared import calibration, people, ranking, without_raters
from benchmarks.real_data.tables import Rows, read_table, write_table
from twinrank.core.provenance import provenance
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.simulate import Crowd
from twinrank.runs import RunFolder
from twinrank.workflows.rank import ScoredImages, score_images

HELD_OUT = 1 / 3
SHARES = "0.6,0.2,0.2"
TRUE_PAIRS = 4000


@dataclass
class Set:
    """A set, and the place for what is made of it.

    Attributes:
        folder: Folder with images, votes and truth.
        runs: Folder for splits, runs and rankings.
        commands: Seconds of the commands so far.
    """

    folder: Path
    runs: Path
    commands: dict[str, float] = field(default_factory=dict)

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def path(self, name: str) -> Path:
        return self.runs / name

    def call(self, made: str, *words: str | Path | int) -> None:
        """Runs a command of twinrank, unless what it makes is there.

        Args:
            made: File that it writes last, below ``runs``.
            words: Arguments of the command.
        """
        arguments = [str(word) for word in words]
        noted = self.path("commands.json")
        if noted.exists():
            self.commands = json.loads(noted.read_text())
        if self.path(made).exists():
            return
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "twinrank", *arguments], check=True)
        self.commands[shlex.join(["twinrank", *arguments])] = round(time.perf_counter() - begin, 1)
        noted.write_text(json.dumps(self.commands, indent=1))


def main() -> None:
    """Makes the figures of one set."""
    parser = argparse.ArgumentParser(prog="benchmarks.real_data.figures")
    parser.add_argument("set", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fit", choices=("resize", "crop", "pad", "native"), default="resize")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=8)
    asked = parser.parse_args()
    of = Set(asked.set, asked.runs)
    prepare(of)
    values = ["--fit", asked.fit, "--size", asked.size, "--epochs", asked.epochs, "--width", asked.width, "--views", 1]
    for run, columns in (("run", []), ("run_without_raters", ["--columns", "rater="])):
        files = ["--train", of.path("train.csv"), "--val", of.path("val.csv"), "--images", of.images]
        of.call(f"{run}/weights.safetensors", "train", "order_net", *files, *columns, *values, "--out", of.path(run))
        tests = of.path("test.csv"), of.path("true.csv")
        of.call(f"{run}/metrics/true.json", "evaluate", of.path(run), *tests, "--images", of.images)
    for name, more in (("network.csv", []), ("ranking.csv", ["--judgements", of.path("known.csv")])):
        of.call(name, "rank", of.path("run"), of.images, *more, "--out", of.path(name))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(figures(of, values), indent=1) + "\n")


def prepare(of: Set) -> None:
    """Holds out votes, divides the others by images, and writes pairs of test images in their true order."""
    if of.path("true.csv").exists():
        return
    rows = read_table(of.folder / "votes.csv")
    held = np.random.default_rng(0).random(len(rows)) < HELD_OUT
    for name, mask in (("known.csv", ~held), ("held.csv", held)):
        write_table(of.path(name), [row for row, wanted in zip(rows, mask, strict=True) if wanted])
    split = ["--images", of.images, "--out", of.runs, "--shares", SHARES]
    of.call("test.csv", "data", "split", of.path("known.csv"), *split)
    write_table(of.path("true.csv"), true_pairs(of))


def true_pairs(of: Set) -> Rows:
    """Pairs of test images, with the winner by the true scores; no two equal ones."""
    truth = {row["image"]: float(row["score"]) for row in read_table(of.folder / "truth.csv")}
    test = sorted({row[side] for row in read_table(of.path("test.csv")) for side in ("left", "right")})
    rng = np.random.default_rng(0)
    pairs = [rng.choice(test, 2, replace=False).tolist() for _ in range(TRUE_PAIRS)]
    return [
        {"left": left, "right": right, "outcome": "left" if truth[left] > truth[right] else "right"}
        for left, right in pairs
        if truth[left] != truth[right]
    ]


def figures(of: Set, values: list[str | int]) -> dict[str, Any]:
    """All figures of a set."""
    run = RunFolder(of.path("run"))
    metrics = {name: json.loads(run.metrics(name).read_text()) for name in ("test", "true")}
    truth = {row["image"]: float(row["score"]) for row in read_table(of.folder / "truth.csv")}
    crowd = json.loads((of.folder / "crowd.json").read_text())
    scored = score_images([run.path], of.images, of.path("known.csv"))
    found: dict[str, Any] = {
        "set": of.folder.name,
        "images": len(truth),
        "votes": len(read_table(of.folder / "votes.csv")),
        "test": {name: metrics["test"][name] for name in ("metrics", "agreement") if name in metrics["test"]},
        "true_order_of_test_images": metrics["true"]["metrics"]["accuracy"],
        "raters_against_none": without_raters(of.path("run"), of.path("run_without_raters")),
        "people": people(scored.scores.judging, crowd),
        "ranking": ranking(of.runs, truth, crowd),
        "calibration_of_held_out_votes": calibration(scored, of.path("held.csv")),
        "next_against_chance": next_against_chance(of, scored, truth, crowd),
    }
    return (
        found
        | provenance(shlex.join(["python", "-m", "benchmarks.real_data.figures", *sys.argv[1:]]))
        | {"seconds": of.commands}
    )


def next_against_chance(
    of: Set, scored: ScoredImages, truth: dict[str, float], crowd: dict[str, Any]
) -> dict[str, Any]:
    """Chosen against random pairs of the test images, which begin with the network's scores alone."""
    test = {row[side] for row in read_table(of.path("test.csv")) for side in ("left", "right")}
    chosen = [number for number, name in enumerate(scored.names) if name in test]
    true = crowd["scale"] * np.array([truth[scored.names[number]] for number in chosen])
    people = [*crowd["raters"].values()]
    sharpness, bias = (np.array([each[key] for each in people]) for key in ("sharpness", "bias"))
    scores = scored.scores
    return compare(
        scored.network[chosen], Prior(tau=scores.prior.tau), scores.judging, true, Crowd(sharpness, bias, crowd["nu"])
    )


if __name__ == "__main__":
    main()
