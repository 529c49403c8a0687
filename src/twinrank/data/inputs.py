"""Files that a command reads, which nothing that it writes may replace."""

import csv
from collections.abc import Sequence
from pathlib import Path

from twinrank.core.files import open_file
from twinrank.core.messages import first_few, quoted
from twinrank.data.formats.selection import ENDING, read_selection
from twinrank.data.formats.tables import read_table
from twinrank.data.formats.votes.folders import find_table
from twinrank.data.formats.votes.names import find_images
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.images.decode import ENDINGS
from twinrank.data.source import REFERENCE, Source, is_table, read_reference
from twinrank.errors import InputError

_LONGEST_HEADER = 10_000


def labels_beside(path: Path) -> Path:
    """The CSV from which an NPZ file without ``y`` takes its labels, if it exists: ``NAME_labels.csv``."""
    return path.with_name(f"{path.stem}_labels.csv")


def require_other_files(outs: Sequence[Path], path: Path, source: Source | None = None) -> None:
    """Make sure that what is written replaces nothing that is read: pairs, a table, labels, or an image.

    Args:
        outs: Files to write.
        path: Anything that :func:`twinrank.data.judgements.load_pairs` reads.
        source: How a table is read, and where its images are.

    Raises:
        InputError: A file to write is one of those, or would be read as labels afterwards.
    """
    path = Path(path)
    files = _files(path, source or Source(), images=any(_may_be_image(out) for out in outs))
    require_kept(outs, files)
    for out in map(Path, outs):
        if out.absolute() in {labels_beside(file).absolute() for file in files if file.suffix.lower() == ".npz"}:
            raise InputError(f"{out}: would be read as the labels of the pairs; choose another name with `out`")


def require_kept(outs: Sequence[Path], files: Sequence[Path]) -> None:
    """Make sure that what is written replaces none of some files.

    Args:
        outs: Files to write.
        files: Files to keep; they need not exist.

    Raises:
        InputError: A file to write is one of them.
    """
    for out in map(Path, outs):
        if any(out.exists() and file.exists() and out.samefile(file) for file in files):
            raise InputError(f"{out}: is one of the files that are read, and is kept; choose another name with `out`")


def require_own_columns(out: Path, columns: Sequence[str]) -> None:
    """Make sure that a CSV replaces at most an earlier one of the same kind, and none to which people added columns.

    Args:
        out: CSV to write.
        columns: Names of all columns that it may have.

    Raises:
        InputError: A file is there and has other columns.
    """
    if not out.exists():
        return
    with open_file(out) as file:
        header = next(csv.reader([file.readline(_LONGEST_HEADER).decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
    if other := [name for name in header if name not in columns]:
        raise InputError(
            f"{out}: has columns that are not written here, {first_few([quoted(name) for name in other])}, and is kept;"
            " choose another name with `out`"
        )


def require_own_rows(out: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Make sure that a CSV replaces at most an earlier one of the same rows, and no row that people added.

    Args:
        out: CSV to write.
        columns: Names of its columns.
        rows: Cells of its rows. Blanks around them do not count.

    Raises:
        InputError: A file is there, and has other columns or other rows.
    """
    if not out.exists() or not out.stat().st_size:
        return
    require_own_columns(out, columns)
    table = read_table(out, (), tuple(columns))
    places = [columns.index(name) for name in table.columns]
    known = {tuple(row[place].strip() for place in places) for row in rows}
    there = zip(table.lines, zip(*table.columns.values(), strict=True), strict=True)
    if other := [f"line {line}" for line, row in there if row not in known]:
        raise InputError(
            f"{out}: has rows that are not written here, {first_few(other)}, and is kept; choose another name with"
            " `out`"
        )


def _may_be_image(out: Path) -> bool:
    return Path(out).suffix.lower() in ENDINGS and Path(out).exists()


def _files(path: Path, source: Source, images: bool) -> list[Path]:
    """The files behind a path, and the image files that a table names if these are wanted."""
    if path.name.endswith(ENDING):
        return [path, *_files(read_selection(path).of, source, images)]
    if path.name.endswith(REFERENCE):
        return [path, *_files(*read_reference(path), images)]
    if not path.exists() or not is_table(path):
        return [path, labels_beside(path)]
    table = find_table(path) if path.is_dir() else path
    if not images:
        return [table]
    votes = read_votes(path, source.columns, source.recorded)
    return [table, *find_images(dict.fromkeys([*votes.left, *votes.right]), source.images, votes.path)]
