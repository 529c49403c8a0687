"""Entrants that are commands of twinrank: they know the judgements of training images, and never the test images."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.own_images.judged import Answers
from benchmarks.own_images.sets import Set
from benchmarks.real_data.tables import read_table

SHARES = "0.8,0.15,0.05"
"""Of the training images, for train, val and a test that is not used."""


def order_net(given: Set, work: Path) -> Answers:
    """``order_net`` with its defaults; a part of the training images is for validation."""
    split, run = work / "split", work / "run"
    if not (split / "test.csv").exists():
        twinrank("data", "split", given.votes, "--images", given.train, "--out", split, "--shares", SHARES)
    files = ["--train", split / "train.csv", "--val", split / "val.csv", "--images", given.train]
    if (run / "checkpoint.safetensors").exists():
        twinrank("resume", run)
    else:
        shutil.rmtree(run, ignore_errors=True)
        twinrank("train", "order_net", *files, "--out", run)
    return answers(given, work, run)


def fit(given: Set, work: Path, minutes: float) -> Answers:
    """``twinrank fit`` without a single option but its time."""
    run = work / "run"
    twinrank("fit", given.votes, "--images", given.train, "--out", run, "--minutes", minutes)
    return answers(given, work, run)


def answers(given: Set, work: Path, run: Path) -> Answers:
    """Predictions and scores of a run folder."""
    predicted, ranking = work / "p.csv", work / "ranking.csv"
    for path in (predicted, ranking):
        path.unlink(missing_ok=True)
    pairs = ["--data", given.pairs, "--images", given.test]
    twinrank("predict", "--run", run, *pairs, "--probabilities", "--out", predicted)
    twinrank("rank", run, given.test, "--out", ranking)
    score = {row["image"]: float(row["score"]) for row in read_table(ranking)}
    return Answers(np.array([float(row["logit"]) for row in read_table(predicted)]), score)


def twinrank(*words: object) -> None:
    """Run a command of twinrank in a process of its own."""
    subprocess.run([sys.executable, "-m", "twinrank", *map(str, words)], check=True)
