"""The page of a run or a stack, with everything that its data files add: pictures, and the benchmark's true digits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.benchmark.generator import benchmark_digits, is_benchmark
from twinrank.core.npz import Archive
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.order import read_order
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.contents import read_run
from twinrank.reporting.leaderboard import read_field
from twinrank.reporting.page import write_report
from twinrank.reporting.records import read_audit, read_figures, read_steps
from twinrank.reporting.stack_page import StackContents, write_stack_page

_LARGEST_TABLE = 500_000_000
"""Bytes of the CSV file of a folder of images."""


def report(
    path: Path, out: Path | None = None, figures: Path | None = None, found: Mapping[str, Any] | None = None
) -> Path:
    """Write the page of a run or a stack. Nothing is trained or predicted.

    The page of a run shows pictures from the files that its predictions name, where these files are unchanged. True
    digits are drawn again from the ``meta.json`` beside a file of the benchmark. They caption pictures and show what
    the latent levels stand for. No score depends on them.

    Args:
        path: Run folder or stack folder.
        out: Path of the page; ``report.html`` in the folder if None.
        figures: Folder for the figures as PNG files; None writes the page alone.
        found: What ``twinrank fit`` found with a run, see :func:`twinrank.reporting.page.write_report`.

    Returns:
        Path of the page.

    Raises:
        InputError: Something is missing or damaged, or the page cannot be written.
    """
    folder = StackFolder(Path(path))
    return (
        _report_stack(folder, out, figures)
        if folder.config.is_file()
        else _report_run(folder.path, out, figures, found)
    )


def _report_run(run: Path, out: Path | None, figures: Path | None, found: Mapping[str, Any] | None) -> Path:
    pictures: dict[str, Judgements] = {}
    digits: dict[str, np.ndarray] = {}
    contents = read_run(run)
    for key, predictions in contents.predictions.items():
        if (data := unchanged(predictions)) is not None:
            pictures[key] = data
            if (drawn := benchmark_digits(data)) is not None:
                digits[key] = drawn
    on_benchmark = all(is_benchmark(Path(file["path"])) for file in contents.config["data"].values())
    return write_report(
        run, out, pictures=pictures, digits=digits, on_benchmark=on_benchmark, figures=figures, found=found
    )


def _report_stack(folder: StackFolder, out: Path | None, figures: Path | None) -> Path:
    config = folder.read_config()
    ledger = Ledger(folder.path / config["ledger"])
    order = folder.order / "order.json"
    contents = StackContents(
        config=config,
        field=read_field([folder.path]),
        figures=read_figures(folder.figures),
        networks=[cell for name in config["models"] for cell in ledger.cells(name)],
        order=read_order(order) if order.exists() else None,
        cycles=folder.order / "cycles.png",
        audit=read_audit(folder.audit) if folder.audit.exists() else None,
        steps=read_steps(folder.steps),
    )
    return write_stack_page(contents, folder.report if out is None else Path(out), figures)


def unchanged(predictions: Predictions) -> Judgements | None:
    """The pairs behind predictions; None if their file has moved, is another one now, or is none of that size."""
    known = predictions.meta.get("data")
    if not isinstance(known, dict):
        return None
    try:
        path = Path(known["path"])
        if not _may_hold(path, len(predictions)):
            return None
        source = Source.from_json(known["source"], "the predictions") if "source" in known else None
        data = load_pairs(path, source=source)
    except (InputError, KeyError, TypeError, ValueError, OSError):
        return None
    return data if data.sha256 == predictions.data_sha256 else None


def _may_hold(path: Path, rows: int) -> bool:
    """Whether a path may be a pair file of so many rows, from its size and headers alone."""
    if path.is_dir():
        return all(table.is_file() and table.stat().st_size <= _LARGEST_TABLE for table in path.glob("*.csv"))
    if not path.is_file():
        return False
    if path.suffix.lower() != ".npz":
        return path.stat().st_size <= _LARGEST_TABLE
    with Archive(path) as archive:
        return any(header.shape[:1] == (rows,) for header in archive.headers.values())
