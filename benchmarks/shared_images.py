"""The cost of an epoch where images recur: each image once a batch, against pairs stored apart.

    python benchmarks/shared_images.py [--judgements 20000] [--images 1500] [--size 32] [--model order_net]

Both train the same network on the same judgements in the same process, in turns. The second reads the same rows as an
NPZ file has them, two images a row.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.core.device import prepare_cpu
from twinrank.core.machine import available_threads
from twinrank.core.steps import peak_memory
from twinrank.data.batches import Batches
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.models.registry import create_model, entry
from twinrank.training.loop import Step
from twinrank.training.objectives import Objective


def seconds_of_an_epoch(data: Judgements, model_name: str, config: TrainConfig, epoch: int) -> tuple[float, int, int]:
    """Duration of an epoch, the number of its steps, and how many images went through the tower."""
    torch.manual_seed(0)
    model = create_model(model_name, channels=data.images.shape[0], image_size=min(data.images.shape[1:]))
    batches = Batches(data, config, torch.device("cpu"))
    objective = Objective(config, model, batches.targets)
    step = Step(torch.nn.ModuleDict({"model": model, "objective": objective}), config)
    model.train()
    started, images = time.perf_counter(), 0
    for batch in batches.epoch(epoch):
        step.backward(objective(model, batch).total)
        step.pace(config.lr, config.beta1)
        step.update()
        images += len(batch.images)
    return time.perf_counter() - started, batches.steps(epoch), images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgements", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=1_500)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--model", default="order_net")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    prepare_cpu(available_threads())
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (given.images, 3, given.size, given.size), np.uint8)
    left, right = generator.integers(0, given.images, (2, given.judgements))
    y = (left > right).astype(np.int8)
    shared = Judgements(ImageStore.from_arrays(pixels), left, right, y, None, Path("shared"), "")
    apart = Judgements.of_pairs(PairArrays(pixels[left], pixels[right], y, None), Path("apart"), "")
    config = replace(entry(given.model).train, easy_share=1.0)
    ratios, found = [], {}
    for epoch in range(1, given.rounds + 1):
        each = {
            name: seconds_of_an_epoch(data, given.model, config, epoch)
            for name, data in (("shared", shared), ("apart", apart))
        }
        ratios.append(each["apart"][0] / each["shared"][0])
        found = {
            name: {"seconds": round(took, 2), "steps": steps, "images": images}
            for name, (took, steps, images) in each.items()
        }
        print(f"epoch {epoch}: {found}, {ratios[-1]:.1f} times as fast", flush=True)
    print(
        json.dumps({"ratio": round(float(np.median(ratios)), 2), **found, "peak_memory_mb": round(peak_memory() / 1e6)})
    )


if __name__ == "__main__":
    main()
