"""CSV files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

Rows = list[dict[str, str]]


def read_table(path: Path) -> Rows:
    """Lines of a CSV file, by column."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes lines, of which the first one has all columns, to a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0]], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
