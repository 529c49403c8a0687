"""Why a network from scratch stays at chance on photographs: one cause after the other is taken away.

    python -m benchmarks.own_images.from_scratch [--folder FOLDER] [--minutes 4] [--out FILE.json]

It trains ``order_net_small`` on the set ``photographs`` of seed 77, each variant for some minutes on one thread. Four
of the sixteen photographs choose the epoch, and the test has other photographs still. What was trained already is kept.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.own_images.commands import twinrank
from benchmarks.own_images.sets import Set, make_set
from benchmarks.real_data.tables import read_table, write_table
from twinrank.core.files import write_json
from twinrank.core.provenance import provenance

MODEL, SEED = "order_net_small", 77
CHOOSING = 4
"""Photographs that choose the epoch."""
TRUE_PAIRS = {"train": 10_000, "val": 2_000}
FEW = 1_413
"""True pairs, as many as the votes that are decided."""
_SAME = ("--size", "224", "--threads", "1", "--patience", "1000")
_PLAIN = ("--contrastive-weight", "0", "--balance-weight", "0", "--easy-share", "1", "--shift", "0")
_ADAM = ("--optimizer", "adamw", "--lr", "3e-3")
_CROPS = ("--monitor", "log_loss", "--fit", "native", "--crop", "64", "--flip")
_WHOLE = ("--monitor", "log_loss", "--crop", "0", "--flip", "--epochs", "40")
_OLD = ("--monitor", "accuracy", "--crop", "0", "--no-flip", "--epochs", "43")
"""What ``train`` did before it knew that images are few."""


class Variant(NamedTuple):
    """One training.

    Attributes:
        judgements: What is fitted: votes, decided (votes without ties and raters), true (pairs in their true order), or
            few (fewer of these).
        flags: Flags of the training.
    """

    judgements: str
    flags: tuple[str, ...]


VARIANTS = {
    "votes-resized": Variant("votes", ("--fit", "resize", *_OLD)),
    "votes-crops": Variant("votes", (*_CROPS, "--epochs", "100", *_PLAIN, *_ADAM)),
    "true-resized": Variant("true", ("--fit", "resize", *_WHOLE, *_PLAIN, *_ADAM)),
    "true-native": Variant("true", ("--fit", "native", *_WHOLE, *_PLAIN, *_ADAM)),
    "true-crops": Variant("true", (*_CROPS, "--epochs", "80", *_PLAIN, *_ADAM)),
    "decided-crops": Variant("decided", (*_CROPS, "--epochs", "60", *_PLAIN, *_ADAM)),
    "few-crops": Variant("few", (*_CROPS, "--epochs", "80", *_PLAIN, *_ADAM)),
    "votes-crops-own": Variant("votes", (*_CROPS, "--epochs", "60")),
    "true-crops-own": Variant("true", (*_CROPS, "--epochs", "80")),
}
"""Trainings by name. Own ones have the optimiser and the terms that ``order_net_small`` brings, others neither."""


def main(arguments: list[str] | None = None) -> None:
    """Trains and measures all variants, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data/own_images"))
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--out", type=Path, default=Path("results/own_images/from_scratch.json"))
    asked = parser.parse_args(arguments)
    given = make_set("photographs", SEED, asked.folder)
    work = given.folder / "from_scratch"
    _write_tables(given, work)
    results = {name: _measured(given, work, name, asked.minutes) for name in VARIANTS}
    command = f"python -m benchmarks.own_images.from_scratch --minutes {asked.minutes:g}"
    write_json(asked.out, {"variants": results} | provenance(command))


def _measured(given: Set, work: Path, name: str, minutes: float) -> dict[str, Any]:
    run, (judgements, flags) = work / name, VARIANTS[name]
    if not (run / "weights.safetensors").exists():
        part = "votes" if judgements == "votes" else "true"
        tables = ["--train", work / f"{judgements}_train.csv", "--val", work / f"{part}_val.csv"]
        _train_for(60 * minutes, MODEL, *tables, "--images", given.train, *_SAME, *flags, "--out", run)
    found = {}
    for pairs, images in ((given.pairs, given.test), (work / "true_val.csv", given.train)):
        kept = run / "metrics" / f"{pairs.stem}.json"
        if not kept.exists():
            twinrank("evaluate", run, pairs, "--images", images)
        found[pairs.stem] = json.loads(kept.read_text())["metrics"]
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    monitor = "accuracy" if "accuracy" in flags else "log_loss"
    best = min(history, key=lambda epoch: epoch["val"][monitor] * (-1 if monitor == "accuracy" else 1))
    record = {
        "judgements": judgements,
        "flags": [*_SAME, *flags],
        "epochs": len(history),
        "training_loss": [round(epoch["train"]["loss"], 4) for epoch in (history[0], best, history[-1])],
        "val": best["val"],
        "true_accuracy": {name: metrics["accuracy"] for name, metrics in found.items()},
        "memory_mb": history[-1]["memory_mb"],
    }
    print(name, record, flush=True)
    return record


def _train_for(seconds: float, *words: object) -> None:
    """Train, and stop by Ctrl-C when the time is over: the best weights so far are kept."""
    training = subprocess.Popen([sys.executable, "-m", "twinrank", "train", *map(str, words)])
    try:
        training.wait(seconds)
    except subprocess.TimeoutExpired:
        training.send_signal(signal.SIGINT)
        training.wait()


def _write_tables(given: Set, work: Path) -> None:
    """Tables of votes and of true pairs, for photographs to fit and for those that choose the epoch."""
    votes, truth = read_table(given.votes), read_table(given.folder / "truth.csv")
    score = {row["image"]: float(row["score"]) for row in truth if row["part"] == "train"}
    photograph = {image: image.partition("/")[0] for image in score}
    photographs = sorted({*photograph.values()})
    random.Random(0).shuffle(photographs)
    choosing, draw = {*photographs[:CHOOSING]}, random.Random(1)
    for part, count in TRUE_PAIRS.items():
        images = [image for image in score if (photograph[image] in choosing) == (part == "val")]
        own = {*images}
        write_table(work / f"votes_{part}.csv", [row for row in votes if {row["photo_1"], row["photo_2"]} <= own])
        pairs = (draw.sample(images, 2) for _ in range(count))
        true = [{"photo_1": a, "photo_2": b, "winner": a if score[a] > score[b] else b} for a, b in pairs]
        write_table(work / f"true_{part}.csv", true)
        if part == "train":
            write_table(work / "few_train.csv", true[:FEW])
            names = ("photo_1", "photo_2", "winner")
            decided = (row for row in votes if {row["photo_1"], row["photo_2"]} <= own and row["winner"] != "tie")
            write_table(work / "decided_train.csv", [{name: row[name] for name in names} for row in decided])


if __name__ == "__main__":
    main()
