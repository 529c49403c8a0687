"""Time and memory of a linear head that is fitted to features in the cache.

    python -m benchmarks.linear_head [IMAGES JUDGEMENTS] [--raters 50]

prints a line of JSON for each size: 10,000 judgements of 1,500 images and 1,000,000 of 100,000, unless one is given.
It is ``twinrank.train`` of ``efficientnet_lite0``. The features are made up: noisy functions of 60 hidden numbers of an
image, in some of which the true scores are linear. They lie in a cache of their own, 19 kB for each image, in the
folder for temporary files. ``head_seconds`` is from reading the features to the fitted head. ``seconds`` is all of the
training, and ``cpu_seconds`` is what it used of the processor. Memory is that of the process, sampled.
``anonymous_mb`` leaves out the pages of mapped files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.special import expit

from twinrank.config import RunSpec
from twinrank.core.steps import peak_memory
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.inference.feature_cache import FeatureCache, halved
from twinrank.inference.features import image_digests, network_digest
from twinrank.models.registry import entry
from twinrank.training.hooks import Hooks
from twinrank.training.new_network import new_network
from twinrank.training.train import train

SIZES = (1_500, 10_000), (100_000, 1_000_000)
_NAME, _SIDE, _HIDDEN, _AT_ONCE = "efficientnet_lite0", 16, 60, 4_096


def judgements(images: int, count: int, raters: int) -> tuple[Judgements, np.ndarray]:
    """Judgements of images of noise, with ties if there are raters; and the hidden numbers, float32 (M, 60)."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (images, 3, _SIDE, _SIDE), np.uint8)
    hidden = random.standard_normal((images, _HIDDEN), np.float32)
    score = hidden[:, :20] @ random.normal(0, 0.4, 20)
    left, step = random.integers(0, images, count), random.integers(1, images, count)
    right = (left + step) % images
    rater = random.integers(0, max(1, raters), count)
    z = random.lognormal(0, 0.5, max(1, raters))[rater] * (score[left] - score[right])
    y, tie, names = (random.random(count) < expit(z)).astype(np.float32), None, None
    if raters:
        tie = random.random(count) < 0.4 * np.exp(-abs(z))
        y[tie], names = 0.5, np.array([f"rater{each}" for each in range(raters)])[rater]
    store = ImageStore.from_arrays(pixels)
    return Judgements(store, left, right, y, None, Path("made up"), "0" * 64, tie, None, names), hidden


def fill_cache(spec: RunSpec, pairs: Judgements, hidden: np.ndarray) -> None:
    """Write features of all images, as if the network had computed them."""
    model, load = new_network(spec, pairs), entry(spec.model).pretrained
    assert load is not None
    load(model)
    random = np.random.default_rng(1)
    mixed = random.standard_normal((_HIDDEN, model.features), np.float32) * (random.random(model.features) < 0.3)
    cache, digests = FeatureCache(network_digest(model.eval()), model.features), image_digests(pairs.images)
    with cache.filling(digests) as kept:
        assert kept, "the folder for temporary files has no room"
        for start in range(0, len(hidden), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            noise = random.standard_normal((len(hidden[some]), model.features), np.float32)
            cache.append(digests[some], halved(2 * np.tanh(hidden[some] @ mixed / 2) + noise))


@contextmanager
def memory(figures: dict[str, float]) -> Iterator[None]:
    """Add the peak of a block in MB: all resident memory, and what is anonymous."""
    ended, peaks = threading.Event(), {"VmRSS": 0, "RssAnon": 0}

    def watch() -> None:
        while not ended.wait(0.02):
            lines = (line.split() for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
            for key, *values in lines:
                if (name := key.rstrip(":")) in peaks:
                    peaks[name] = max(peaks[name], int(values[0]) * 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        figures |= {"resident_mb": round(peaks["VmRSS"] / 1e6), "anonymous_mb": round(peaks["RssAnon"] / 1e6)}


def measured(images: int, count: int, raters: int) -> dict[str, float]:
    """Figures of one training."""
    figures: dict[str, float] = {"images": images, "judgements": count, "raters": raters}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TWINRANK_CACHE"] = folder
        spec = RunSpec(_NAME, entry(_NAME).train, {})
        pairs, hidden = judgements(images, count, raters)
        fill_cache(spec, pairs, hidden)
        with memory(figures):
            started, used = time.perf_counter(), time.process_time()
            run = train(spec, pairs, None, Path(folder) / "run", hooks=Hooks())
            figures["seconds"] = round(time.perf_counter() - started, 1)
            figures["cpu_seconds"] = round(time.process_time() - used, 1)
        epoch = run.read_history()[0]
    figures |= {"head_seconds": round(epoch["seconds"], 1), "log_loss": round(epoch["train"]["loss"], 5)}
    return figures | {"peak_mb": round(peak_memory() / 1e6)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="*", metavar="IMAGES JUDGEMENTS")
    parser.add_argument("--raters", type=int, default=0)
    given = parser.parse_args(arguments)
    if len(given.size) not in (0, 2):
        parser.error("give the number of images and that of judgements, or neither")
    if given.size:
        images, count = given.size
        print(json.dumps(measured(images, count, given.raters)), flush=True)
        return
    for size in SIZES:
        # In a process of its own, since memory that is free again may still be resident.
        command = [sys.executable, "-m", "benchmarks.linear_head", *map(str, size), "--raters", str(given.raters)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
