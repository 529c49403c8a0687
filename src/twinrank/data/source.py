"""Where the images of a table are and how it is read, and files that keep this beside the path of a table."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from twinrank.core.files import read_json, write_json
from twinrank.core.records import as_record
from twinrank.data.formats.votes.database import ENDINGS
from twinrank.data.images.reading import Reading
from twinrank.errors import InputError

REFERENCE = ".pairs.json"
"""Ending of a file that refers to a table."""
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", *ENDINGS)
"""Endings of tables of judgements."""


@dataclass(frozen=True)
class Source:
    """How a table of judgements is read.

    Attributes:
        images: Folder of the images; None is that of the table.
        columns: What to read, see :func:`twinrank.data.formats.votes.read.read_votes`.
        reading: How image files become pixels.
        resize: Whether images of another size than a network was trained with are brought to that size.
        recorded: What was read in training. It counts where ``columns`` does not state the same, see
            :func:`twinrank.data.formats.votes.read.read_votes`.
        preferred_size: Pixels in height and width where ``reading`` states no size; None is the common size.
        question: Question that people answered, where it is known. It changes nothing about how a table is read.
    """

    images: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    reading: Reading = Reading()
    resize: bool = False
    recorded: Mapping[str, str] = field(default_factory=dict)
    preferred_size: int | tuple[int, int] | None = None
    question: str | None = field(default=None, compare=False)

    @property
    def sized(self) -> Reading:
        """The reading, at the preferred size where it states none."""
        return replace(self.reading, size=self.preferred_size) if self.reading.size is None else self.reading

    def to_json(self) -> dict[str, Any]:
        """The values by field, as JSON has them."""
        images = None if self.images is None else str(self.images)
        known: dict[str, Any] = {"recorded": dict(self.recorded)} if self.recorded else {}
        known |= {} if self.question is None else {"question": self.question}
        return {"images": images, "columns": dict(self.columns), "reading": self.reading.to_json(), **known}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> "Source":
        """What :meth:`to_json` has written.

        Args:
            values: Values by field.
            where: Place of the values, for the message.

        Raises:
            InputError: A value has the wrong type.
        """
        record = as_record(dict(values), SourceRecord, where, "how a table is read")
        images = record.get("images")
        return cls(
            None if images is None else Path(images),
            dict(record.get("columns", {})),
            Reading.from_json(record.get("reading", {}), f"{where}: 'reading'"),
            recorded=dict(record.get("recorded", {})),
            question=record.get("question"),
        )


class SourceRecord(TypedDict):
    """A :class:`Source` as JSON has it."""

    images: NotRequired[str | None]
    columns: NotRequired[dict[str, str]]
    reading: NotRequired[dict[str, Any]]
    recorded: NotRequired[dict[str, str]]
    question: NotRequired[str | None]


class Reference(TypedDict):
    """A file that refers to a table: its path, and how it is read."""

    table: str
    source: dict[str, Any]


def is_table(path: Path) -> bool:
    """Whether a path is that of a table of judgements, or of a folder with one."""
    return path.is_dir() or path.suffix.lower() in TABLES


def write_reference(path: Path, table: Path, source: Source) -> None:
    """Write a file ``NAME.pairs.json`` that :func:`twinrank.data.judgements.load_pairs` reads like the table itself.

    Paths in it are relative to its folder, so all can be moved together.

    Raises:
        InputError: The file cannot be written.
    """
    folder = Path(path).parent.resolve()
    images = None if source.images is None else Path(os.path.relpath(source.images.resolve(), folder))
    relative = os.path.relpath(Path(table).resolve(), folder)
    write_json(path, {"table": relative, "source": replace(source, images=images).to_json()})


def read_reference(path: Path) -> tuple[Path, Source]:
    """Read what :func:`write_reference` wrote: the table, and how it is read.

    Raises:
        InputError: The file is missing, damaged, or holds something else.
    """
    record = as_record(read_json(path), Reference, str(path), "a reference to a table of judgements")
    source = Source.from_json(record["source"], f"{path}: 'source'")
    images = None if source.images is None else path.parent / source.images
    table = path.parent / record["table"]
    if table.name.endswith(REFERENCE):
        raise InputError(f"{path}: refers to another reference, {table}; name the table itself")
    return table, replace(source, images=images)


def kept_references(train: Path, val: Path, out: Path, source: Source | None) -> tuple[Path, Path]:
    """What processes of their own read instead of tables, so that they read these alike.

    Args:
        train: Pair file. One that is no table is read as it is.
        val: Pair file, likewise.
        out: Folder in which references to the tables are kept, ``train.pairs.json`` and ``val.pairs.json``.
        source: How tables are read, and where their images are.

    Returns:
        The references, or the paths themselves if nothing is stated about them.

    Raises:
        InputError: ``out`` has a reference to another table. Nothing is written then.
    """
    if source is None or source == Source():
        return train, val
    tables = {out / f"{part}{REFERENCE}": path for part, path in (("train", train), ("val", val)) if is_table(path)}
    for place, path in tables.items():
        if place.exists():
            _require_same(place, path, source)
    for place, path in tables.items():
        if not place.exists():
            write_reference(place, path, source)
    kept = {path: place for place, path in tables.items()}
    return kept.get(train, train), kept.get(val, val)


def _require_same(place: Path, path: Path, source: Source) -> None:
    table, other = read_reference(place)
    images = [each and each.resolve() for each in (source.images, other.images)]
    same = images[0] == images[1] and replace(source, images=None) == replace(other, images=None)
    if not same or table.resolve() != path.resolve():
        raise InputError(f"{place}: refers to another table, or states something else; choose another `out`")
