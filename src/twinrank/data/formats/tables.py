"""CSV files from anyone: UTF-8, commas, a header line, whole rows."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from twinrank.core.files import read_bytes, reading
from twinrank.core.memory import require_memory
from twinrank.core.messages import quoted
from twinrank.errors import InputError

_MEMORY_PER_BYTE = 20
"""Python text in lists takes about this many times the bytes of short CSV cells."""


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file.

    Attributes:
        columns: Cells by column name, without surrounding blanks; every column has the same length.
        lines: Line of the file, counted from 1, on which each row ends.
    """

    columns: dict[str, list[str]]
    lines: list[int]


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Table:
    """Read a CSV file whole; a byte order mark and blank lines are ignored.

    Args:
        path: CSV file.
        required: Columns that must be there, in any order.
        optional: Columns that may be there; no others may.

    Raises:
        InputError: The file is missing, unreadable, too large for memory, not UTF-8 or not a CSV; a column is
            missing, unknown or named twice; a row has too few or too many cells.
    """
    with reading(path):
        require_memory(path, path.stat().st_size * _MEMORY_PER_BYTE)
    text = decoded(path, read_bytes(path))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(
            f"{path}: line {reader.line_num} is not valid CSV ({error}); check its quotation marks"
        ) from error
    if not rows:
        raise InputError(f"{path}: empty; the first line names the columns {','.join(required + optional)}")
    header = rows.pop(0)
    _check_header(path, header, required, optional)
    for row, line in zip(rows, lines[1:], strict=True):
        if len(row) != len(header):
            raise InputError(
                f"{path}: line {line} has {len(row)} cells, the header has {len(header)}; quote cells that have commas"
            )
    return Table({name: [row[column] for row in rows] for column, name in enumerate(header)}, lines[1:])


def decoded(path: Path, content: bytes) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: It is not UTF-8, or has zero bytes.
    """
    try:
        text = content.decode("utf-8-sig")
        wrong = content.find(b"\0")  # UTF-16 without a byte order mark has them, and no text needs one.
    except UnicodeDecodeError as error:
        text, wrong = "", error.start
    if wrong >= 0:
        line = content.count(b"\n", 0, wrong) + 1
        raise InputError(f"{path}: not UTF-8 (byte 0x{content[wrong]:02x} in line {line}); save it as CSV in UTF-8")
    return text


def _check_header(path: Path, header: list[str], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    found = ", ".join(quoted(name) for name in header)
    wanted = "the columns are " + ", ".join(required) + "".join(f" and optionally {name}" for name in optional)
    for name in required:
        if name not in header:
            raise InputError(
                f"{path}: column '{name}' is missing, the first line has {found}; {wanted}, separated by commas"
            )
    for name in header:
        if name not in required + optional:
            raise InputError(f"{path}: unknown column {quoted(name)}; {wanted}")
        if header.count(name) > 1:
            raise InputError(f"{path}: column '{name}' occurs {header.count(name)} times; {wanted}")
