"""Judgements of ``twinrank fit``, divided into parts that are files themselves: tables, or selections of arrays."""

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import is_temporary, read_json, write_json
from twinrank.core.randomness import numpy_generator
from twinrank.data.formats.selection import ENDING, Selection, read_selection, write_selection
from twinrank.data.formats.votes.files import image_files
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.formats.votes.write import votes_as_csv
from twinrank.data.images.cache import require_headers
from twinrank.data.images.files import image_files as files_of_folder
from twinrank.data.images.files import same_content
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements, as_stated, load_pairs
from twinrank.data.source import REFERENCE, Source, is_table, read_reference
from twinrank.data.split import PARTS, Split
from twinrank.errors import InputError
from twinrank.evaluation.agreement import Agreement, best_known_agreement
from twinrank.workflows.fit_divide import divided
from twinrank.workflows.split import write_parts

NO_GROUPS = "none"
"""In place of a column of groups: images are held out, whatever their folders are."""
ALL, ALL_BUT_VAL, DEVELOPMENT, HALF = "judgements", "all_but_val", "development", "half"
"""Parts besides those of :data:`twinrank.data.split.PARTS`: all judgements; those without an image of ``val``; those
without an image of the test; and half of the latter."""
TRAIN, VAL, TEST = PARTS
_SPLIT, _REQUESTED = "split", "requested.json"
_JUDGEMENTS, _IMAGES = "judgements", "images"
"""Keys of the digest of the judgements and of the folder of the images in the latter."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Judgements, divided by their images into parts, each a file.

    Attributes:
        folder: Folder of the files.
        ending: Ending of their names.
        votes: All N judgements.
        rows: Positions of the judgements of each part, int64, ascending.
        counts: Number of judgements of each part. ``one_unseen`` are those with one image of the test; ``images``
            counts the images.
        source: How the files are read.
        images: Folder of the images, or the images themselves where these are arrays.
        files: Image files that were judged, each once; none for arrays.
        recurring: Whether an image occurs in several judgements.
        agreement: How far those who judged agree; None where no pair was judged twice.
    """

    folder: Path
    ending: str
    votes: VoteTable = field(repr=False)
    rows: Mapping[str, np.ndarray] = field(repr=False)
    counts: Mapping[str, int]
    source: Source
    images: Path | ImageStore
    files: tuple[Path, ...]
    recurring: bool
    agreement: Agreement | None = field(repr=False)

    def part(self, name: str) -> Path:
        """File of a part; there is none of a part without judgements."""
        return self.folder / f"{name}{self.ending}"

    def selected(self, name: str, of: str, data: Judgements, rows: np.ndarray) -> Path:
        """File with some judgements of a part, written where it is missing.

        Args:
            name: Name of the file without its ending.
            of: Part.
            data: The judgements of the part.
            rows: Positions in the part, ascending.

        Raises:
            InputError: The file cannot be written.
        """
        path, part = self.folder / f"{name}{ENDING}", self.part(of)
        if not path.exists():
            # A selection of a selection is one of the file behind it.
            whole = (
                read_selection(part) if self.ending == ENDING else Selection(part, data.sha256, np.arange(len(data)))
            )
            write_selection(path, whole._replace(rows=whole.rows[rows]))
        return path


def divided_into_parts(
    path: Path, out: Path, source: Source, seed: int, groups: str | None, context: Context = Context()
) -> Parts:
    """Divide judgements, and write the parts below a folder.

    Args:
        path: Anything that :func:`twinrank.data.judgements.load_pairs` reads, except for a selection of a table.
        out: Folder, new, or begun with the same judgements and values.
        source: Where the images of a table are, and how it is read.
        seed: Seed of the division.
        groups: Column of groups of images, or two, separated by a comma. :data:`NO_GROUPS` holds out single images,
            also where they lie in several folders.
        context: Listener.

    Raises:
        InputError: The judgements are refused or too few, or the folder holds something else. Nothing is written then.
    """
    if path.name.endswith(REFERENCE):
        path, kept = read_reference(path)
        source = replace(as_stated(kept, source), columns={**kept.columns, **source.columns})
    if is_table(path):
        source = replace(source, columns={**source.columns, **_group_columns(groups)})
        return _of_table(path, out, source, seed, groups != NO_GROUPS, context)
    if groups not in (None, NO_GROUPS):
        raise InputError(f"{path}: is no table, so `groups` can name no column of it; give its images key 'group'")
    if source.reading != Reading():
        raise InputError(
            f"{path}: holds its own images; `size`, `fit`, `background`, `range` and `page` are for tables; leave"
            " them out"
        )
    return _of_arrays(path, out, source, seed, context)


