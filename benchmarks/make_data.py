"""``twinrank data make`` against the simple loop of ``one_pass.py``, with the same bytes.

Run as ``python benchmarks/make_data.py [ROUNDS]``. Each round makes and writes val.npz (10,000 pairs) both ways.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from one_pass import make_split
from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist, fetch_mnist
from twinrank.config import BenchmarkConfig
from twinrank.core.machine import available_threads


def one_pass(mnist: Mnist, out: Path, config: BenchmarkConfig) -> None:
    seed, pairs = config.seed_of("val"), config.pairs_of("val")
    x, y = make_split(mnist.train_images, mnist.train_labels, pairs, seed, config.severity, config.weight_diff1)
    np.savez_compressed(out / "val.npz", x=x, y=y)


def ours(mnist: Mnist, out: Path, config: BenchmarkConfig) -> None:
    make_benchmark(mnist, out, config, ["val"])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    mnist, config = fetch_mnist(), BenchmarkConfig()
    ratios = []
    for _ in range(rounds):
        seconds, content = [], []
        for way in (one_pass, ours):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                way(mnist, Path(folder), config)
                seconds.append(time.perf_counter() - started)
                content.append((Path(folder) / "val.npz").read_bytes())
        assert content[0] == content[1], "both ways must write the same bytes"
        ratios.append(seconds[0] / seconds[1])
        print(f"one-pass loop {seconds[0]:.1f} s, twinrank {seconds[1]:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f} of {rounds} rounds on {available_threads()} cores, same bytes")


if __name__ == "__main__":
    main()
