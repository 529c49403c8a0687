"""``python -m tests.fuzz``: a long run over all targets, whose figures go into a file."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.trial import trial
from tests.fuzz.world import TARGETS, make_world

from twinrank.core.files import write_json
from twinrank.core.provenance import provenance


def run(minutes: float, seed: int, names: list[str], out: Path | None) -> int:
    """Bend files until the time is over; print each problem, and write what was found.

    Args:
        minutes: Time in all.
        seed: Root seed.
        names: Names of targets.
        out: File for the figures, or None.

    Returns:
        The number of problems.
    """
    found = {name: Counter[str]() for name in names}
    peak = dict.fromkeys(names, 0)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        world, number = Path(folder) / "world", 0
        make_world(world)
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            name = names[number % len(names)]
            done = trial(world, Path(folder) / "copy", name, Random(f"{seed} {number}"))
            number += 1
            found[name][done.problem or {0: "read", 1: "read", 2: "refused in one line"}[done.status or 0]] += 1
            peak[name] = max(peak[name], done.peak)
            if done.problem is not None:
                print(f"{done.problem}: {done.what}\n  {done.text[-600:].strip()}", flush=True)
    for name in names:
        print(f"{name}: {dict(found[name])}, {peak[name] / 1e6:,.0f} MB at the peak")
    if out is not None:
        each = {name: {"inputs": found[name].total(), **found[name], "peak_mb": peak[name] // 10**6} for name in names}
        write_json(
            out,
            {"seed": seed, "minutes": minutes, "targets": each}
            | provenance(" ".join(["python -m tests.fuzz", *sys.argv[1:]])),
        )
    return sum(count for each in found.values() for what, count in each.items() if not what.startswith("re"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bend files, and see whether a command crashes or hangs.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", default=[*TARGETS])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.exit(1 if run(given.minutes, given.seed, given.targets, given.out) else 0)
