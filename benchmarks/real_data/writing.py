"""Files of a set: images, the votes of a simulated crowd, and the crowd."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.real_data.picture import Picture
from benchmarks.real_data.tables import write_table
from twinrank.core.files import write_text
from twinrank.evaluation.simulate import Crowd, SimulatedJudgements, random_pairs, simulate_crowd

COLUMNS: tuple[str, ...] = ("photo_1", "photo_2", "winner", "worker")
JUDGED_TWICE = 0.2
"""Share of the votes that are on pairs which two people judge, so that their agreement is known."""


def write_images(pictures: Iterable[Picture], folder: Path) -> list[Picture]:
    """Writes images below a folder, and gives what was written."""
    written = []
    for picture in pictures:
        path = folder / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.write(path)
        written.append(picture)
    return written


def vote_rows(names: Sequence[str], votes: SimulatedJudgements, crowd: Crowd) -> list[dict[str, str]]:
    """Lines of a table of votes, in order.

    Args:
        names: Names of the images.
        votes: Votes on these images.
        crowd: Those who voted.
    """
    rows = []
    for left, right, y, rater in zip(votes.left, votes.right, votes.y, votes.rater, strict=True):
        first, second = str(names[left]), str(names[right])
        winner = {1.0: first, 0.0: second}.get(float(y), "tie")
        rows.append(dict(zip(COLUMNS, (first, second, winner, crowd.names[rater]), strict=True)))
    return rows


def write_votes(scores: dict[str, float], crowd: Crowd, count: int, seed: int, out: Path) -> None:
    """Writes ``votes.csv``, votes on pairs drawn at random, and ``crowd.json``.

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
        rows += vote_rows(names, judged, crowd)
    order = np.random.default_rng(seed).permutation(len(rows))
    write_table(out / "votes.csv", [rows[row] for row in order])
    write_crowd(crowd, out)


def write_crowd(crowd: Crowd, out: Path) -> None:
    """Writes ``crowd.json``.

    The sharpnesses in ``crowd.json`` have the geometric mean 1. True scores times its ``scale`` belong to these.

    Args:
        crowd: Those who vote.
        out: Folder of the set.
    """
    scale = float(np.exp(np.log(crowd.sharpness).mean()))
    people = {
        name: {"sharpness": round(float(sharpness) / scale, 4), "bias": round(float(bias), 4)}
        for name, sharpness, bias in zip(crowd.names, crowd.sharpness, crowd.bias, strict=True)
    }
    record = {"nu": crowd.nu, "scale": round(scale, 4), "raters": people}
    write_text(out / "crowd.json", json.dumps(record, indent=1) + "\n")