def _group_columns(groups: str | None) -> dict[str, str]:
    """What a name of a column of groups, or two such names, states about the columns of a table."""
    if groups is None or groups == NO_GROUPS:
        return {}
    left, comma, right = groups.partition(",")
    return {"left_group": left.strip(), "right_group": right.strip()} if comma else {"group": groups}


def _of_table(path: Path, out: Path, source: Source, seed: int, by_folder: bool, context: Context) -> Parts:
    votes = read_votes(path, source.columns)
    files = image_files(votes, source.images, context.say)
    _require_outcomes(votes, "name their column with `columns`, such as winner=COLUMN", context.say)
    folder = source.images or (votes.path if votes.path.is_dir() else votes.path.parent)
    _require_readable(folder, files, source.reading, context)
    sides = files[: len(votes)], files[len(votes) :]
    requested = {_JUDGEMENTS: hashlib.sha256(votes_as_csv(votes).encode()).hexdigest(), "seed": seed}
    requested |= {_IMAGES: str(folder.resolve()), "groups": by_folder, **source.reading.to_json()}
    kinds = same_content(files)
    contents = kinds[: len(votes)], kinds[len(votes) :]
    # Groups may hold copies of one image, which has one name of each group then.
    known = sides if votes.grouped else contents
    votes, split = divided(votes, known, seed, context.say, folder if by_folder else None, contents)
    _require_same(out / _REQUESTED, requested, context.say)
    rows = _rows(split, seed)
    write_parts(votes, sides, folder, out / _SPLIT, rows)
    # The parts have columns of their own, and later commands may be given the table itself again.
    question = votes.question or source.question
    read = Source(images=folder, reading=source.reading, recorded=source.columns, question=question)
    return _parts(out, ".csv", votes, sides, split, rows, source=read, images=folder, files=tuple(dict.fromkeys(files)))


def _require_readable(folder: Path, judged: Sequence[Path], reading: Reading, context: Context) -> None:
    """Refuse images that cannot be read, before anything is computed or written.

    Images of the folder that nobody judged are ranked, too.
    """
    below = {path.absolute(): path.relative_to(folder).as_posix() for path in files_of_folder(folder)}
    names = below | {path: str(path) for path in dict.fromkeys(judged) if path.absolute() not in below}
    require_headers([*names.values()], [*names], reading, folder, context.threads)


def _of_arrays(path: Path, out: Path, source: Source, seed: int, context: Context) -> Parts:
    of = read_selection(path) if path.name.endswith(ENDING) else None
    if of is not None and (is_table(of.of) or of.of.name.endswith(REFERENCE)):
        raise InputError(f"{path}: selects rows of a table, {of.of}; give a table with these rows")
    data = load_pairs(path, None, source, context)
    votes = _as_votes(data)
    _require_outcomes(votes, f"add key 'y', or a CSV {path.stem}_labels.csv beside it", context.say)
    left, right = data.image_codes.T.tolist()
    votes, split = divided(votes, (left, right), seed, context.say)
    _require_same(out / _REQUESTED, {_JUDGEMENTS: data.content_sha256, "seed": seed}, context.say)
    rows = _rows(split, seed)
    whole = Selection(path, data.sha256, np.arange(len(data))) if of is None else of
    for name, places in rows.items():
        if len(places) and not (file := out / _SPLIT / f"{name}{ENDING}").exists():
            write_selection(file, whole._replace(rows=whole.rows[places]))
    return _parts(out, ENDING, votes, (left, right), split, rows, source=Source(), images=data.images, files=())


def _as_votes(data: Judgements) -> VoteTable:
    """Judgements of arrays as a table, whose images are named by their numbers where they have no names."""

    def names(side: np.ndarray) -> list[str]:
        return (side.astype(str) if data.images.names is None else data.images.names[side]).tolist()

    def groups(side: np.ndarray) -> list[str] | None:
        return None if data.group is None else data.group[side].tolist()

    count = len(data)
    return VoteTable(
        data.path,
        names(data.left),
        names(data.right),
        None if data.y is None else data.y.astype(np.float32),
        np.zeros(count, bool) if data.tie is None else data.tie,
        np.ones(count, np.float32) if data.weight is None else data.weight,
        None if data.rater is None else data.rater.tolist(),
        None if data.id is None else data.id.tolist(),
        groups(data.left),
        groups(data.right),
        [*range(1, count + 1)],
        ("", "", ""),
        (),
    )


