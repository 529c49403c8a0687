"""Training and inference against the usual way: DataLoader workers, float32, contiguous, the tower called twice.

Run as ``python benchmarks/training_step.py [MODEL] [ROUNDS] [PAIRS]``. Both ways have the same network in the training
guide's form, cross-entropy of the pair and AdamW. Each round times one epoch of training and one of inference for each
way. A first round warms up, and does not count.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import BenchmarkConfig, TrainConfig
from twinrank.core.device import prepare_cpu
from twinrank.core.machine import available_threads
from twinrank.data.batches import Batches
from twinrank.data.dataset import PairNPZDataset
from twinrank.data.judgements import load_pairs
from twinrank.inference.predict import predict_logits
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.training.objectives import Objective

Pass = Callable[[], None]


def new_model(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> SiameseNet:
    torch.manual_seed(0)
    # One view, as the usual way has.
    guides = {"mask": False, "antisymmetric": False, "views": 1}
    return create_model(name, options={**options, **{key: guides[key] for key in guides.keys() & entry(name).options}})


def usual_logit(model: SiameseNet, xa: torch.Tensor, xb: torch.Tensor) -> torch.Tensor:
    """Logits of pairs, where the tower is called for each side, on contiguous tensors."""
    (_, left), (_, right) = (model.tower(model.encode(side).contiguous()) for side in (xa, xb))
    return model.comparator(left, right)


def usual(name: str, file: Path, batch_size: int, threads: int) -> tuple[Pass, Pass]:
    model = new_model(name).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    pairs = PairNPZDataset(file, is_train=True)
    training = DataLoader(pairs, batch_size, shuffle=True, num_workers=threads)
    inference = DataLoader(pairs, batch_size, num_workers=threads)

    def train() -> None:
        model.train()
        for xa, xb, y in training:
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(usual_logit(model, xa, xb), y).backward()
            optimizer.step()

    def infer() -> None:
        model.eval()
        with torch.no_grad():
            for xa, xb, _ in inference:
                usual_logit(model, xa, xb)

    return train, infer


def ours(name: str, file: Path, batch_size: int) -> tuple[Pass, Pass]:
    config = TrainConfig(batch_size=batch_size)
    model, pairs = new_model(name), load_pairs(file)
    objective = Objective(config, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batches = Batches(pairs, config, torch.device("cpu"))

    def train() -> None:
        model.train()
        for batch in batches.epoch(1):
            objective(model, batch).total.backward()
            optimizer.step()
            optimizer.zero_grad()

    def infer() -> None:
        predict_logits(model.eval(), pairs)

    return train, infer


def seconds(each: Pass) -> float:
    started = time.perf_counter()
    each()
    return time.perf_counter() - started


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "resnet_optimized"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 640
    threads, batch_size = available_threads(), 64
    with tempfile.TemporaryDirectory() as folder:
        make_benchmark(fetch_mnist(), Path(folder), replace(BenchmarkConfig(), pairs_train=pairs), ["train"])
        file = Path(folder) / "train.npz"
        torch.set_num_threads(threads)
        rival = usual(name, file, batch_size, threads)
        before = [[seconds(each) for each in rival] for _ in range(rounds + 1)][1:]
        # The allocator's settings cannot be taken back, so twinrank goes second.
        prepare_cpu(threads)
        twinrank = ours(name, file, batch_size)
        after = [[seconds(each) for each in twinrank] for _ in range(rounds + 1)][1:]
    ratios = np.array(before) / np.array(after)
    for (theirs, mine), (training, inference) in zip(zip(before, after, strict=True), ratios, strict=True):
        print(
            f"training: usual {theirs[0]:.2f} s, twinrank {mine[0]:.2f} s, ratio {training:.2f};"
            f" inference: usual {theirs[1]:.2f} s, twinrank {mine[1]:.2f} s, ratio {inference:.2f}"
        )
    training, inference = np.median(ratios, 0)
    print(
        f"{name}, {pairs} pairs: median ratio {training:.2f} in training and {inference:.2f} in inference,"
        f" {rounds} rounds on {threads} threads"
    )


if __name__ == "__main__":
    main()
