"""What a long run has found, as lines of a table for ``docs/trust.md``."""

from collections.abc import Mapping
from typing import Any

NAMES = {
    "tables": "tables",
    "databases": "databases of `twinrank label`",
    "images": "images",
    "pairs": "pairs and labels",
    "runs": "run folders",
    "recipes": "recipes",
    "requests": "requests to `twinrank label`",
}
_WELL = {"inputs", "read", "refused in one line", "answered", "unfinished", "kept", "peak_mb"}


def table_lines(targets: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Lines of a table in Markdown: a line for each kind of input.

    Args:
        targets: Figures by kind, as ``results/trust/fuzz.json`` has them.
    """
    lines = ["| what was bent | trials | read | refused in one line | went wrong | memory at the peak |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    return lines + [_line(NAMES[name], found) for name, found in targets.items()]


def wrong(found: Mapping[str, Any]) -> int:
    """Number of inputs with which something went wrong: a traceback, a hang, an answer that was lost."""
    return sum(count for what, count in found.items() if what not in _WELL)


def _line(name: str, found: Mapping[str, int]) -> str:
    read = found.get("read", 0) + found.get("answered", 0)
    refused = found.get("refused in one line", 0) + found.get("unfinished", 0)
    return f"| {name} | {found['inputs']:,} | {read:,} | {refused:,} | {wrong(found):,} | {found['peak_mb']:,} MB |"
