"""``python -m tests.fuzz``: a long run over all targets. Its figures go into a file, and are printed as a table."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.figures import table_lines, wrong
from tests.fuzz.trial import trial
from tests.fuzz.visit import GOOD, REQUESTS, visit
from tests.fuzz.world import TARGETS, make_world

from twinrank.core.files import write_json
from twinrank.core.provenance import provenance

_REQUESTS = 150
"""Requests of each rater at a visit."""


def run(minutes: float, seed: int, names: list[str], out: Path | None) -> int:
    """Bend files and requests until the time is over; print each problem, and write what was found.

    Args:
        minutes: Time in all.
        seed: Root seed.
        names: Names of targets.
        out: File for the figures, or None.

    Returns:
        The number of problems.
    """
    found = {name: Counter[str]() for name in names}
    peak, kept = dict.fromkeys(names, 0), 0
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        world, number = Path(folder) / "world", 0
        make_world(world)
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            name, random = names[number % len(names)], Random(f"{seed} {number}")
            number += 1
            if name == REQUESTS:
                seen = visit(world, Path(folder) / "copy", random, _REQUESTS)
                found[name] += seen.counts
                kept += seen.kept
                # A problem of a reply is counted as such; this is what the server did beside its replies.
                replies = sum(count for what, count in seen.counts.items() if what not in GOOD)
                found[name] += Counter({"other": len(seen.problems) - replies})
                peak[name] = max(peak[name], seen.peak)
                print("".join(f"{problem}\n" for problem in seen.problems), end="", flush=True)
                continue
            done = trial(world, Path(folder) / "copy", name, random)
            found[name][done.problem or {0: "read", 1: "read", 2: "refused in one line"}[done.status or 0]] += 1
            peak[name] = max(peak[name], done.peak)
            if done.problem is not None:
                print(f"{done.problem}: {done.what}\n  {done.text[-600:].strip()}", flush=True)
    each = {name: {"inputs": found[name].total(), **found[name], "peak_mb": peak[name] // 10**6} for name in names}
    if REQUESTS in each:
        each[REQUESTS]["kept"] = kept
    print("\n".join(table_lines(each)))
    if out is not None:
        write_json(
            out,
            {"seed": seed, "minutes": minutes, "targets": each}
            | provenance(" ".join(["python -m tests.fuzz", *sys.argv[1:]])),
        )
    return sum(map(wrong, each.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bend files, and see whether a command crashes or hangs.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", default=[*TARGETS, REQUESTS])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.exit(1 if run(given.minutes, given.seed, given.targets, given.out) else 0)
