"""Check and draw pair files; fetch MNIST and make the benchmark."""

from pathlib import Path
from typing import Annotated

import tyro

from twinrank.cli.arguments import FileArgument, FileArguments, OptionalFile, OutFile, OutFolder
from twinrank.cli.output import progress_bars, say
from twinrank.config import SPLITS, BenchmarkConfig, FreshConfig, require_splits


def fetch(source: Annotated[OptionalFile, tyro.conf.arg(name="from")] = None) -> None:
    """Fetch MNIST, verify it, and keep it in the cache.

    Args:
        source: Folder with the four IDX files (gzipped or not), or NPZ file of MNIST. No other source is tried then.
    """
    from twinrank.benchmark.mnist import fetch_mnist

    fetch_mnist(source, say=say)


def make(
    out: OutFolder,
    config: Annotated[BenchmarkConfig, tyro.conf.arg(name="")],
    splits: Annotated[str, tyro.conf.arg(metavar="SPLIT[,SPLIT]")] = ",".join(SPLITS),
    jobs: int = -1,
) -> None:
    """Make the occluded-digit benchmark, bit for bit.

    Args:
        out: Folder for the files.
        config: Benchmark.
        splits: Files to make, separated by commas.
        jobs: Processes that render; -1 means one for each core.
    """
    chosen = require_splits(name.strip() for name in splits.split(","))
    from twinrank.benchmark.generator import make_benchmark, refuse_other_benchmark
    from twinrank.benchmark.mnist import fetch_mnist

    refuse_other_benchmark(out, config, "out", chosen)
    with progress_bars() as progress:
        make_benchmark(fetch_mnist(say=say), out, config, chosen, jobs, progress)
    print(f"{out}: {', '.join(f'{split}.npz ({config.pairs_of(split):,} pairs)' for split in chosen)}")


def fresh(out: OutFile, config: Annotated[FreshConfig, tyro.conf.arg(name="")]) -> None:
    """Draw new pairs like the benchmark's, for its open track.

    The digits are those of MNIST's training images. They are corrupted in the benchmark's way, with new random numbers.

    Args:
        out: Pair file, NPZ. It must not stand in the folder of a benchmark.
        config: Pairs to draw.
    """
    from twinrank.benchmark.fresh import refuse_other_place, write_fresh
    from twinrank.benchmark.mnist import fetch_mnist

    refuse_other_place(out)
    with progress_bars() as progress:
        write_fresh(fetch_mnist(say=say), out, config, lambda done: progress(out.stem, done, config.pairs))
    print(f"{out}: {config.pairs:,} pairs of the open track")


def check(files: FileArguments) -> None:
    """Check pair files, and find leaks within and between them.

    Args:
        files: NPZ files, folders of images with a CSV, or such CSV files.
    """
    from twinrank.data.check import check_pairs

    print("\n".join(check_pairs(files).lines))


def show(file: FileArgument, out: OutFile = Path("pairs.png"), pairs: int = 40, seed: int = 0) -> None:
    """Draw a sheet of pairs taken at random.

    Args:
        file: Pair file.
        out: Picture, PNG.
        pairs: Number of pairs.
        seed: Seed of the choice.
    """
    from twinrank.data.judgements import load_pairs
    from twinrank.reporting.pair_sheet import draw_sheet

    rows = draw_sheet(load_pairs(file), out, pairs, seed)
    print(f"{out}: {len(rows)} pairs of {file}")
