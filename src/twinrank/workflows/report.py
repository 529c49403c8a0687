"""The report of a run with everything that its data files add: pictures and, on the benchmark, the true digits."""

from pathlib import Path

import numpy as np

from twinrank.benchmark.generator import benchmark_digits, is_benchmark
from twinrank.data.pairs import PairData, load_pairs
from twinrank.errors import InputError
from twinrank.reporting.contents import read_run
from twinrank.reporting.page import write_report


def publish_report(run: Path, out: Path | None = None, figures: Path | None = None) -> Path:
    """Write the report of a run, with pictures from the files that its predictions name, where they still are the same.

    True digits are drawn again from the ``meta.json`` beside a file of the benchmark. They caption pictures and show
    what the latent levels have become; no score depends on them.

    Args:
        run: run folder.
        out: the page; ``report.html`` in the run folder if None.
        figures: folder for the figures as PNG files; None, the page alone.

    Returns:
        The path written.

    Raises:
        InputError: as :func:`twinrank.reporting.page.write_report`.
    """
    pictures: dict[str, PairData] = {}
    digits: dict[str, np.ndarray] = {}
    contents = read_run(Path(run))
    for stem, predictions in contents.predictions.items():
        data = _unchanged(predictions.meta.get("data", {}).get("path"), predictions.data_sha256)
        if data is not None:
            pictures[stem] = data
            if (drawn := benchmark_digits(data)) is not None:
                digits[stem] = drawn
    files = [Path(file["path"]) for file in contents.config.get("data", {}).values()]
    on_benchmark = bool(files) and all(map(is_benchmark, files))
    return write_report(run, out, pictures=pictures, digits=digits, on_benchmark=on_benchmark, figures=figures)


def _unchanged(path: str | None, digest: str | None) -> PairData | None:
    """The pairs of a file, or None if it has moved or is another one now."""
    try:
        data = load_pairs(Path(path)) if path else None
    except InputError:
        return None
    return data if data is not None and data.sha256 == digest else None
