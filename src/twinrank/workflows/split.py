"""Tables of judgements for training, validation and test that share no image."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import read_bytes, replacing
from twinrank.core.messages import counted
from twinrank.data.formats.votes.files import image_files
from twinrank.data.formats.votes.names import normal_name
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.formats.votes.write import votes_as_csv
from twinrank.data.images.files import same_content
from twinrank.data.split import PARTS, SHARES, By, Split, split_votes
from twinrank.errors import InputError


def split(
    table: Path,
    out: Path,
    images: Path | None = None,
    by: By = "image",
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
    context: Context = Context(),
) -> Split:
    """Write ``train.csv``, ``val.csv``, ``test.csv`` and ``crossing.csv``, and report what is in them.

    Their names of images are paths from the folder of the images where one is given, else from ``out``.

    Args:
        table: Table of judgements, or a folder with one.
        out: Folder of the four files.
        images: Folder of the images that the table names; None for the table's own.
        by: What is held out: images, or groups of images.
        shares: Shares of the images for training, validation and test.
        seed: Seed of the division.
        columns: What the columns of the table are, as :func:`twinrank.data.formats.votes.read.read_votes` takes it.
        context: Where lines go.

    Raises:
        InputError: The table or the images are refused, the split is impossible, or a file is there and differs.
            Nothing is written then.
    """
    votes = read_votes(table, columns)
    found = image_files(votes, images, context.say)
    if votes.y is None:
        raise InputError(f"{votes.path}: has no outcomes; name their column with `columns`, such as winner=COLUMN")
    if by == "image" and votes.left_group is not None:
        context.say("the table has groups, which may now be in several parts; hold out groups to keep each in one")
    files = found[: len(votes)], found[len(votes) :]
    kinds = same_content(found)
    contents = kinds[: len(votes)], kinds[len(votes) :]
    # Groups may hold copies of one image, which has one name of each group then.
    made = split_votes(votes, by, shares, seed, files if by == "group" else contents, contents)
    if made.joined:
        context.say(joined_in_words(made.joined))
    rows = {part: made.rows(part) for part in PARTS} | {"crossing": np.flatnonzero(made.crossing)}
    write_parts(votes, files, images, out, rows, votes.question)
    for line in _lines(votes, made, out):
        context.say(line)
    return made


def joined_in_words(groups: int) -> str:
    """What to say about groups that stay together.

    Args:
        groups: Their number.
    """
    return f"{groups:,} groups have copies of images of others, and stay together with these"


def write_parts(
    votes: VoteTable,
    files: tuple[Sequence[Path], Sequence[Path]],
    images: Path | None,
    out: Path,
    rows: Mapping[str, np.ndarray],
    question: str | None = None,
) -> None:
    """Write tables of some judgements, all or none; a file that is there stays if it is equal.

    Args:
        votes: N judgements.
        files: Files of their left and right images, (N,) each.
        images: Folder from which the images are named; None for ``out``.
        out: Folder of the tables.
        rows: Positions of the judgements of each table, by its name without ``.csv``.
        question: Question that people answered, which each table gets as a column; None is left out.

    Raises:
        InputError: A file is there and differs, or cannot be written.
    """
    spelled = {file: _name(file, images, out) for file in dict.fromkeys([*files[0], *files[1]])}
    named = replace(votes, left=[spelled[file] for file in files[0]], right=[spelled[file] for file in files[1]])
    _write({out / f"{name}.csv": votes_as_csv(named.select(places), question) for name, places in rows.items()})


def _name(file: Path, images: Path | None, out: Path) -> str:
    """A name that leads to a file from the folder of the images, or from ``out``."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 (links are kept)
    if images is not None and path.is_relative_to(os.path.abspath(images)):  # noqa: PTH100
        return normal_name(path.relative_to(os.path.abspath(images)).as_posix())  # noqa: PTH100
    return normal_name(Path(os.path.relpath(path, out)).as_posix())


def _write(texts: Mapping[Path, str]) -> None:
    """Write all files, or none; a file that is there stays if it is equal.

    Raises:
        InputError: One is there and differs, or cannot be written.
    """
    contents = {path: text.encode() for path, text in texts.items()}
    differ = [path.name for path, content in contents.items() if path.exists() and read_bytes(path) != content]
    if differ:
        folder = next(iter(texts)).parent
        raise InputError(
            f"{folder}: has another {', '.join(differ)}; remove the old split, or choose a folder with `out`"
        )
    with ExitStack() as stack:
        for path, content in contents.items():
            if not path.exists():
                stack.enter_context(replacing(path)).write_bytes(content)


def _lines(votes: VoteTable, made: Split, out: Path) -> list[str]:
    def judgements(count: int) -> str:
        return counted(count, "judgement", "judgements")

    lines = [
        f"{out / part}.csv: {judgements(len(made.rows(part)))} of {counted(made.images[part], 'image', 'images')}"
        for part in PARTS
    ]
    crossing, lost = int(made.crossing.sum()), sum(made.lost.values())
    lines.append(f"{out / 'crossing'}.csv: {judgements(crossing)} of a training image and a test image")
    if not lost:
        return [*lines, "no judgement crosses a border"]
    kinds = ", ".join(f"{count:,} of {one} and {other}" for (one, other), count in made.lost.items())
    share = lost / len(votes)
    return [
        *lines,
        f"{lost:,} of {judgements(len(votes))} ({share:.0%}) cross a border, so no strict part has them: {kinds}",
    ]
