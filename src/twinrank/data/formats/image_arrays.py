"""Judgements in a set of named arrays: ``images``, each once, and the rows ``left`` and ``right`` that name them.

The arrays stand in an NPZ file or in memory. Both are checked by the same code and refused in the same words.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twinrank.core.messages import first_few, kind, quoted
from twinrank.core.npz import Header
from twinrank.data.formats.pair_arrays import InMemory, Source, as_array, check_images, read_ids, read_images
from twinrank.data.formats.votes.outcomes import MOST_VOTES
from twinrank.errors import InputError

COLUMNS = {"left": "iu", "right": "iu", "y": "biuf", "tie": "biu", "weight": "iuf", "rater": "USiu", "id": "USiu"}
"""Kinds of the arrays with a value for each row."""
OF_IMAGES = {"names": "USiu", "group": "USiu"}
"""Kinds of the arrays with a value for each image."""
KEYS = ("images", *COLUMNS, *OF_IMAGES)
_VALID = "valid keys are images, left and right, with y, tie, weight, rater, id, names and/or group"


class ImageArrays(NamedTuple):
    """Arrays of N judgements of M images, checked. The attributes are those of ``Judgements``."""

    images: np.ndarray
    names: np.ndarray | None
    left: np.ndarray
    right: np.ndarray
    y: np.ndarray | None
    tie: np.ndarray | None
    weight: np.ndarray | None
    rater: np.ndarray | None
    group: np.ndarray | None
    id: np.ndarray | None


def read_image_arrays(source: Source) -> ImageArrays:
    """Read judgements. Keys, types and shapes are checked by the headers, before any array is read.

    Args:
        source: Arrays by key.

    Raises:
        InputError: A key is missing or unknown, a type, shape or value is wrong, or a row names an image that there is
            not.
    """
    path, headers = source.path, source.headers
    _check_headers(path, headers)
    count = headers["images"].shape[0]
    left, right = (_numbers(source, key, count) for key in ("left", "right"))
    y, tie = _outcomes(source)
    if y is not None and len(same := np.flatnonzero(left == right)):
        rows = first_few([f"row {row}" for row in same])
        raise InputError(
            f"{path}: judgements that compare an image with itself: {len(same):,} ({rows}); leave these out"
        )
    weight = source.read("weight").astype(np.float32) if "weight" in headers else None
    if weight is not None and not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(f"{path}: key 'weight' has values that are not above 0; leave out rows without votes")
    if weight is not None and (weight > MOST_VOTES).any():
        raise InputError(f"{path}: key 'weight' has values above {MOST_VOTES:.0e}; they are numbers of votes")
    (images,) = read_images(source, "images", count)
    names = _texts(source, "names")
    if names is not None and len(np.unique(names)) < len(names):
        raise InputError(f"{path}: key 'names' has a name twice; every image has a name of its own")
    rater, group = _texts(source, "rater"), _texts(source, "group")
    return ImageArrays(images, names, left, right, y, tie, weight, rater, group, read_ids(source))


def checked_images(images: ArrayLike, name: str = "arrays") -> np.ndarray:
    """Images from an array in memory, uint8, or float32 in [0, 1], (M, C, H, W), checked like those of an NPZ file.

    Args:
        images: Images, (M, H, W) or (M, C, H, W), uint8, or floating-point from 0 to 1.
        name: Name of the array in messages.

    Raises:
        InputError: The type, the shape or a pixel is wrong.
    """
    source = InMemory(Path(name), {"images": as_array(images, "images", name)})
    header = source.headers["images"]
    check_images(source.path, "images", header)
    (checked,) = read_images(source, "images", header.shape[0])
    return checked


def _check_headers(path: Path, headers: dict[str, Header]) -> None:
    if unknown := sorted(set(headers) - set(KEYS)):
        raise InputError(f"{path}: unknown key {first_few([quoted(key) for key in unknown])}; remove it, {_VALID}")
    if missing := [f"'{key}'" for key in ("images", "left", "right") if key not in headers]:
        raise InputError(f"{path}: key {' and '.join(missing)} missing; {_VALID}")
    check_images(path, "images", headers["images"])
    lengths = dict.fromkeys(COLUMNS, headers["left"].shape) | dict.fromkeys(OF_IMAGES, headers["images"].shape[:1])
    for key, header in headers.items():
        if key == "images":
            continue
        if header.dtype.kind not in (COLUMNS | OF_IMAGES)[key]:
            raise InputError(f"{path}: key '{key}' is {kind(header.dtype)}; that is no type for it")
        if len(header.shape) != 1 or header.shape != lengths[key] or not header.shape[0]:
            raise InputError(f"{path}: key '{key}' has shape {header.shape}, not {lengths[key]}, one or more values")


def _numbers(source: Source, key: str, count: int) -> np.ndarray:
    numbers = source.read(key).astype(np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= count))
    if len(wrong):
        examples = first_few([f"{numbers[row]} in row {row}" for row in wrong])
        raise InputError(
            f"{source.path}: key '{key}' names images that there are not ({examples}); numbers are 0 to {count - 1}"
        )
    return numbers


def _outcomes(source: Source) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels, int8, or float32 where shares or ties occur; and the ties."""
    path, tie = source.path, None
    if "y" not in source.headers:
        if "tie" in source.headers:
            raise InputError(f"{path}: key 'tie' without 'y'; give both")
        return None, None
    y = source.read("y").astype(np.float32)
    if "tie" in source.headers:
        tie = source.read("tie").astype(bool)
        y, tie = np.where(tie, np.float32(0.5), y), tie if tie.any() else None
    wrong = np.flatnonzero(~((y >= 0) & (y <= 1)))
    if len(wrong):
        examples = first_few([f"{y[row]} in row {row}" for row in wrong])
        raise InputError(f"{path}: key 'y' has values out of 0 to 1 ({examples}); 1 is left ranks higher, 0 is right")
    return (y.astype(np.int8) if np.isin(y, (0, 1)).all() else y), tie


def _texts(source: Source, key: str) -> np.ndarray | None:
    return source.read(key).astype(np.str_) if key in source.headers else None
