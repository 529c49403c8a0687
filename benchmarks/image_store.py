"""Time and peak memory of a store of images from files: the first run, a second one, and batches at random.

Run as ``python -m benchmarks.image_store [IMAGES] [SIZE] [BATCHES]``, by default 100,000 images of 256 x 256 RGB pixels
and 400 batches of 512. The images are JPEG files that are made first. They and the pixels, some 25 GB in all, are in a
temporary folder of the working folder, which is removed at the end. Each step is a process of its own, so that its peak
memory is its own, too.
"""

import hashlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from twinrank.core.machine import available_threads
from twinrank.data.images import cache
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore

BATCH = 512
PICTURES = 1000


def make(folder: Path, images: int, size: int) -> None:
    """Write images: smooth noise in colour. Some show the same, but no two files are equal, so each is decoded."""
    pictures = []
    for number in range(min(images, PICTURES)):
        small, written = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8), io.BytesIO()
        Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(written, "jpeg", quality=80)
        pictures.append(written.getvalue())
    for number in range(images):
        path = folder / f"{number // PICTURES:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # What follows a picture does not belong to it.
        path.write_bytes(pictures[number % PICTURES] + number.to_bytes(4))


def step(name: str, folder: Path, size: int, batches: int) -> None:
    """One step, in a process of its own."""
    decoded = [0]
    decode = cache.decode

    def counted(content: bytes, reading: Reading) -> np.ndarray:
        decoded[0] += 1
        return decode(content, reading)

    cache.decode = counted
    started = time.perf_counter()
    store = ImageStore.from_folder(folder, Reading(size=size))
    print(f"{name}: {len(store):,} images of {store.shape} in {time.perf_counter() - started:.1f} s", end="")
    print(f", {decoded[0]:,} decoded", end="")
    if name == "batches":
        rng, started = np.random.default_rng(0), time.perf_counter()
        for _ in range(batches):
            store.take(rng.integers(0, len(store), BATCH))
        each = (time.perf_counter() - started) / batches
        print(f"; {batches} batches of {BATCH} at random, {1000 * each:.0f} ms each", end="")
        print(f", {BATCH / each:,.0f} images/s", end="")
    if name == "fingerprints":
        started = time.perf_counter()
        digest = hashlib.sha256(store.hashes.tobytes()).hexdigest()
        print(f"; hashes in {1000 * (time.perf_counter() - started):.0f} ms ({digest[:8]})", end="")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"; peak memory {peak / 1e9:.2f} GB", flush=True)


def main() -> None:
    images, size, batches = (*map(int, sys.argv[1:4]), *(100_000, 256, 400)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory(dir=".") as folder:
        started = time.perf_counter()
        make(Path(folder) / "images", images, size)
        print(
            f"{images:,} JPEG files made in {time.perf_counter() - started:.1f} s; {available_threads()} cores",
            flush=True,
        )
        environment = os.environ | {"TWINRANK_CACHE": str(Path(folder).absolute() / "cache")}
        for name in ("first run", "second run", "batches", "fingerprints"):
            command = (
                sys.executable,
                "-m",
                "benchmarks.image_store",
                name,
                f"{folder}/images",
                str(size),
                str(batches),
            )
            subprocess.run(command, env=environment, check=True)
        stored = sum(path.stat().st_blocks * 512 for path in Path(folder, "cache").rglob("*") if path.is_file())
        print(f"cache {stored / 1e9:.2f} GB")


if __name__ == "__main__":
    if len(sys.argv) == 5:
        step(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
