"""The text and the files of ``twinrank order``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinrank.core.files import write_json
from twinrank.data.pool import Pool
from twinrank.evaluation.order import RANDOM_SHARE, OrderReport
from twinrank.reporting.formats import interval, metric_name, value
from twinrank.reporting.pictures import draw_cycles


def order_text(report: OrderReport, rows: str) -> str:
    """The report in a few lines.

    Args:
        report: Report on the predictions for all pairs of some images.
        rows: Images in words.
    """
    lines = [rows]
    for name, count in (("swap violations", report.swap_violations), ("ties", report.ties)):
        lines.append(f"    {name:<20} {count:>8,}   of {report.pairs:,} pairs")
    for name, beside in (("cyclic_triads", f"; random decisions have {RANDOM_SHARE:.0%}"), ("explained", "")):
        share = getattr(report, name)
        lines.append(
            f"    {metric_name(name):<20} {value(share, name):>8}   {interval(share, name)}"
            f"   ({share.interval}, n = {share.n:,}{beside})"
        )
    return "\n".join(lines)


def write_order(pool: Pool, report: OrderReport, meta: Mapping[str, Any], out: Path) -> list[Path]:
    """Write ``order.json`` and ``cycles.png``.

    Args:
        pool: Images.
        report: Report on the predictions for all their pairs.
        meta: File of the images and predictor of the decisions; stands at the beginning of the JSON.
        out: Folder for both.

    Returns:
        Paths of both files.

    Raises:
        InputError: A file cannot be written.
    """
    data, picture = written_files(out)
    write_json(data, {**meta, **report.record(pool.names)})
    return [data, draw_cycles(pool, report, picture)]


def written_files(out: Path) -> tuple[Path, Path]:
    """``order.json`` and ``cycles.png`` in a folder."""
    return Path(out) / "order.json", Path(out) / "cycles.png"
