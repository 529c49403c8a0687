"""The cells of a table as text, whatever the file: CSV and its relatives, JSON lines, Parquet."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from twinrank.core.messages import cause
from twinrank.data.formats.tables import decoded
from twinrank.errors import InputError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_CHUNK = 4096
"""Rows that are turned into columns at a time."""
_LOOKED_AT = 50
"""So many rows decide which character separates the cells."""
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ ]*\r?\n', re.IGNORECASE)
"""First line by which a spreadsheet names the separator."""


@dataclass(frozen=True)
class Cells:
    """The cells of a table, without surrounding blanks.

    Attributes:
        path: File.
        columns: Cells by column name; every column has the same length, N.
        lines: Line of the file, or number of the entry, counted from 1, (N,).
        unit: Noun for such a number: ``line``, ``row`` or ``entry``.
        repeated: Column names that occur more than once; ``columns`` has the first of each.
        roles: Columns by role, where the format itself fixes them.
        kind: Name of the format, such as ``Label Studio``; empty for an ordinary table.
        notes: What the line about the content should also say.
        comma: Whether numbers may have a decimal comma.
        question: Question that people answered, where the format has it.
        digests: SHA-256 of the file of each image that was judged, by name, where the format has them.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]
    unit: str = "line"
    repeated: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    notes: tuple[str, ...] = ()
    comma: bool = False
    question: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)


def text_of(path: Path, content: bytes) -> str:
    """The text of a table: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises:
        InputError: It is neither.
    """
    encoding = _UTF_16.get(content[:2])
    if encoding is None:
        return decoded(path, content)
    try:
        return content[2:].decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-16 (byte {error.start + 2:,}); save it as CSV in UTF-8") from error


def read_delimited(path: Path, text: str) -> Cells:
    """Cells of a table whose rows are lines: separated by commas, semicolons, tabs or bars.

    The separator is the one under which the most rows have as many cells as the first line.

    Raises:
        InputError: The table is empty, or not whole.
    """
    named = _SEPARATOR_LINE.match(text)
    start = named.end() if named else 0
    delimiter = named[1] if named else _delimiter(text)
    rows = _rows(path, text[start:], delimiter, text.count("\n", 0, start))
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if not header:
        raise InputError(f"{path}: empty; the first line names the columns, such as left,right,label")
    columns: list[list[str]] = [[] for _ in header]
    lines: list[int] = []
    same: dict[str, str] = {}
    while chunk := [*islice(rows, _CHUNK)]:
        for line, row in chunk:
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {line} has {len(row)} cells, the header has {len(header)}; quote cells that have"
                    f" {_DELIMITERS.get(delimiter, 'separators')}"
                )
        lines += [line for line, _ in chunk]
        for column, cells in zip(columns, zip(*(row for _, row in chunk), strict=True), strict=True):
            stripped = [*map(str.strip, cells)]
            # Equal cells are one object.
            column += map(same.setdefault, stripped, stripped)
    found: dict[str, list[str]] = {}
    for place, (name, column) in enumerate(zip(header, columns, strict=True), start=1):
        found.setdefault(name or f"column {place}", column)
    repeated = frozenset(name for name in header if name and header.count(name) > 1)
    return Cells(path, found, lines, repeated=repeated, comma=delimiter != ",")


def _rows(path: Path, text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with its line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row and (row[0].strip() or any(map(str.strip, row))):
                yield reader.line_num + skipped, row
    except csv.Error as error:
        line = reader.line_num + skipped
        raise InputError(f"{path}: line {line} is not valid CSV ({error}); check its quotation marks") from error


def _delimiter(text: str) -> str:
    best, found = (0.0, 1), ","
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            sizes = [len(row) for row in islice(reader, _LOOKED_AT) if any(cell.strip() for cell in row)]
        except csv.Error:
            continue
        if len(sizes) and sizes[0] > 1:
            score = (sizes.count(sizes[0]) / len(sizes), sizes[0])
            if score > best:
                best, found = score, delimiter
    return found


def cells_of_records(path: Path, records: Sequence[Mapping[str, Any]], lines: Sequence[int], unit: str) -> Cells:
    """Cells of records, such as the objects of JSON lines. A key that a record lacks is an empty cell.

    Args:
        path: File.
        records: Values by column name.
        lines: Number of the place of each record.
        unit: Noun for such a number.

    Raises:
        InputError: There is none, or a record is not a mapping.
    """
    wrong = [line for line, record in zip(lines, records, strict=True) if not isinstance(record, Mapping)]
    if wrong:
        raise InputError(f'{path}: {unit} {wrong[0]} is no object; each is one judgement, such as {{"left": ...}}')
    if not records:
        raise InputError(f"{path}: no judgements; add an object for each")
    names = dict.fromkeys(str(name).strip() for record in records for name in record)
    stripped = [{str(name).strip(): value for name, value in record.items()} for record in records]
    columns = {name: [as_text(record.get(name)) for record in stripped] for name in names}
    return Cells(path, columns, list(lines), unit)


def as_text(value: Any) -> str:
    """A value of a record as a cell: nothing for null, ``true`` or ``false``, whole numbers without a fraction."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value:  # how data frames write a missing value
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "selected" in value[0]:
        return as_text(value[0]["selected"])  # Label Studio's short export of a pairwise choice
    return str(value).strip()


def read_parquet(path: Path, content: bytes) -> Cells:
    """Cells of a Parquet file, where pyarrow is installed.

    Raises:
        InputError: pyarrow is missing, or the file is damaged.
    """
    try:
        from pyarrow import BufferReader, parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"{path}: reading Parquet needs the package pyarrow; install it (pip install pyarrow), or save the table"
            " as CSV"
        ) from error
    try:
        table = parquet.read_table(BufferReader(content))
        columns = {
            name.strip(): [as_text(value) for value in column.to_pylist()]
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except Exception as error:  # Damaged bytes fail in more ways than can be listed.
        raise InputError(f"{path}: cannot be read as Parquet ({cause(error)}); save it again") from error
    return Cells(path, columns, list(range(1, table.num_rows + 1)), "row")