def _require_outcomes(votes: VoteTable, how: str, say: Callable[[str], None]) -> None:
    if votes.y is None:
        raise InputError(f"{votes.path}: has no outcomes; {how}")
    if votes.tie.all():
        raise InputError(f"{votes.path}: every judgement is a tie, so nothing can be learned; judge other pairs")
    decided = votes.y[~votes.tie]
    if len(decided) > 1 and (decided == decided[0]).all() and decided[0] in (0, 1):
        side = "left" if decided[0] else "right"
        say(
            f"warning: {votes.path}: the {side} image won every judgement, which tells nothing about most networks; see"
            " whether the column of the winner was understood"
        )


def _rows(split: Split, seed: int) -> dict[str, np.ndarray]:
    """Positions of the judgements of each part."""
    tested = (split.sides == PARTS.index(TEST)).sum(0)
    development = np.flatnonzero(tested == 0)
    half = numpy_generator(seed, HALF).permutation(development)
    return {
        ALL: np.arange(len(tested)),
        DEVELOPMENT: development,
        TEST: np.flatnonzero(tested == 2),
        HALF: np.sort(half[: len(half) // 2]),
        TRAIN: split.rows(TRAIN),
        VAL: split.rows(VAL),
        ALL_BUT_VAL: np.flatnonzero((split.sides != PARTS.index(VAL)).all(0)),
    }


def _parts(
    out: Path,
    ending: str,
    votes: VoteTable,
    sides: tuple[Sequence[Hashable], Sequence[Hashable]],
    split: Split,
    rows: Mapping[str, np.ndarray],
    **values: Any,
) -> Parts:
    numbers = {image: place for place, image in enumerate(dict.fromkeys([*sides[0], *sides[1]]))}
    pairs = np.array([[numbers[image] for image in side] for side in sides]).T
    counts = {name: len(places) for name, places in rows.items()}
    counts["one_unseen"] = int(((split.sides == PARTS.index(TEST)).sum(0) == 1).sum())
    counts["images"] = len(numbers)
    rater = None if votes.rater is None else np.array(votes.rater)
    assert votes.y is not None
    found = best_known_agreement(votes.y, pairs, tie=votes.tie, weight=votes.weight, rater=rater)
    recurring = len(numbers) < 2 * len(votes)
    return Parts(out / _SPLIT, ending, votes, rows, counts, recurring=recurring, agreement=found, **values)


def _require_same(path: Path, requested: dict[str, Any], say: Callable[[str], None]) -> None:
    """Keep what was requested, or make sure that it is what the folder was begun with.

    The folder of the images may be another one: their content is compared later, and tells whether they are the same.
    """
    if not path.exists():
        if path.parent.exists() and not path.parent.is_dir():
            raise InputError(f"{path.parent}: is a file; name a folder with `out`")
        if path.parent.exists() and _holds_other_files(path.parent):
            raise InputError(f"{path.parent}: holds other files; choose a new folder with `out`")
        write_json(path, requested)
        return
    before = read_json(path)
    before = before if isinstance(before, dict) else {}
    changed = [name for name in {**requested, **before} if before.get(name) != requested.get(name)]
    if changed == [_IMAGES] and {*changed} <= before.keys() & requested.keys():
        old, new = before[_IMAGES], requested[_IMAGES]
        say(f"{path.parent}: was begun with the images in {old}; those in {new} are used now")
        write_json(path, requested)
    elif changed:
        # Of other judgements, all else may be other, too.
        names = "judgements" if _JUDGEMENTS in changed else ", ".join(f"`{name}`" for name in changed)
        raise InputError(
            f"{path.parent}: was begun with other {names}; choose another folder with `out` (features that were"
            " computed are found again)"
        )


def _holds_other_files(folder: Path) -> bool:
    """Whether a folder has files; those do not count that another command writes at this moment."""
    return not all(is_temporary(path) for path in folder.iterdir())
