"""Makes a set of real images, the votes of a simulated crowd on it, and the truth behind them.

    python -m benchmarks.real_data typefaces OUT --fonts FOLDER [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data cells OUT [--images N] [--votes N] [--seed N]
    python -m benchmarks.real_data photographs OUT [--images N] [--votes N] [--seed N]

It writes the folder ``OUT/images``; ``OUT/votes.csv``, a table as people have it, with the columns ``photo_1``,
``photo_2``, ``winner`` (a name, or ``tie``) and ``worker``; ``OUT/truth.csv``, the true score of each image; and
``OUT/crowd.json``, the parameters of the crowd. The same arguments give the same pixels and votes.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.real_data.cells import cells
from benchmarks.real_data.photographs import photographs
from benchmarks.real_data.picture import Picture
from benchmarks.real_data.tables import write_table
from benchmarks.real_data.typefaces import LONGEST, find_fonts, typefaces
from benchmarks.real_data.writing import write_images, write_votes
from twinrank.errors import InputError
from twinrank.evaluation.simulate import make_crowd


def main(arguments: list[str] | None = None) -> None:
    """Makes one set, as the command line says."""
    asked = _parser().parse_args(arguments)
    try:
        truth = write_images(_pictures(asked), asked.out / "images")
    except InputError as error:
        sys.exit(f"error: {error}")
    write_table(asked.out / "truth.csv", [each.row() for each in truth])
    scores = {each.name: each.score for each in truth}
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


if __name__ == "__main__":
    main()
