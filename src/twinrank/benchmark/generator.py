"""The occluded-digit benchmark, remade bit for bit from MNIST.

Every split is drawn first, by one sequential generator, and rendered afterwards, over the cores. ``docs/benchmark.md``
describes the generator.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from twinrank.benchmark.corruption import CORRUPTION, IMAGE_SIZE, draw_corruption, render
from twinrank.benchmark.mnist import Mnist, cached_mnist
from twinrank.benchmark.submission import write_submission
from twinrank.config import MAX_SEVERITY, SPLITS, BenchmarkConfig, Split, split_named
from twinrank.core.files import read_json, write_json, write_npz
from twinrank.core.npz import Archive
from twinrank.core.processes import end_with_parent, safe_children
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError, differences

_ID_PREFIXES = {"test_public": "PUB", "test_private": "PRV"}
_META = "meta.json"
_CHUNK = 250
"""Pairs that a process renders at a time."""
_MOST_JOBS = 1024

MakeProgress = Callable[[str, int, int], None]
"""Listener for a split's name, the pairs that are done, and all pairs of the split."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A split before it is rendered, in the row order of its file.

    Attributes:
        positions: Places of the left and the right digit in the pool, int32 (N, 2).
        classes: Digits that they show, uint8 (N, 2).
        corruptions: Their corruptions, :data:`twinrank.benchmark.corruption.CORRUPTION` (N, 2).
    """

    positions: np.ndarray
    classes: np.ndarray
    corruptions: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """int8 (N,), 1 where the left digit is the greater one."""
        return (self.classes[:, 0] > self.classes[:, 1]).astype(np.int8)


def draw_split(labels: np.ndarray, pairs: int, seed: int, severity: int, weight_diff1: float) -> Drawn:
    """Make every random draw of a split; about a second for 50,000 pairs.

    Args:
        labels: Classes of the pool of digits, uint8 (n,); each of 0 to 9 occurs.
        pairs: Number of pairs, N.
        seed: Seed of the split itself.
        severity: Strength of the corruption, 0 to 6.
        weight_diff1: Probability that the two digits are drawn as neighbours.
    """
    rng = random.Random(seed)
    members = [np.flatnonzero(labels == digit).tolist() for digit in range(10)]
    positions = np.empty((pairs, 2), np.int32)
    classes = np.empty((pairs, 2), np.uint8)
    corruptions = np.empty((pairs, 2), CORRUPTION)
    for row in range(pairs):
        left, right = _draw_classes(rng, row < pairs // 2, weight_diff1)
        classes[row] = left, right
        positions[row] = rng.choice(members[left]), rng.choice(members[right])
        for side in (0, 1):
            corruptions[row, side] = draw_corruption(rng, severity)
    order = list(range(pairs))
    rng.shuffle(order)
    return Drawn(positions[order], classes[order], corruptions[order])


def _draw_classes(rng: random.Random, left_greater: bool, weight_diff1: float) -> tuple[int, int]:
    neighbours = rng.random() < weight_diff1
    if left_greater:
        left = rng.randint(1, 9)
        return left, left - 1 if neighbours else rng.randint(0, left - 1)
    left = rng.randint(0, 8)
    return left, left + 1 if neighbours else rng.randint(left + 1, 9)


def drawn_split(mnist: Mnist, config: BenchmarkConfig, split: Split) -> Drawn:
    """Draw a split of a benchmark: train and val from MNIST's training digits, the tests from its test digits."""
    return draw_split(
        _pool(mnist, split)[1],
        config.pairs_of(split),
        config.seed_of(split),
        config.severity_of(split),
        config.weight_diff1,
    )


