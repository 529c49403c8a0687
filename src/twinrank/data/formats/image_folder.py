"""Pairs as image files, named in a CSV ``left,right[,label][,id]``."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.files import reading, sha256
from twinrank.core.messages import first_few
from twinrank.data.formats.labels import LABELS, id_defects, label_defects
from twinrank.data.formats.tables import Table, read_table
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.errors import InputError


def find_pair_table(folder: Path) -> Path:
    """The CSV of an image folder: ``pairs.csv``, or the only CSV in it.

    Raises:
        InputError: There is none, or there are several and none is ``pairs.csv``.
    """
    with reading(folder):
        # macOS puts "._NAME" with metadata beside NAME on foreign disks.
        names = (path for path in folder.iterdir() if not path.name.startswith("._"))
        tables = sorted(path for path in names if path.suffix.lower() == ".csv")
    for path in tables:
        if path.name == "pairs.csv" or len(tables) == 1:
            return path
    found = f"several CSV files ({first_few([path.name for path in tables])})" if tables else "no CSV file"
    raise InputError(f"{folder}: {found}; a folder of images has a pairs.csv with the columns left,right,label")


class ImagePairs(NamedTuple):
    """N pairs of images, each image once.

    Attributes:
        images: The M images, in the order in which the columns ``left`` and then ``right`` name them first.
        left: Numbers of the left images, int64 (N,).
        right: Numbers of the right images, int64 (N,).
        y: Labels, int8 (N,); None if unlabelled.
        id: Row ids, str (N,), each once; None without.
        sha256: Digest over the CSV and every image file, in hexadecimal.
    """

    images: ImageStore
    left: np.ndarray
    right: np.ndarray
    y: np.ndarray | None
    id: np.ndarray | None
    sha256: str


def read_image_pairs(path: Path, how: Reading = Reading()) -> ImagePairs:
    """Read the images that a CSV names, relative to its folder. Without a column ``label`` the pairs are unlabelled.

    Args:
        path: CSV ``left,right[,label][,id]``.
        how: How files become pixels.

    Raises:
        InputError: Anything listed in ``docs/data.md`` for CSV files and image folders.
    """
    table = read_table(path, ("left", "right"), ("label", "id"))
    if not table.lines:
        raise InputError(f"{path}: no pairs, only a header line; add a line for each pair")
    y, ids = _labels_and_ids(path, table)
    numbers: dict[str, int] = {}
    sides = []
    for column in ("left", "right"):
        for line, name in zip(table.lines, table.columns[column], strict=True):
            if not name:
                raise InputError(f"{path}: line {line} has no {column} image; name one")
        sides.append(np.array([numbers.setdefault(name, len(numbers)) for name in table.columns[column]], np.int64))
    names = list(numbers)
    images = ImageStore.from_files(names, [path.parent / name for name in names], how, path)
    digest = hashlib.sha256(bytes.fromhex(sha256(path)))
    assert images.digests is not None
    digest.update(images.digests.tobytes())
    return ImagePairs(images, *sides, y, ids, digest.hexdigest())


def _labels_and_ids(path: Path, table: Table) -> tuple[np.ndarray | None, np.ndarray | None]:
    labels, ids = table.columns.get("label"), table.columns.get("id")
    defects = label_defects(labels, "line", table.lines) if labels else []
    defects += id_defects(ids, "line", table.lines) if ids else []
    if defects:
        raise InputError(f"{path}: {'; '.join(defects)}; labels are 0 or 1, and an id occurs once")
    y = None if labels is None else np.array([LABELS[label] for label in labels], np.int8)
    return y, None if ids is None else np.array(ids)
