"""What it is worth to model careless raters: the same network with and without the column of the raters.

    python -m benchmarks.careless_raters WORK SET [SET ...] --out FILE.json

A SET is a folder that ``python -m benchmarks.own_images cells-raters`` made: 10,000 votes by 20 raters, of whom 30% are
careless, and pairs of other images with their true winners. The head on frozen features is fitted to its optimum, so no
chance of a training lies between the two. Their difference is tested over images.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.real_data.compared import without_raters
from twinrank.core.provenance import provenance


def main() -> None:
    """Makes the figures of all sets."""
    parser = argparse.ArgumentParser(prog="benchmarks.careless_raters")
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--votes", default="votes-raters.csv")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = {each.name: compared(each, asked.votes, asked.work / each.name) for each in asked.sets}
    command = shlex.join(["python", "-m", "benchmarks.careless_raters", *sys.argv[1:]])
    asked.out.write_text(json.dumps({"sets": found} | provenance(command), indent=1) + "\n")


def compared(given: Path, votes: str, work: Path) -> dict[str, Any]:
    """The two networks of a set, made below ``work`` unless they are there, on its true pairs."""
    runs = work / "raters", work / "without"
    for run, columns in zip(runs, ([], ["--columns", "rater="]), strict=True):
        if not (run / "metrics" / "test.json").exists():
            files = ["--train", given / votes, "--images", given / "train", *columns]
            _call("train", "efficientnet_lite0", *files, "--out", run)
            _call("evaluate", run, given / "test.csv", "--images", given / "test")
    metrics = [json.loads((run / "metrics" / "test.json").read_text())["metrics"] for run in runs]
    accuracy = {name: each["accuracy"] for name, each in zip(("raters", "without"), metrics, strict=True)}
    return accuracy | {"raters_against_none": without_raters(*runs, key="test")}


def _call(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "twinrank", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
