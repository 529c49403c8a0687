"""Pairs as image files, named in a CSV ``left,right[,label][,id]``."""

import hashlib
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from twinrank.core.files import reading, sha256
from twinrank.core.memory import require_memory
from twinrank.core.messages import cause, first_few, quoted
from twinrank.data.formats.arrays import PairArrays, check_size
from twinrank.data.formats.labels import LABELS, id_defects, label_defects
from twinrank.data.formats.tables import Table, read_table
from twinrank.errors import InputError

# Formats whose decoders are part of Pillow; it hands some others (EPS) to external programs.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}


def find_pair_table(folder: Path) -> Path:
    """The CSV of an image folder: ``pairs.csv``, or the only CSV in it.

    Raises:
        InputError: There is none, or there are several and none is ``pairs.csv``.
    """
    with reading(folder):
        tables = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")
    for path in tables:
        if path.name == "pairs.csv" or len(tables) == 1:
            return path
    found = f"several CSV files ({first_few([path.name for path in tables])})" if tables else "no CSV file"
    raise InputError(f"{folder}: {found}; a folder of images has a pairs.csv with the columns left,right,label")


def read_image_pairs(path: Path) -> tuple[PairArrays, str]:
    """Read the images that a CSV names, relative to its folder; each file is decoded once.

    Grey and RGB images of 8 bits are read, palettes as RGB, an alpha channel only where it is opaque; all have one size
    and one number of channels. EXIF orientation is applied. Without a column ``label`` the pairs are unlabelled.

    Returns:
        uint8 images, and a SHA-256 over the CSV and every image file.

    Raises:
        InputError: Anything listed in ``docs/data.md`` for CSV files and image folders.
    """
    table = read_table(path, ("left", "right"), ("label", "id"))
    count = len(table.lines)
    if count == 0:
        raise InputError(f"{path}: no pairs, only a header line; add a line for each pair")
    y, ids = _labels_and_ids(path, table)
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for side, column in enumerate(("left", "right")):
        for row, name in enumerate(table.columns[column]):
            if not name:
                raise InputError(f"{path}: line {table.lines[row]} has no {column} image; name one")
            places[name].append((side, row))
    digest = hashlib.sha256(bytes.fromhex(sha256(path)))
    first, images = "", np.empty(0, np.uint8)
    for name, positions in places.items():
        line = table.lines[positions[0][1]]
        image = _decode(path.parent / name, f"{path}: line {line}: image {quoted(name)}")
        if not first:
            require_memory(path, 2 * count * image.nbytes)
            first, images = name, np.empty((2, count, *image.shape), np.uint8)
        if image.shape != images.shape[2:]:
            raise InputError(
                f"{path}: line {line}: image {quoted(name)} is {_described(image.shape)}, {quoted(first)} is"
                f" {_described(images.shape[2:])}; all images must agree, convert them"
            )
        for position in positions:
            images[position] = image
        digest.update(bytes.fromhex(sha256(path.parent / name)))
    return PairArrays(images[0], images[1], y, ids), digest.hexdigest()


def _labels_and_ids(path: Path, table: Table) -> tuple[np.ndarray | None, np.ndarray | None]:
    labels, ids = table.columns.get("label"), table.columns.get("id")
    defects = label_defects(labels, "line", table.lines) if labels else []
    defects += id_defects(ids, "line", table.lines) if ids else []
    if defects:
        raise InputError(f"{path}: {'; '.join(defects)}; labels are 0 or 1, and an id occurs once")
    y = None if labels is None else np.array([LABELS[label] for label in labels], np.int8)
    return y, None if ids is None else np.array(ids)


def _decode(path: Path, where: str) -> np.ndarray:
    """An image file as uint8 (C, H, W); its size is checked before its pixels are decoded."""
    try:
        if not path.is_file():
            found = "is no file" if path.exists() else "does not exist"
            raise InputError(f"{where} {found}; paths are relative to the folder of the CSV")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About odd metadata, and about sizes that are refused here.
            with Image.open(path, formats=_FORMATS) as image:
                check_size(where, image.height, image.width)
                upright = ImageOps.exif_transpose(image)
                mode = _MODES.get(upright.mode)
                if mode is None:
                    raise InputError(f"{where} has pixels of mode {upright.mode}; save it as 8-bit grey or RGB")
                if upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                    raise InputError(f"{where} is partly transparent; save it without an alpha channel")
                pixels = np.asarray(upright.convert(mode))
    except InputError:
        raise
    except Exception as error:  # Damaged bytes fail in more ways than can be listed.
        raise InputError(f"{where} cannot be read as {', '.join(_FORMATS)} ({cause(error)}); save it again") from error
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def _described(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'RGB'} {height} x {width}"
