"""Pairs of images from anyone: an NPZ file, a folder of images with a CSV, such a CSV, or a selection of such rows."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from twinrank.core.context import Context
from twinrank.core.files import reading, sha256
from twinrank.core.messages import counted, first_few
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.formats.image_arrays import ImageArrays, read_image_arrays
from twinrank.data.formats.labels import read_labels
from twinrank.data.formats.pair_arrays import InMemory, arrays_digest, as_array, read_pairs
from twinrank.data.formats.pair_npz import read_image_npz, read_pair_npz
from twinrank.data.formats.selection import ENDING, Selection, read_selection
from twinrank.data.formats.votes.database import is_database
from twinrank.data.formats.votes.files import image_files
from twinrank.data.formats.votes.read import WITH_ITSELF, read_votes
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.formats.votes.write import votes_as_csv
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.inputs import labels_beside
from twinrank.data.source import REFERENCE, Source, is_table, read_reference
from twinrank.errors import InputError


@dataclass(frozen=True, eq=False)
class Judgements:
    """N judgements: which of two images ranks higher.

    Attributes:
        images: M images, each once. Those of an NPZ file of pairs are N left and N right ones, so M is 2 N.
        left: Numbers of the left images, int64 (N,).
        right: Numbers of the right images, int64 (N,).
        y: Labels, int8 (N,), 1 where the left image ranks higher, else 0. Where shares or ties occur, they are float32
            (N,): the share of the votes for left, 0.5 for a tie. None if unlabelled.
        id: Row ids, str (N,), each once; None if the file has none.
        path: File or folder that was given, or the name of arrays in memory.
        sha256: Digest in hexadecimal: of the NPZ file; over a table, as it was read, and its images; over a selection's
            rows and the digest of their pair file; or over arrays in memory. A label CSV is not part of it.
        tie: Whether the images were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float32 (N,); None where each row is one vote.
        rater: Names of those who judged, str (N,); None if unknown.
        group: Group of each image, such as a patient or a place, str (M,); empty for an image without one. None without
            groups.
        source: How a table was read, with the size and channels of its images; None of arrays.
    """

    images: ImageStore
    left: np.ndarray
    right: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None
    path: Path
    sha256: str
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None
    rater: np.ndarray | None = None
    group: np.ndarray | None = None
    source: Source | None = None

    def __len__(self) -> int:
        return len(self.left)

    def __repr__(self) -> str:
        channels, height, width = self.images.shape
        labels = "" if self.y is not None else ", no labels"
        size = f"{channels} x {height} x {width} {self.images.dtype}"
        return f"Judgements({self.path}: {len(self):,} pairs, {size}{labels})"

    @property
    def xa(self) -> np.ndarray:
        """Left images, uint8, or float32 in [0, 1], (N, C, H, W); a view where they stand one after the other."""
        return self.images.take(self.left)

    @property
    def xb(self) -> np.ndarray:
        """Right images, the same shape and type."""
        return self.images.take(self.right)

    @cached_property
    def content_sha256(self) -> str:
        """Digest of images and labels, in hexadecimal: equal for the same pairs in another file, or in memory."""
        digest = hashlib.sha256(str((self.images.shape, self.y is None)).encode())
        hashes = self.images.hashes
        digest.update(np.stack([hashes[self.left], hashes[self.right]], 1).astype("<u8").tobytes())
        for values, kind in ((self.y, "<f4"), (self.tie, "?"), (self.weight, "<f4")):
            if values is not None:
                digest.update(values.astype(kind).tobytes())
        return digest.hexdigest()

    @cached_property
    def image_codes(self) -> np.ndarray:
        """Numbers of the left and the right image of each row, int64 (N, 2), the same for equal pixels in every file.

        Images of one value throughout have negative numbers, each its own: equal ones are no sign that an image came
        twice.
        """
        found, sides = self.images.fingerprints, np.stack([self.left, self.right], 1)
        # One bit less makes room for the negative ones.
        return np.where(found.uniform[sides], -1 - sides, (found.hashes[sides] >> np.uint64(1)).astype(np.int64))

    @cached_property
    def recurring(self) -> bool:
        """Whether an image occurs in more than one row."""
        left, right = self.image_codes.T
        once_a_row = np.concatenate([left, right[left != right]])
        return len(np.unique(once_a_row)) < len(once_a_row)

    @cached_property
    def shared(self) -> bool:
        """Whether an image of the store is in several places. Then each goes through a network once."""
        return len(np.unique(np.concatenate([self.left, self.right]))) < 2 * len(self)

    @property
    def decided(self) -> np.ndarray:
        """Whether a row is no tie and its votes are not even, bool (N,): the rows that have a right decision."""
        if self.y is None:
            raise InputError(f"{self.path}: has no labels")
        return self.y != 0.5

    @property
    def row_ids(self) -> np.ndarray:
        """str (N,): the ids, or the row numbers "0", "1", ... of a file without."""
        return np.arange(len(self)).astype(str) if self.id is None else self.id

    @classmethod
    def of_pairs(cls, pairs: PairArrays, path: Path, sha256: str) -> "Judgements":
        """Judgements of images that are stored pair by pair.

        Args:
            pairs: Arrays of N pairs.
            path: File that they are from, or a name.
            sha256: Digest of the file or of the arrays.
        """
        count = np.arange(len(pairs.xa))
        images = ImageStore((pairs.xa, pairs.xb), path)
        return cls(images, count, len(count) + count, pairs.y, pairs.id, path, sha256)

    @classmethod
    def of_images(cls, arrays: ImageArrays, path: Path, sha256: str) -> "Judgements":
        """Judgements of images that are stored once.

        Args:
            arrays: Arrays of N judgements of M images.
            path: File that they are from, or a name.
            sha256: Digest of the file or of the arrays.
        """
        columns = arrays._asdict()
        images = ImageStore((columns.pop("images"),), path, columns.pop("names"))
        return cls(images, path=path, sha256=sha256, **columns)

    @classmethod
    def from_images(
        cls, images: ArrayLike, left: ArrayLike, right: ArrayLike, name: str = "arrays", **columns: ArrayLike
    ) -> "Judgements":
        """Judgements from arrays in memory, with each image once, checked like those of an NPZ file.

        >>> images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
        >>> judged = Judgements.from_images(images, left=[0, 1, 2], right=[1, 2, 4], y=[1, 0.25, 0], weight=[1, 4, 1])
        >>> len(judged), len(judged.images), judged.y.tolist()
        (3, 5, [1.0, 0.25, 0.0])

        Args:
            images: Images, (M, H, W) or (M, C, H, W), uint8, or floating-point from 0 to 1.
            left: Numbers of the left images, (N,).
            right: Numbers of the right images, (N,).
            name: Name of the judgements in messages, and their ``path``.
            columns: Any of ``y`` (1, 0, or the share of votes for left), ``tie``, ``weight``, ``rater`` and ``id``,
                (N,); ``names`` and ``group`` of the images, (M,).

        Raises:
            InputError: Anything that :func:`load_pairs` refuses in an NPZ file.
        """
        given = {"images": images, "left": left, "right": right, **columns}
        arrays = {key: as_array(value, key, name) for key, value in given.items()}
        read = read_image_arrays(InMemory(Path(name), arrays))
        digest = hashlib.sha256()
        for key, array in arrays.items():
            digest.update(f"{key} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return cls.of_images(read, Path(name), digest.hexdigest())

    @classmethod
    def of_votes(
        cls, table: VoteTable, images: ImageStore, left: np.ndarray, right: np.ndarray, path: Path, source: Source
    ) -> "Judgements":
        """Judgements from a table of votes.

        Args:
            table: N votes.
            images: The images that it names, with digests of their files.
            left: Numbers of the left images, int64 (N,).
            right: Numbers of the right images, int64 (N,).
            path: Table, or its folder.
            source: How the table was read.
        """
        digest = hashlib.sha256(bytes.fromhex(_table_digest(table)))
        assert images.digests is not None
        digest.update(images.digests.tobytes())
        y = table.y
        if y is not None and np.isin(y, (0, 1)).all():
            y = y.astype(np.int8)
        groups = table.groups(left.tolist(), right.tolist())
        return cls(
            images,
            left,
            right,
            y,
            None if table.id is None else np.array(table.id),
            path,
            digest.hexdigest(),
            tie=table.tie if table.tie.any() else None,
            weight=None if (table.weight == 1).all() else table.weight,
            rater=None if table.rater is None else np.array(table.rater),
            group=np.array([groups.get(image, "") for image in range(len(images))]) if groups else None,
            source=source,
        )

    @classmethod
    def from_arrays(
        cls, xa: ArrayLike, xb: ArrayLike, y: ArrayLike | None = None, id: ArrayLike | None = None, name: str = "arrays"
    ) -> "Judgements":
        """Judgements from arrays in memory, checked like those of an NPZ file.

        Arrays that need no conversion are not copied, so they must not be changed afterwards.

        >>> images = np.random.default_rng(0).integers(0, 256, (2, 10, 28, 28), np.uint8)
        >>> pairs = Judgements.from_arrays(images[0], images[1], y=np.arange(10) % 2)
        >>> len(pairs), pairs.xa.shape, pairs.row_ids[:3].tolist()
        (10, (10, 1, 28, 28), ['0', '1', '2'])

        Args:
            xa: Left images, (N, H, W) or (N, C, H, W), uint8, or floating-point from 0 to 1.
            xb: Right images, the same shape and type.
            y: Labels (N,), 1 where the left image ranks higher, else 0.
            id: Row ids (N,), texts or whole numbers, each once.
            name: Name of the pairs in messages, and their ``path``.

        Raises:
            InputError: Anything that :func:`load_pairs` refuses in an NPZ file.
        """
        given = {"xa": xa, "xb": xb, "y": y, "id": id}
        arrays = {key: as_array(value, key, name) for key, value in given.items() if value is not None}
        pairs = read_pairs(InMemory(Path(name), arrays), labelled_elsewhere=True)
        return cls.of_pairs(pairs, Path(name), arrays_digest(pairs))

    def select(self, rows: np.ndarray | slice) -> "Judgements":
        """Some rows in the row order given; they keep their row ids. No image is copied.

        The digest is that of the selected rows, so two selections from a file count as different pairs.

        Args:
            rows: Positions int (M,), mask bool (N,), or slice.
        """
        places = np.arange(len(self))[rows]
        whole = np.array_equal(places, np.arange(len(self)))
        digest = self.sha256 if whole else Selection(self.path, self.sha256, places).sha256
        columns = {name: getattr(self, name) for name in ("left", "right", "y", "tie", "weight", "rater")}
        chosen = {name: values if values is None else values[places] for name, values in columns.items()}
        return replace(self, **chosen, id=self.row_ids[places], sha256=digest)


def load_pairs(
    path: Path, labels: Path | None = None, source: Source | None = None, context: Context = Context()
) -> Judgements:
    """Read judgements; whatever is not well-formed is refused. ``docs/data.md`` describes the formats.

    Args:
        path: An NPZ file; a table of judgements, or a folder with one; a reference to a table, ``NAME.pairs.json``; or
            a selection of rows of any of these, ``NAME.rows.npz``.
        labels: CSV ``id,label`` with every row id once, in any order. Without it, an NPZ file ``NAME.npz`` without
            ``y`` takes its labels from ``NAME_labels.csv`` beside it, if that exists.
        source: Where the images of a table are, and how it is read.
        context: Listeners: to the lines that say how a table was understood, and to the reading of images.

    Raises:
        InputError: The judgements are not well-formed, or ``source`` comes with something else than a table.
    """
    path = Path(path)
    if path.name.endswith(ENDING):
        return selected(path, partial(load_pairs, labels=labels, source=source, context=context))
    with reading(path):
        if path.name.endswith(REFERENCE):
            table, kept = read_reference(path)
            if source is not None:
                kept = as_stated(kept, source)
            data, own = replace(_load_table(table, kept, context), path=path), "outcomes"
        elif is_table(path):
            data, own = _load_table(path, source or Source(), context), "outcomes"
        else:
            if source is not None and (source.images is not None or source.columns):
                raise InputError(f"{path}: holds its own images; `images` and `columns` are for tables of judgements")
            beside = labels_beside(path)
            if (stored := read_image_npz(path)) is not None:
                data = Judgements.of_images(stored, path, sha256(path))
            else:
                arrays = read_pair_npz(path, labelled_elsewhere=labels is not None or beside.is_file())
                data = Judgements.of_pairs(arrays, path, sha256(path))
            own = "key 'y'"
            if labels is None and data.y is None and beside.is_file():
                labels = beside
    if labels is None:
        return data
    if data.y is not None:
        raise InputError(
            f"{path}: has labels already ({own}); leave out {labels}, or remove the labels from one of them"
        )
    return replace(data, y=read_labels(Path(labels), data.row_ids, path))


def as_stated(kept: Source, stated: Source) -> Source:
    """A reference's source, read as stated; where nothing is stated, as the reference has it.

    Args:
        kept: Source of the reference.
        stated: Source that the user states; its columns do not count.
    """
    reading = kept.reading if stated.reading == Reading() else stated.reading
    return replace(kept, reading=reading, images=stated.images or kept.images, preferred_size=stated.preferred_size)


def _load_table(path: Path, source: Source, context: Context) -> Judgements:
    table = read_votes(path, source.columns, source.recorded)
    files = image_files(table, source.images, context.say)
    if table.y is not None:
        _refuse_same_files(table, files)
    numbers: dict[Path, int] = {}
    places = np.array([numbers.setdefault(file, len(numbers)) for file in files], np.int64)
    left, right = np.split(places, 2)
    # The first name of each file.
    names = dict(zip(reversed(files), reversed(table.left + table.right), strict=True))
    images = ImageStore.from_files(
        [names[file] for file in numbers], list(numbers), source.sized, table.path, progress=context.progress
    )
    context.say(f"{table.path.name}: {images.described}")
    reading = images.reading or Reading()
    question = table.question or source.question
    known = Source(source.images, table.stated, reading, source.resize, source.recorded, question=question)
    return Judgements.of_votes(table, images, left, right, path, known)


def _table_digest(table: VoteTable) -> str:
    """Digest in hexadecimal: of a table's file, or of its judgements.

    A database is in several files. A table of which something was stated has other judgements than the same file has
    where something else is stated, such as the other of two outcomes.
    """
    if table.stated or is_database(table.path):
        return hashlib.sha256(votes_as_csv(table).encode()).hexdigest()
    return sha256(table.path)


def _refuse_same_files(table: VoteTable, files: Sequence[Path]) -> None:
    """Refuse judgements whose two names lead to one file."""
    pairs = zip(table.lines, files[: len(table)], files[len(table) :], strict=True)
    if same := [f"line {line}: {one.name}" for line, one, other in pairs if one == other]:
        raise InputError(f"{table.path}: {WITH_ITSELF}: {len(same):,} ({first_few(same)}); leave these out")


def selected(path: Path, load: Callable[[Path], Judgements]) -> Judgements:
    """The rows of a selection.

    Args:
        path: Selection, ``NAME.rows.npz``.
        load: Reader of what it selects from.

    Raises:
        InputError: It is damaged, or what it selects from has changed.
    """
    selection = read_selection(path)
    if selection.of.name.endswith(ENDING):
        raise InputError(f"{path}: selects from another selection, {selection.of}; select from the pair file itself")
    data = load(selection.of)
    if data.sha256 != selection.of_sha256:
        raise InputError(
            f"{path}: {selection.of} has changed since its rows were selected (SHA-256 differs); restore it"
        )
    if selection.rows[-1] >= len(data):
        rows = counted(len(data), "row", "rows")
        raise InputError(f"{path}: row {selection.rows[-1]} is beyond the {rows} of {selection.of}")
    return replace(data.select(selection.rows), path=path, sha256=selection.sha256)
