"""Makes a set of real images, the votes of a simulated crowd on it, and the truth behind them.

    python -m benchmarks.real_data typefaces OUT --fonts FOLDER [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data cells OUT [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data photographs OUT [--images N] [--votes N] [--seed N]

It writes the folder ``OUT/images``; ``OUT/votes.csv``, a table as people have it, with the columns ``photo_1``,
``photo_2``, ``winner`` (a name, or ``tie``) and ``worker``; ``OUT/truth.csv``, the true score of each image; and
``OUT/crowd.json``, what the crowd is like. The same arguments give the same pixels and votes.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.real_data.cells import cells
from benchmarks.real_data.crowd import Crowd, make_crowd, vote
from benchmarks.real_data.photographs import photographs
from benchmarks.real_data.picture import Picture
from benchmarks.real_data.typefaces import find_fonts, typefaces
from twinrank.errors import InputError

LONGEST = (96, 320)


def main(arguments: list[str] | None = None) -> None:
    """Makes one set, as the command line says."""
    asked = _parser().parse_args(arguments)
    try:
        scores = write_images(_pictures(asked), asked.out)
    except InputError as error:
        sys.exit(f"error: {error}")
    crowd = make_crowd(asked.raters, asked.seed, asked.careless, asked.bias, asked.ties)
    write_votes(scores, crowd, asked.votes, asked.seed, asked.out)
    print(f"{asked.out}: {len(scores):,} images, {asked.votes:,} votes of {asked.raters} people")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.real_data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", choices=("typefaces", "cells", "photographs"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--fonts", type=Path, help="folder in which `npm install @fontsource/...` ran")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--votes", type=int, default=10_000)
    parser.add_argument("--raters", type=int, default=12)
    parser.add_argument("--careless", type=float, default=0.3, help="share of people who hardly look")
    parser.add_argument("--bias", type=float, default=0.3, help="spread of people's bias for a side, as a log-odds")
    parser.add_argument("--ties", type=float, default=0.5, help="Davidson's nu")
    parser.add_argument("--longest", type=int, nargs=2, default=LONGEST, help="bounds of a word image's longer side")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def _pictures(asked: argparse.Namespace) -> Iterable[Picture]:
    if asked.set == "cells":
        return cells(asked.images, asked.seed)
    if asked.set == "photographs":
        return photographs(asked.images, asked.seed)
    if asked.fonts is None:
        raise InputError("typefaces need --fonts FOLDER")
    return typefaces(find_fonts(asked.fonts), asked.images, asked.seed, tuple(asked.longest))


def write_images(pictures: Iterable[Picture], out: Path) -> dict[str, float]:
    """Writes images and ``truth.csv``.

    Args:
        pictures: Images of one set.
        out: Folder of the set.

    Returns:
        True scores by name.
    """
    scores = {}
    rows = []
    for picture in pictures:
        path = out / "images" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.write(path)
        scores[picture.name] = picture.score
        rows.append({"image": picture.name, "score": round(picture.score, 4)} | picture.facts)
    _write_table(out / "truth.csv", rows)
    return scores


def write_votes(scores: dict[str, float], crowd: Crowd, count: int, seed: int, out: Path) -> None:
    """Writes ``votes.csv`` and ``crowd.json``.

    Args:
        scores: True scores by name.
        crowd: Those who vote.
        count: Number of votes.
        seed: Seed of the votes.
        out: Folder of the set.
    """
    names = list(scores)
    votes = vote(crowd, np.array([*scores.values()]), count, seed)
    rows = []
    for left, right, outcome, rater in zip(*votes.values(), strict=True):
        winner = {1.0: names[left], 0.0: names[right]}.get(float(outcome), "tie")
        rows.append({"photo_1": names[left], "photo_2": names[right], "winner": winner, "worker": crowd.names[rater]})
    _write_table(out / "votes.csv", rows)
    people = {
        name: {"sharpness": round(float(sharpness), 4), "bias": round(float(bias), 4)}
        for name, sharpness, bias in zip(crowd.names, crowd.sharpness, crowd.bias, strict=True)
    }
    (out / "crowd.json").write_text(json.dumps({"nu": crowd.tie, "raters": people}, indent=1) + "\n")


def _write_table(path: Path, rows: list[dict[str, str | float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
