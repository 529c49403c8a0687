"""Training steps of ``order_net`` a second, against those of another version of twinrank, in the same run.

Run as ``python -m benchmarks.step_against FOLDER [WIDTH] [ROUNDS]``, on a machine that does nothing else. The folder is
a checkout of the other version, such as ``git worktree add FOLDER v0.1``. Both versions take turns, each in a process
of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.step_parts import processor
from twinrank.core.machine import available_threads

HERE = Path(__file__).parents[1]
MEASURE = """
import json, sys, time
import torch
from benchmarks.order_step import PAIRS, order_step
from twinrank.core.device import prepare_cpu
prepare_cpu(int(sys.argv[2]))
config, model, objective, step, batch = order_step(int(sys.argv[1]))
model.train()
times = []
for _ in range(45):
    started = time.perf_counter()
    step.backward(objective(model, batch).total)
    step.pace(1e-3, config.beta1)
    step.update()
    times.append(time.perf_counter() - started)
print(json.dumps(PAIRS / sorted(times[5:])[20]))
"""


def rate(tree: Path, width: int, threads: int) -> float:
    """Pairs a second of the median step of a version."""
    # The benchmark of this version, and the package of the other one.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tree / "src", HERE)))}
    command = [sys.executable, "-c", MEASURE, str(width), str(threads)]
    done = subprocess.run(command, env=environment, cwd=tree, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    other = Path(sys.argv[1]).resolve()
    width = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    threads = available_threads()
    rates = np.array([[rate(tree, width, threads) for tree in (other, HERE)] for _ in range(rounds)])
    before, now = np.median(rates, 0)
    ratios = rates[:, 1] / rates[:, 0]
    print(f"{processor()}; {threads} threads, order_net at width {width}, batches of 128 pairs")
    print(f"pairs a second: {other.name} {before:.0f}, this version {now:.0f}")
    print(f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f} in {rounds} rounds)")


if __name__ == "__main__":
    main()