def render_split(
    images: np.ndarray, drawn: Drawn, jobs: int = -1, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """Render a split on several cores; the bytes do not depend on how many.

    Args:
        images: Pool of digits, uint8 (n, 28, 28).
        drawn: N pairs.
        jobs: Number of processes, 1 to 1024; -1 is one a core.
        progress: Listener for the number of pairs that are done.

    Returns:
        uint8 (N, 28, 56), left image first.

    Raises:
        InputError: ``jobs`` is impossible.
    """
    _require_jobs(jobs)
    pairs = len(drawn.positions)
    x = np.empty((pairs, IMAGE_SIZE, 2 * IMAGE_SIZE), np.uint8)
    starts = range(0, pairs, _CHUNK)
    chunks = (
        delayed(_render_pairs)(
            images[drawn.positions[start : start + _CHUNK]], drawn.corruptions[start : start + _CHUNK]
        )
        for start in starts
    )
    # Two chunks cost less than starting the processes.
    jobs = 1 if len(starts) <= 2 else jobs
    workers = Parallel(
        n_jobs=jobs, backend="loky", return_as="generator", pre_dispatch="3*n_jobs", initializer=end_with_parent
    )
    with safe_children():
        rendered: Iterator[np.ndarray] = workers(chunks)  # pyright: ignore[reportAssignmentType]
        for start, chunk in zip(starts, rendered, strict=True):
            x[start : start + _CHUNK] = chunk
            progress(start + len(chunk))
    return x


def _require_jobs(jobs: int) -> None:
    if jobs != -1 and not 1 <= jobs <= _MOST_JOBS:
        raise InputError(f"`jobs`: {jobs} is not possible; use 1 to {_MOST_JOBS:,}, or -1 for one a core")


def _render_pairs(digits: np.ndarray, corruptions: np.ndarray) -> np.ndarray:
    return np.concatenate([render(digits[:, side], corruptions[:, side]) for side in (0, 1)], axis=2)


def make_benchmark(
    mnist: Mnist,
    out: Path,
    config: BenchmarkConfig,
    splits: Sequence[Split] = SPLITS,
    jobs: int = -1,
    progress: MakeProgress = lambda split, done, pairs: None,
) -> None:
    """Write the files of a benchmark: ``SPLIT.npz``, ``test_*_labels.csv`` and ``meta.json``.

    Args:
        mnist: Digits.
        out: Folder; files of the same names are replaced, each when it is complete.
        config: Benchmark.
        splits: Files to make.
        jobs: Number of processes, 1 to 1024; -1 is one a core.
        progress: Listener for a split's name, the pairs that are done, and all pairs of the split.

    Raises:
        InputError: ``jobs`` is impossible, or a file cannot be written.
    """
    _require_jobs(jobs)
    # First, so that the same command can go on after it was stopped.
    write_json(Path(out) / _META, meta(config))
    for split in splits:
        drawn = drawn_split(mnist, config, split)
        pairs = len(drawn.positions)
        x = render_split(_pool(mnist, split)[0], drawn, jobs, lambda done: progress(split, done, pairs))  # noqa: B023
        _write_split(Path(out), split, x, drawn.y)


def meta(config: BenchmarkConfig) -> dict[str, Any]:
    """The content of ``meta.json``."""
    return {
        "seed": config.seed,
        "severity": {split.removeprefix("test_"): config.severity_of(split) for split in SPLITS},
        "weight_diff1": config.weight_diff1,
    }


def read_meta(folder: Path) -> dict[str, Any] | None:
    """The ``meta.json`` of a folder of benchmark files; None if it is missing."""
    path = Path(folder) / _META
    return read_json(path) if path.exists() else None


def refuse_other_benchmark(
    folder: Path, config: BenchmarkConfig, parameter: str, splits: Sequence[Split] = SPLITS
) -> None:
    """Make sure that a folder holds no other files than those that are to be written.

    Args:
        folder: Folder to write to.
        config: Benchmark.
        parameter: Name of the caller's parameter for the folder, for the message.
        splits: Files to write.

    Raises:
        InputError: The folder holds another benchmark, or the user's own files.
    """
    found = read_meta(folder)
    files = [Path(folder) / f"{split}.npz" for split in splits]
    if found is None and (own := next(filter(Path.exists, files), None)):
        raise InputError(
            f"{own}: is there already, without the {_META} of a benchmark; choose another folder with `{parameter}`,"
            " or move it away"
        )
    other = [] if found is None else differences(found, meta(config))
    for split, file in zip(splits, files, strict=True):
        pairs, wanted = _pairs(file), config.pairs_of(split)
        # A missing or damaged file may be written.
        if pairs not in (None, wanted):
            other.append(f"{file.name} has {pairs:,} pairs, not {wanted:,}")
    if other:
        raise InputError(
            f"{folder}: holds another benchmark ({'; '.join(other)}); choose another folder with `{parameter}`, or"
            " remove this one"
        )


def is_benchmark(file: Path) -> bool:
    """Whether a file belongs to the benchmark proper, by its name, its pairs and the ``meta.json`` beside it."""
    file, proper = Path(file), BenchmarkConfig()
    split = split_named(file.stem)
    return split is not None and _readable_meta(file.parent) == meta(proper) and _pairs(file) == proper.pairs_of(split)


def _pairs(file: Path) -> int | None:
    """Number of pairs of a file of a benchmark; None if the file is no such one."""
    try:
        with Archive(file) as archive:
            return archive.headers["x"].shape[0]
    except (InputError, KeyError, IndexError):
        return None


def benchmark_digits(data: Judgements) -> np.ndarray | None:
    """The true digits of a file that :func:`make_benchmark` wrote, drawn again from its ``meta.json``.

    Args:
        data: Labelled pairs.

    Returns:
        uint8 (N, 2), left and right; None if the file is no such one, or MNIST is not in the cache.
    """
    split = split_named(data.path.stem)
    if split is None or data.y is None or (drawing := _drawing(data.path.parent, split)) is None:
        return None
    if (mnist := cached_mnist()) is None:
        return None
    drawn = draw_split(_pool(mnist, split)[1], len(data), *drawing)
    return drawn.classes if (drawn.y == data.y).all() else None


def _drawing(folder: Path, split: Split) -> tuple[int, int, float] | None:
    """Seed, severity and share of neighbours of a split; None if the folder has no ``meta.json`` of a benchmark."""
    match _readable_meta(folder):
        case {"seed": int(seed), "severity": dict(severities), "weight_diff1": float() | int() as weight}:
            severity = severities.get(split.removeprefix("test_"))
            if seed >= 0 and isinstance(severity, int) and 0 <= severity <= MAX_SEVERITY and 0 <= weight <= 1:
                return seed + SPLITS.index(split), severity, weight
    return None


def _readable_meta(folder: Path) -> Any:
    """A ``meta.json``; None if it is missing or damaged, since it may be the user's own."""
    with suppress(InputError):
        return read_meta(folder)
    return None


def _write_split(out: Path, split: Split, x: np.ndarray, y: np.ndarray) -> None:
    arrays = {"x": x, "y": y}
    if split in _ID_PREFIXES:
        ids = np.array([f"{_ID_PREFIXES[split]}_{row:07d}" for row in range(len(x))])
        arrays = {"x": x, "id": ids}
        write_submission(out / f"{split}_labels.csv", ids, y)
    write_npz(out / f"{split}.npz", arrays)


def _pool(mnist: Mnist, split: Split) -> tuple[np.ndarray, np.ndarray]:
    if split in _ID_PREFIXES:
        return mnist.test_images, mnist.test_labels
    return mnist.train_images, mnist.train_labels
