"""Memory and time of a large set: image files and a table of judgements, loaded, then trained on for some steps.

    python benchmarks/large_set.py FOLDER [--images 100000] [--judgements 1000000] [--size 256] [--steps 100]

FOLDER keeps the files, so that a second call finds the images in the cache. It needs 10 kB for an image of 256 pixels,
and the cache needs the pixels: 200 kB for each.
"""

import argparse
import json
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from twinrank.core.device import prepare_cpu
from twinrank.core.machine import available_threads
from twinrank.core.steps import peak_memory
from twinrank.data.batches import Batches
from twinrank.data.judgements import load_pairs
from twinrank.data.source import Source
from twinrank.models.registry import create_model, entry
from twinrank.training.loop import Step
from twinrank.training.objectives import Objective


def make(folder: Path, images: int, judgements: int, size: int) -> Path:
    """Write images of soft noise, and a table of judgements of them; what is there already stays."""
    generator, table = np.random.default_rng(0), folder / f"votes_{images}_{judgements}.csv"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image in range(images):
        path = folder / "images" / f"{image:06d}.jpg"
        coarse = generator.integers(0, 256, (8, 8, 3), np.uint8)
        if not path.exists():
            Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR).save(path, quality=80)
    if not table.exists():
        left, step = generator.integers(0, images, judgements), generator.integers(1, images, judgements)
        right = (left + step) % images
        rows = (f"{a:06d}.jpg,{b:06d}.jpg,{int(a > b)}\n" for a, b in zip(left.tolist(), right.tolist(), strict=True))
        table.write_text("left,right,label\n" + "".join(rows), encoding="utf-8")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--judgements", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args(arguments)
    table = make(given.folder, given.images, given.judgements, given.size)
    prepare_cpu(available_threads())
    started, figures = time.perf_counter(), {"images": given.images, "judgements": given.judgements}
    used_before = time.process_time()
    data = load_pairs(table, source=Source(given.folder / "images"))
    figures |= {"load_seconds": round(time.perf_counter() - started, 1), "load_peak_mb": round(peak_memory() / 1e6)}
    figures |= {"load_cpu_seconds": round(time.process_time() - used_before, 1)}
    config, side = entry("order_net").train, min(data.images.shape[1:])
    model = create_model("order_net", channels=3, image_size=side)
    batches = Batches(data, config, torch.device("cpu"))
    objective = Objective(config, model, batches.targets)
    step, used = Step(torch.nn.ModuleDict({"model": model, "objective": objective}), config), 0
    model.train()
    started = time.perf_counter()
    for batch in islice(batches.epoch(1), given.steps):
        step.backward(objective(model, batch).total)
        step.pace(config.lr, config.beta1)
        step.update()
        used += len(batch.images)
    seconds = time.perf_counter() - started
    figures |= {"steps_of_an_epoch": batches.steps(1), "steps": given.steps, "seconds": round(seconds, 1)}
    print(json.dumps(figures | {"images_a_second": round(used / seconds), "peak_mb": round(peak_memory() / 1e6)}))


if __name__ == "__main__":
    main()
