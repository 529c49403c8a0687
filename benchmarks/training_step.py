"""An epoch of twinrank's loop against the usual one: DataLoader workers, float32, memory format as it comes.

Run as ``python benchmarks/training_step.py [ROUNDS]``. Both train order_net on 6,400 pairs with the same objective
and AdamW; each round times one epoch of each, after one to warm up.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from twinrank.config import BenchmarkConfig
from twinrank.data.batches import Batches
from twinrank.data.benchmark import make_benchmark
from twinrank.data.dataset import PairNPZDataset
from twinrank.data.mnist import fetch_mnist
from twinrank.data.pairs import load_pairs
from twinrank.device import available_threads, prepare_cpu
from twinrank.models.registry import create_model, entry
from twinrank.training.objectives import Objective

Epoch = Callable[[int], None]


def usual(file: Path, threads: int) -> Epoch:
    config = entry("order_net").train
    model = create_model("order_net").to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    model.precision = "float32"
    objective = Objective(config, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(PairNPZDataset(file, is_train=True), config.batch_size, shuffle=True, num_workers=threads)

    def epoch(number: int) -> None:
        for xa, xb, y in loader:
            optimizer.zero_grad()
            objective(model, xa, xb, y).total.backward()
            optimizer.step()

    return epoch


def ours(file: Path) -> Epoch:
    config = replace(entry("order_net").train, easy_share=1.0, shift=0)
    model = create_model("order_net")
    objective = Objective(config, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batches = Batches(load_pairs(file), config, torch.device("cpu"))

    def epoch(number: int) -> None:
        for xa, xb, y in batches.epoch(number):
            objective(model, xa, xb, y).total.backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch


def main() -> None:
    rounds, threads = int(sys.argv[1]) if len(sys.argv) > 1 else 5, available_threads()
    with tempfile.TemporaryDirectory() as folder:
        make_benchmark(fetch_mnist(), Path(folder), BenchmarkConfig(pairs_train=6400), ["train"])
        file = Path(folder) / "train.npz"
        torch.set_num_threads(threads)
        rival = usual(file, threads)
        rival(0)
        ratios = []
        before = []
        for number in range(rounds):
            started = time.perf_counter()
            rival(number)
            before.append(time.perf_counter() - started)
        # The allocator's settings cannot be taken back, so twinrank goes second.
        prepare_cpu(threads)
        epoch = ours(file)
        epoch(0)
        for number in range(rounds):
            started = time.perf_counter()
            epoch(number + 1)
            seconds = time.perf_counter() - started
            ratios.append(before[number] / seconds)
            print(f"usual loop {before[number]:.2f} s, twinrank {seconds:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f} of {rounds} rounds on {threads} threads")


if __name__ == "__main__":
    main()
