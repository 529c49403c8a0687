"""Training on a GPU: whether it is right, how fast it is, and how far it gets in minutes.

Run as ``python -m benchmarks.gpu --data data --out gpu.json``; it takes ``--seconds`` (500 by default). It needs this
repository, its dependencies, and the benchmark's files in the folder of ``--data``. Where these are missing, they are
made from MNIST, which must lie in twinrank's cache (``TWINRANK_CACHE=FOLDER`` with ``mnist.npz``) or be fetched. The
open track needs MNIST, too. ``--tiny`` runs everything in one process in seconds, on any device, and measures nothing.

Each part is a process of its own with a share of the time. Whatever it finds is printed and kept in ``--out`` at once.
A part that fails, or is late, does not stop the next. ``val`` chooses epochs; nothing is chosen on a test file.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.checks import check
from benchmarks.gpu.speed import speed
from benchmarks.gpu.trainings import guide, opened, pairs
from benchmarks.gpu.work import Work
from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import BenchmarkConfig
from twinrank.core.device import pick_device
from twinrank.core.files import read_json, write_json
from twinrank.core.machine import available_threads

DIGESTS = {
    "train": "36ec7f129b771c8b66ffe07c680347b34e41a248c52d58795f04c7138ae8f64d",
    "val": "d7435c974f5a97cf0cd4c21090d93296ae25fbd70d0a5aee2a49210b3b298e40",
    "test_private": "40793a34cac3c2f9f9db003568b1dadfaaa43189a30ac2eb28044a3e29415500",
}
"""SHA-256 of the bytes of ``x``, as docs/benchmark.md has them."""
SHARES = {"check": 0.1, "speed": 0.18, "pairs": 0.34, "open": 0.26, "guide": 0.12}
"""Parts, in this sequence, with their shares of the time."""
PARTS: dict[str, Callable[[Work], None]] = {
    "check": check,
    "speed": speed,
    "pairs": pairs,
    "open": opened,
    "guide": guide,
}


def prepare(data: Path, out: Path) -> None:
    """Make the benchmark if it is missing, and begin the file of results."""
    began = time.monotonic()
    if not (data / "test_private.npz").is_file():
        make_benchmark(fetch_mnist(say=print), data, BenchmarkConfig())
    same = {}
    for part, digest in DIGESTS.items():
        with np.load(data / f"{part}.npz") as arrays:
            same[part] = hashlib.sha256(arrays["x"].tobytes()).hexdigest() == digest
    on_gpu = pick_device().type == "cuda"
    about = {
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": available_threads(),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
        "bit for bit": same,
    }
    write_json(out, {"about": about})
    print(f"about: {about}; ready after {time.monotonic() - began:.0f} s", flush=True)


def run_part(work: Work) -> None:
    """Run a part; what fails is printed and kept."""
    try:
        PARTS[work.part](work)
    except Exception as error:
        traceback.print_exc()
        work.keep("failed", f"{type(error).__name__}: {error}", f"failed: {error}")


def main(arguments: list[str] | None = None) -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the benchmark")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="JSON file for the results")
    parser.add_argument("--seconds", type=float, default=500.0, help="time for all parts, or for the one")
    parser.add_argument("--part", choices=[*SHARES], help="only this part, into an existing file of results")
    parser.add_argument("--tiny", action="store_true", help="everything as small as possible, in one process")
    given = parser.parse_args(arguments)
    if given.part is not None:
        run_part(Work(given.part, given.data, given.out, given.seconds, given.tiny))
        return
    until = time.monotonic() + given.seconds
    prepare(given.data, given.out)
    for number, part in enumerate(SHARES):
        left = until - time.monotonic()
        seconds = left * SHARES[part] / sum([*SHARES.values()][number:])
        if given.tiny:
            run_part(Work(part, given.data, given.out, seconds, tiny=True))
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, "--seconds", f"{seconds:.1f}"]
        try:
            subprocess.run([*command, "--data", given.data, "--out", given.out], timeout=seconds + 5)
        except subprocess.TimeoutExpired:
            print(f"{part}: ended, since its time was over", flush=True)
    print(json.dumps({part: [*values] for part, values in read_json(given.out).items()}, indent=1))


if __name__ == "__main__":
    main()
