"""Tables of judgements, whatever their form: they are recognised, read, and described in two lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinrank.core.files import read_bytes, reading
from twinrank.core.memory import require_memory
from twinrank.core.messages import counted
from twinrank.core.raters import UNKNOWN
from twinrank.data.formats.labels import id_defects
from twinrank.data.formats.votes.cells import Cells, read_delimited, read_parquet, text_of
from twinrank.data.formats.votes.database import KIND, MAGIC, read_database
from twinrank.data.formats.votes.dialects import chosen_rows, scenes
from twinrank.data.formats.votes.folders import find_table, read_patches
from twinrank.data.formats.votes.json_tables import read_json_table
from twinrank.data.formats.votes.names import normal_name
from twinrank.data.formats.votes.outcomes import MOST_VOTES, TIE, examples, number, read_outcomes, tie_flags
from twinrank.data.formats.votes.roles import COLUMNS, Roles, find_roles, known_columns
from twinrank.data.formats.votes.table import VoteTable
from twinrank.errors import InputError, one_line

_MEMORY_PER_BYTE = 12
"""Lists of short cells, equal ones stored once, take about this many times the bytes of the file."""
_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
WITH_ITSELF = "judgements that compare an image with itself"
"""A kind of defect: neither side can rank higher."""


def read_votes(
    path: Path, columns: Mapping[str, str] | None = None, recorded: Mapping[str, str] | None = None
) -> VoteTable:
    """Read a table of judgements. No image is opened.

    Columns are recognised by their names, and outcomes by their values. What can be read in several ways is refused,
    and the line has the choices.

    Args:
        path: CSV, TSV or semicolon table (UTF-8 or UTF-16), JSON, Parquet; a database of ``twinrank label``; a folder
            with one such file; or a folder of patches like those of BAPPS. What a file holds is seen from its content.
        columns: What to read: a column for a role, such as ``{"left": "photo_1"}``; an empty text for a role that no
            column has; how outcomes are written, ``left_is``, ``right_is`` and ``tie_is``; or the rows that count,
            ``{"only": "COLUMN=VALUE"}``.
        recorded: What was stated for another table. It counts where ``columns`` does not state the same, or the images,
            and this table has these columns.

    Raises:
        InputError: The table cannot be read, or not in one way; or cells are wrong, and the line counts every kind.
    """
    path = Path(path)
    columns = dict(columns or {})
    with reading(path):
        path.stat()
        cells = _cells(path, columns)
        as_recorded, given = known_columns(cells, recorded or {}, columns), columns
        if as_recorded:
            columns = as_recorded | given
            cells = _cells(path, columns)
        cells = chosen_rows(cells, columns)
    table = _votes(cells, find_roles(cells, columns))
    *content, how = table.summary
    if as_recorded:
        how = f"{how}; {'other ' if given else ''}columns as stated in training"
    elif cells.kind == KIND and not columns:
        # Its columns are always the same, and nobody can read them otherwise.
        how = ""
    return replace(table, stated=columns, summary=(*content, how))


def _cells(path: Path, columns: Mapping[str, str]) -> Cells:
    """Cells of any table; its content says what it is, whatever its name ends in."""
    if path.is_dir():
        path = find_table(path)
        if path.is_dir():
            return read_patches(path)
    require_memory(path, path.stat().st_size * _MEMORY_PER_BYTE)
    content = read_bytes(path)
    if content[:4] == _ZIP:
        raise InputError(
            f"{path}: a zip archive, such as NPZ or XLSX, and no table of judgements; save the table as CSV"
        )
    if content[: len(MAGIC)] == MAGIC:
        return read_database(path)
    if content[:4] == _PARQUET:
        return read_parquet(path, content)
    text = text_of(path, content)
    if text.lstrip()[:1] in ("[", "{"):
        return read_json_table(path, text, columns)
    return scenes(read_delimited(path, text))


def _votes(cells: Cells, roles: Roles) -> VoteTable:
    if not len(cells):
        raise InputError(f"{cells.path}: no judgements, only a header line; add a line for each")
    column = {role: cells.columns[name] for role, name in roles.columns.items()}
    spelled = {name: normal_name(name) for name in {*column["left"], *column["right"]}}
    left, right = ([spelled[name] for name in column[side]] for side in ("left", "right"))
    defects = [
        text
        for side, names in (("left", left), ("right", right))
        for text in examples(f"missing {side} images", _places(cells, [not name for name in names]))
    ]
    defects += _unwritable(cells, column)
    rows = _counted(cells, column) if "left_votes" in column else _single(cells, roles, left, right)
    defects += rows.defects
    if rows.value is not None:
        same = [one == other != "" for one, other in zip(left, right, strict=True)]
        defects += examples(WITH_ITSELF, _places(cells, same))
    if "id" in column:
        defects += id_defects(column["id"], cells.unit, cells.lines)
    if defects:
        raise InputError(f"{cells.path}: {'; '.join(defects)}; {_remedy(defects)}")
    return _table(cells, roles, left, right, rows)


@dataclass
class _Rows:
    """Judgements of the rows of a table, which may have two: one of the votes for a side, one of the ties.

    Attributes:
        value: Share of the votes for left, or TIE, float64 (J,); None without outcomes.
        weight: Number of votes, float64 (J,).
        row: Row of the table, int (J,).
        how: What the outcomes mean, in words.
        skipped: Number of ties that were written as skipped.
        defects: What is wrong, a text for each kind.
    """

    value: np.ndarray | None
    weight: np.ndarray
    row: np.ndarray
    how: str
    skipped: int
    defects: list[str]


def _single(cells: Cells, roles: Roles, left: list[str], right: list[str]) -> _Rows:
    """One judgement a row."""
    columns = roles.columns
    tied, defects = [False] * len(cells), []
    if "tie" in columns:
        tied, defects = tie_flags(cells, columns["tie"])
    value, how, skipped = None, "", 0
    if columns.keys() & {"outcome", "winner", "share"}:
        read = read_outcomes(cells, roles, left, right, tied)
        value, how, skipped = read.value, read.how, read.skipped
        defects += read.defects
    elif roles.by_result:
        value = np.where(tied, TIE, 1.0)
    weight = np.ones(len(cells))
    if "weight" in columns:
        weight = np.array([number(cell, cells.comma) for cell in cells.columns[columns["weight"]]])
        defects += examples(
            "numbers of votes that are not above 0", _places(cells, np.logical_not(weight > 0).tolist())
        )
    return _Rows(value, weight, np.arange(len(cells)), how, skipped, defects)


def _counted(cells: Cells, column: Mapping[str, list[str]]) -> _Rows:
    """One judgement a row for the votes for a side, one for its ties; a row has either or both."""
    if "right_votes" not in column:
        raise InputError(f"{cells.path}: only the votes for left are named; name both with `columns`")
    empty = ["0"] * len(cells)
    counts = np.array(
        [
            [number(cell or "0", cells.comma) for cell in column.get(role, empty)]
            for role in ("left_votes", "right_votes", "ties")
        ]
    )
    wrong = np.logical_not((counts >= 0).all(axis=0, keepdims=True))[0]
    none = ~wrong & (counts.sum(axis=0) == 0)
    defects = examples("numbers of votes that are not 0 or more", _places(cells, wrong))
    defects += examples("rows without votes", _places(cells, none))
    decided = counts[0] + counts[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.stack([counts[0] / decided, np.full(len(cells), TIE)])
    weights = np.stack([decided, counts[2]])
    # Row by row: first the votes for a side, then the ties.
    row, kind = np.nonzero((weights > 0).T)
    return _Rows(values[kind, row], weights[kind, row], row, "votes for each", 0, defects)


def _unwritable(cells: Cells, column: Mapping[str, list[str]]) -> list[str]:
    """Cells that no text file can hold: JSON has escapes for zero bytes, and for halves of characters."""
    found = []
    for role in ("left", "right", "rater", "id", "group", "left_group", "right_group"):
        bad = {cell for cell in {*column.get(role, ())} if _UNWRITABLE.search(cell)}
        found += _places(cells, [cell in bad for cell in column[role]]) if bad else []
    return examples("texts that are not Unicode, or have a zero byte", found)


def _remedy(defects: list[str]) -> str:
    """What to do about defects: for each kind, by the first word here that it has."""
    remedies = {
        "winners": "name one of the two images, or tie",
        "images": "name both images",
        "itself": "leave these out",
        "outcomes": "an outcome is left or right, 1 or 0, the winner's name, tie, or a share of the votes for left",
        "votes": "numbers of votes are above 0",
        "ids": "an id occurs once",
        "true": "write true or false",
    }
    kinds = [defect.split(":")[0].split() for defect in defects]
    found = [next((remedy for word, remedy in remedies.items() if word in kind), "") for kind in kinds]
    return "; ".join(filter(None, dict.fromkeys(found))) or "correct these"


def _places(cells: Cells, wrong: Iterable[bool]) -> list[str]:
    return [f"{cells.unit} {line}" for line, is_wrong in zip(cells.lines, wrong, strict=True) if is_wrong]


def _table(cells: Cells, roles: Roles, left: list[str], right: list[str], rows: _Rows) -> VoteTable:
    places = rows.row.tolist()
    columns = roles.columns

    def listed(role: str) -> list[str] | None:
        return [cells.columns[columns[role]][row] for row in places] if role in columns else None

    both = listed("group")
    tie = np.zeros(len(places), bool) if rows.value is None else rows.value == TIE
    ids = listed("id")
    if ids and len(places) > len(cells):
        again = np.diff(rows.row, prepend=-1) == 0
        ids = [f"{each} (ties)" if second else each for each, second in zip(ids, again.tolist(), strict=True)]
    raters = listed("rater")
    used = {*columns.values()}
    with np.errstate(over="ignore", under="ignore"):
        weight = rows.weight.astype(np.float32)
    if wrong := np.flatnonzero(~((weight > 0) & (weight <= MOST_VOTES))).tolist():
        lines = examples("numbers of votes that are too large or too small", _places_of(cells, places, wrong))
        raise InputError(f"{cells.path}: {'; '.join(lines)}; write numbers from 1e-30 to {MOST_VOTES:.0e}")
    table = VoteTable(
        path=cells.path,
        left=[left[row] for row in places],
        right=[right[row] for row in places],
        y=None if rows.value is None else np.where(tie, 0.5, rows.value).astype(np.float32),
        tie=tie,
        weight=weight,
        # Where no row names one, the votes may be those of anybody.
        rater=[name or UNKNOWN for name in raters] if raters and any(raters) else None,
        id=ids,
        left_group=listed("left_group") or both,
        right_group=listed("right_group") or both,
        lines=[cells.lines[row] for row in places],
        summary=("", "", ""),
        ignored=tuple(name for name in cells.columns if name not in used),
        question=cells.question,
        digests={normal_name(name): digest for name, digest in cells.digests.items()},
    )
    before, after = map(one_line, _content(table, cells, rows.skipped, (raters or []).count("")))
    return replace(table, summary=(before, after, one_line(_reading(table, cells, roles, rows.how))))


def _places_of(cells: Cells, places: Sequence[int], rows: Iterable[int]) -> list[str]:
    return [f"{cells.unit} {cells.lines[places[row]]}" for row in rows]


def _content(table: VoteTable, cells: Cells, skipped: int, unnamed: int) -> tuple[str, str]:
    """What the table holds, before and after the number of images."""
    what = ("judgement", "judgements") if table.y is not None else ("pair", "pairs")
    by = f" by {counted(len({*table.rater} - {UNKNOWN}), 'rater', 'raters')}" if table.rater else ""
    parts = list(cells.notes)
    if table.y is None:
        parts.append("no outcomes")
    if table.tie.any():
        parts.append(counted(int(table.tie.sum()), "tie", "ties") + (f" ({skipped:,} skipped)" if skipped else ""))
    if table.y is not None:
        shares = int(((table.y != 0) & (table.y != 1) & ~table.tie).sum())
        parts += [f"{counted(shares, 'share', 'shares')} of votes"] if shares else []
    if (table.weight != 1).any():
        parts.append(f"{float(table.weight.sum(dtype=float)):,.6g} votes")
    if unnamed:
        parts.append(f"{counted(unnamed, 'row names', 'rows name')} no rater")
    return f"{table.path.name}: {counted(len(table), *what)} of ", "; ".join([by, *parts])


def _reading(table: VoteTable, cells: Cells, roles: Roles, how: str) -> str:
    """How the columns were read, in a line."""
    parts = []
    for role in (role for role in COLUMNS if role in roles.columns):
        is_outcome = role in ("outcome", "winner", "share")
        shown = f"{'outcome' if is_outcome else role} = {roles.columns[role]}"
        parts.append(f"{shown} ({how})" if is_outcome and how else shown)
    if roles.by_result:
        parts.append("left is always the winner")
    text = ", ".join(parts)
    if cells.kind:
        text = f"{cells.kind}: {text}"
    return f"{text}; ignored: {', '.join(table.ignored)}" if table.ignored else text
