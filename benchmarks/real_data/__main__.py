"""Makes a set of real images, the votes of a simulated crowd on it, and the truth behind them.

    python -m benchmarks.real_data typefaces OUT --fonts FOLDER [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data cells OUT [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data photographs OUT [--images N] [--votes N] [--seed N]

It writes the folder ``OUT/images``; ``OUT/votes.csv``, a table as people have it, with the columns ``photo_1``,
``photo_2``, ``winner`` (a name, or ``tie``) and ``worker``; ``OUT/truth.csv``, the true score of each image; and
``OUT/crowd.json``, the parameters of the crowd. The same arguments give the same pixels and votes.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.real_data.cells import cells
from benchmarks.real_data.photographs import photographs
from benchmarks.real_data.picture import Picture
from benchmarks.real_data.tables import write_table
from benchmarks.real_data.typefaces import find_fonts, typefaces
from twinrank.errors import InputError
from twinrank.evaluation.simulate import Crowd, make_crowd, random_pairs, simulate_crowd

LONGEST = (96, 320)
COLUMNS = ("photo_1", "photo_2", "winner", "worker")
JUDGED_TWICE = 0.2
"""Share of the votes that are on pairs which two people judge, so that their agreement is known."""


def main(arguments: list[str] | None = None) -> None:
    """Makes one set, as the command line says."""
    asked = _parser().parse_args(arguments)
    try:
        scores = write_images(_pictures(asked), asked.out)
    except InputError as error:
        sys.exit(f"error: {error}")
    crowd = make_crowd(asked.raters, asked.seed, careless=asked.careless, bias=asked.bias, nu=asked.ties)
    write_votes(scores, crowd, asked.votes, asked.seed, asked.out)
    print(f"{asked.out}: {len(scores):,} images, {asked.votes:,} votes of {asked.raters} people")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.real_data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", choices=("typefaces", "cells", "photographs"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--fonts", type=Path, help="folder in which `npm install @fontsource/...` ran")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--votes", type=int, default=20_000)
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
    write_table(out / "truth.csv", rows)
    return scores


def write_votes(scores: dict[str, float], crowd: Crowd, count: int, seed: int, out: Path) -> None:
    """Writes ``votes.csv`` and ``crowd.json``.

    The sharpnesses in ``crowd.json`` have the geometric mean 1. True scores times its ``scale`` belong to these.

    Args:
        scores: True scores by name.
        crowd: Those who vote.
        count: Number of votes.
        seed: Seed of the votes.
        out: Folder of the set.
    """
    names = list(scores)
    rows = []
    for part, votes in enumerate((1, 2)):
        share = JUDGED_TWICE if votes == 2 else 1 - JUDGED_TWICE
        left, right = random_pairs(len(names), round(share * count) // votes, seed + part)
        judged = simulate_crowd(np.array([*scores.values()]), left, right, crowd, seed + part, votes)
        for first, second, y, rater in zip(judged.left, judged.right, judged.y, judged.rater, strict=True):
            winner = {1.0: names[first], 0.0: names[second]}.get(float(y), "tie")
            rows.append(dict(zip(COLUMNS, (names[first], names[second], winner, crowd.names[rater]), strict=True)))
    order = np.random.default_rng(seed).permutation(len(rows))
    write_table(out / "votes.csv", [rows[row] for row in order])
    scale = float(np.exp(np.log(crowd.sharpness).mean()))
    people = {
        name: {"sharpness": round(float(sharpness) / scale, 4), "bias": round(float(bias), 4)}
        for name, sharpness, bias in zip(crowd.names, crowd.sharpness, crowd.bias, strict=True)
    }
    record = {"nu": crowd.nu, "scale": round(scale, 4), "raters": people}
    (out / "crowd.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
