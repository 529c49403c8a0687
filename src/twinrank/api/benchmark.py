"""The benchmark in one call."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twinrank.api.values import as_path, changed
from twinrank.benchmark import generator
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import SPLITS, BenchmarkConfig, require_splits

__all__ = ["make_benchmark"]


def make_benchmark(
    out: str | os.PathLike[str] = "data",
    *,
    splits: Sequence[str] = SPLITS,
    jobs: int = -1,
    progress: Callable[[str, int, int], None] = lambda split, done, pairs: None,
    **values: Any,
) -> dict[str, Path]:
    """Make the benchmark: pairs of heavily occluded digits. Which of the two is greater?

    MNIST is fetched once and kept in the cache. Without ``values`` the files are the benchmark proper, bit for bit:
    70,000 pairs, about a minute on two cores. Files of the same benchmark that are there already are written again.

    >>> files = tr.make_benchmark("small", splits=["train", "val"], pairs_train=64, pairs_val=32)
    >>> [*files]
    ['train', 'val']
    >>> len(tr.load_pairs(files["train"]))
    64

    Args:
        out: Folder of the files.
        splits: Files to make, of train, val, test_public and test_private.
        jobs: Processes that render; -1 is one for each core.
        progress: Function that receives a split, its pairs so far, and all its pairs.
        values: Values of the benchmark that differ, by the names of ``twinrank.config.BenchmarkConfig``, such as
            ``pairs_train=5000`` or ``severity=3``.

    Returns:
        Path of each file by split.

    Raises:
        InputError: A value or a split does not exist, ``out`` holds something else, or no source has MNIST.
    """
    chosen = require_splits(splits)
    config = changed(BenchmarkConfig(), values, "make_benchmark")
    folder = as_path(out, "out")
    generator.refuse_other_benchmark(folder, config, "out", chosen)
    generator.make_benchmark(fetch_mnist(), folder, config, chosen, jobs, progress)
    return {split: folder / f"{split}.npz" for split in chosen}
