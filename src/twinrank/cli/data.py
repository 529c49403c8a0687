"""Check, draw and split pair files; fetch MNIST and make the benchmark."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from twinrank.cli.arguments import (
    Columns,
    FileArgument,
    FileArguments,
    OptionalFile,
    OptionalImages,
    OutFile,
    OutFolder,
    listed,
)
from twinrank.cli.images import ImageFlags
from twinrank.cli.output import listening, progress_bars, say
from twinrank.config import SPLITS, BenchmarkConfig, FreshConfig, require_splits
from twinrank.core.messages import counted
from twinrank.errors import printable


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
    print(f"{out}: {counted(config.pairs, 'pair', 'pairs')} of the open track")


def check(files: FileArguments, flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags()) -> None:
    """Check pair files, and find leaks within and between them.

    Args:
        files: NPZ files, tables of judgements, or folders with one.
        flags: Tables: their images and columns.
    """
    from twinrank.data.check import check_pairs

    with listening() as context:
        report = check_pairs(files, flags.source(), context)
    print("\n".join(map(printable, report.lines)))


def show(
    file: FileArgument,
    out: OutFile = Path("pairs.png"),
    pairs: int = 40,
    seed: int = 0,
    flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags(),
) -> None:
    """Draw a sheet of pairs taken at random.

    Args:
        file: Pair file.
        out: Picture, PNG.
        pairs: Number of pairs.
        seed: Seed of the choice.
        flags: Tables: their images and columns.
    """
    from twinrank.data.inputs import require_other_files
    from twinrank.data.judgements import load_pairs
    from twinrank.reporting.pair_sheet import draw_sheet

    source = flags.source()
    require_other_files([out], file, source)
    with listening() as context:
        rows = draw_sheet(load_pairs(file, None, source, context), out, pairs, seed)
    print(f"{out}: {counted(len(rows), 'pair', 'pairs')} of {file}")


def split(
    votes: Annotated[FileArgument, tyro.conf.arg(metavar="VOTES")],
    out: OutFolder,
    images: OptionalImages = None,
    by: Literal["image", "group"] = "image",
    shares: listed(float) = (0.7, 0.15, 0.15),  # pyright: ignore[reportInvalidTypeForm]
    seed: int = 0,
    columns: Columns = None,
) -> None:
    """Split judgements into train.csv, val.csv and test.csv that share no image.

    A file has the judgements whose two images both belong to it. Those of a training image and a test image go to
    crossing.csv.

    Args:
        votes: Table of judgements.
        out: Folder for the four files. Files that are there and differ are kept, and refused.
        images: Folder of the images. Without it, the table's own.
        by: What is held out: images, or groups of them, such as patients or places.
        shares: Shares of the images for train, val and test.
        seed: Seed of the division.
        columns: Columns of the table that are not recognised, such as left=photo_1,right=photo_2,outcome=vote.
    """
    from twinrank.core.context import Context
    from twinrank.workflows.split import split

    split(votes, out, images, by, shares, seed, columns, Context(say=say))
