"""Pairs in a set of named arrays: ``x`` or ``xa`` and ``xb``, with ``y`` and/or ``id``.

The arrays stand in an NPZ file or in memory. Both are checked by the same code and refused in the same words.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from twinrank.core.messages import cause, first_few, kind, quoted
from twinrank.core.npz import Header
from twinrank.data.formats.arrays import PairArrays, check_size
from twinrank.data.formats.labels import id_defects
from twinrank.errors import InputError

KEYS = ("x", "xa", "xb", "y", "id")
_VALID = "valid keys are x, or xa and xb, with y and/or id"
_IMAGE_TYPES = (np.uint8, np.float16, np.float32, np.float64)
_TEXT_OVERHEAD = 200
"""Bytes that Python needs for a short text, its place in lists and sets included."""
_CHECKED_BYTES = 1 << 24
"""Bytes of images that are searched at a time for what is wrong with them."""
ROUNDING = 1e-6
"""Floats that leave 0 to 1 by no more than this are clipped: that is rounding, such as of a division by 255."""
_SHAPES = {
    "x": "(N,H,2W)",
    "xa": "(N,H,W) or (N,C,H,W)",
    "xb": "(N,H,W) or (N,C,H,W)",
    "images": "(M,H,W) or (M,C,H,W)",
    "y": "(N,)",
    "id": "(N,)",
}


class Source(Protocol):
    """Arrays by key: :class:`twinrank.core.npz.Archive`, or :class:`InMemory`."""

    path: Path
    headers: dict[str, Header]

    def read(self, key: str) -> np.ndarray:
        """One array whole."""
        ...

    def read_rows(self, key: str, rows: int) -> Iterator[np.ndarray]:
        """One array in parts of so many rows, in order."""
        ...


class InMemory:
    """Arrays in memory, read like an open NPZ file.

    Args:
        path: Name for messages.
        arrays: Arrays by key.

    Attributes:
        path: The same name.
        headers: Shape and type of each array, by key.
    """

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        self.path = path
        self.headers = {key: Header(array.shape, array.dtype, False) for key, array in arrays.items()}
        self._arrays = arrays

    def read(self, key: str) -> np.ndarray:
        """One array whole, never a copy."""
        return self._arrays[key]

    def read_rows(self, key: str, rows: int) -> Iterator[np.ndarray]:
        """One array in parts of so many rows, in order, never copies."""
        array = self._arrays[key]
        return (array[start : start + rows] for start in range(0, len(array), rows))


def read_pairs(source: Source, labelled_elsewhere: bool) -> PairArrays:
    """Read pairs. Keys, types and shapes are checked by the headers, before any array is read.

    Float images other than float32 are converted; otherwise nothing is copied, and the halves of ``x`` are views.

    Args:
        source: Arrays by key.
        labelled_elsewhere: Whether neither ``y`` nor ``id`` is needed.

    Raises:
        InputError: Anything listed in ``docs/data.md`` for NPZ files.
    """
    images = check_headers(source, labelled_elsewhere)
    y, ids = _labels(source), read_ids(source)
    ((xa, xb),) = read_sides(source, images, next(iter(images.values())).shape[0])
    return PairArrays(xa, xb, y, ids)


def as_array(value: ArrayLike, key: str, name: str) -> np.ndarray:
    """Images, labels or ids that a user gave, as an array.

    Args:
        value: An array, a tensor on the CPU, or nested lists; texts may be Python objects, as pandas has them.
        key: Key for messages.
        name: Name of the pairs for messages.

    Raises:
        InputError: It is no array, such as lists of unequal length.
    """
    try:
        array = np.asarray(value)
    except Exception as error:  # Other libraries' objects fail in their own ways.
        raise InputError(f"{name}: '{key}' cannot be made an array ({cause(error)}); give a NumPy array") from error
    if any(stride < 0 for stride in array.strides):
        # Torch takes no flipped views.
        array = array.copy()
    if array.dtype.kind == "O" and all(type(each) in (str, int) for each in array.flat):
        return array.astype(str)
    return array


def arrays_digest(pairs: PairArrays) -> str:
    """SHA-256 over the content of arrays, in hexadecimal; it does not depend on their layout in memory."""
    ids = None if pairs.id is None else pairs.id.tolist()
    y = None if pairs.y is None else pairs.y.tolist()
    digest = hashlib.sha256(json.dumps([str(pairs.xa.dtype), pairs.xa.shape, y, ids]).encode())
    for images in (pairs.xa, pairs.xb):
        rows = max(1, _CHECKED_BYTES // images[0].nbytes)
        for start in range(0, len(images), rows):
            part = images[start : start + rows]
            digest.update(np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def check_headers(source: Source, labelled_elsewhere: bool) -> dict[str, Header]:
    """The headers of the images, after all checks that headers allow.

    Raises:
        InputError: A key is missing or unknown, or a type or shape is wrong.
    """
    path, headers = source.path, source.headers
    _check_keys(path, set(headers), labelled_elsewhere)
    images = {key: headers[key] for key in (("x",) if "x" in headers else ("xa", "xb"))}
    for key, header in images.items():
        check_images(path, key, header)
    if len(images) == 2:
        _check_sides_agree(path, *images.values())
    first, header = next(iter(images.items()))
    for key in ("y", "id"):
        if key in headers:
            _check_column(path, key, headers[key], first, header.shape[0])
    return images


def read_sides(source: Source, keys: Collection[str], rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Left and right images in parts.

    Args:
        source: Arrays by key.
        keys: Keys of the images.
        rows: Rows of a part.

    Raises:
        InputError: A pixel is not a number or out of range.
    """
    # zip may keep a tuple that it has given for two turns; a list is freed at once.
    for parts in map(list, zip(*(source.read_rows(key, rows) for key in keys), strict=True)):
        sides = _checked_parts(source, keys, parts)
        left, right = np.split(sides[0], 2, axis=-1) if len(sides) == 1 else sides
        yield _with_channels(left), _with_channels(right)


def read_images(source: Source, key: str, rows: int) -> Iterator[np.ndarray]:
    """Images of one array in parts of so many rows.

    Raises:
        InputError: A pixel is not a number or out of range.
    """
    for part in source.read_rows(key, rows):
        yield _with_channels(*_checked_parts(source, [key], [part]))


def _checked_parts(source: Source, keys: Collection[str], parts: list[np.ndarray]) -> list[np.ndarray]:
    if not all(map(_in_range, parts)):
        # The message is about the whole file, however it is read.
        for key in keys:
            _check_range(source, key)
    return [part if part.dtype == np.uint8 else _clipped(part.astype(np.float32, copy=False)) for part in parts]


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else images[:, None]


def _check_keys(path: Path, keys: set[str], labelled_elsewhere: bool) -> None:
    unknown = sorted(keys - set(KEYS))
    if unknown:
        raise InputError(f"{path}: unknown key {first_few([quoted(key) for key in unknown])}; remove it, {_VALID}")
    if "x" in keys and keys & {"xa", "xb"}:
        raise InputError(f"{path}: key 'x' together with '{min(keys & {'xa', 'xb'})}'; give x, or xa and xb")
    missing = {"xa", "xb"} - keys
    if "x" not in keys and missing:
        name = "'x' (or 'xa' and 'xb')" if len(missing) == 2 else f"'{missing.pop()}'"
        raise InputError(f"{path}: key {name} is missing; {_VALID}")
    if not keys & {"y", "id"} and not labelled_elsewhere:
        raise InputError(f"{path}: keys 'y' and 'id' are both missing; add labels y (N,) of 0 and 1, or ids id (N,)")


def check_images(path: Path, key: str, header: Header) -> None:
    """Refuse images of a wrong type, shape or size.

    Raises:
        InputError: They are wrong.
    """
    if header.dtype.newbyteorder("=") not in _IMAGE_TYPES:
        raise InputError(f"{path}: key '{key}' is {kind(header.dtype)}; images are uint8 (0 to 255) or float (0 to 1)")
    shape = header.shape
    if len(shape) not in ((3,) if key == "x" else (3, 4)):
        hint = "; for channels give xa and xb" if key == "x" and len(shape) == 4 else ""
        raise InputError(f"{path}: key '{key}' has shape {shape}, not {_SHAPES[key]}{hint}")
    if shape[0] == 0:
        raise InputError(f"{path}: key '{key}' has shape {shape}: no pairs")
    if len(shape) == 4 and shape[1] not in (1, 3):
        hint = "channels come before height: transpose(0, 3, 1, 2)" if shape[3] in (1, 3) else "1 or 3 are possible"
        raise InputError(f"{path}: key '{key}' has shape {shape}, {shape[1]} channels; {hint}")
    height, width = shape[-2:]
    if key == "x":
        if width % 2:
            raise InputError(
                f"{path}: key 'x' has shape {shape}, width {width} is odd; it is left and right, {_SHAPES['x']}"
            )
        width //= 2
    check_size(f"{path}: key '{key}'", height, width)


def _check_sides_agree(path: Path, first: Header, second: Header) -> None:
    if first.shape[0] != second.shape[0]:
        raise InputError(
            f"{path}: 'xa' has {first.shape[0]} images and 'xb' {second.shape[0]}; lengths must be the same"
        )
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        raise InputError(
            f"{path}: 'xa' is {first.dtype} {first.shape} and 'xb' {second.dtype} {second.shape}; they must be the same"
        )


def _check_column(path: Path, key: str, header: Header, images: str, length: int) -> None:
    kinds, meaning = (
        ("biuf", "labels are numbers, 0 and 1") if key == "y" else ("USiu", "ids are text or whole numbers")
    )
    if header.dtype.kind not in kinds:
        raise InputError(f"{path}: key '{key}' is {kind(header.dtype)}; {meaning}")
    if len(header.shape) != 1:
        raise InputError(f"{path}: key '{key}' has shape {header.shape}, not {_SHAPES[key]}")
    if header.shape[0] != length:
        raise InputError(
            f"{path}: '{key}' has {header.shape[0]} rows and '{images}' {length}; lengths must be the same"
        )


def peak_bytes(key: str, header: Header) -> int:
    """Memory that an array needs while it is read and converted, in bytes."""
    if key == "id":  # As stored, as Python text and as an array of text, with up to 4 bytes a character.
        return 6 * header.nbytes + _TEXT_OVERHEAD * header.size
    if header.dtype.kind == "f" and header.dtype != np.float32:
        return header.nbytes + header.size * np.dtype(np.float32).itemsize
    return header.nbytes


def peak_bytes_in_parts(key: str, header: Header, rows: int) -> int:
    """The same of images that are read in parts: one part is read while another is used."""
    count, *image = header.shape
    whole = header.nbytes if header.fortran else 0
    return whole + peak_bytes(key, header._replace(shape=(min(2 * rows, count), *image)))


def _in_range(images: np.ndarray) -> bool:
    return images.dtype == np.uint8 or bool(images.min() >= -ROUNDING and images.max() <= 1 + ROUNDING)


def _clipped(images: np.ndarray) -> np.ndarray:
    """Floats clipped to 0 to 1, never in place, since the array may be a user's."""
    return images if images.min() >= 0 and images.max() <= 1 else images.clip(0, 1)


def _check_range(source: Source, key: str) -> None:
    """Refuse floats that are not numbers, or beyond 0 to 1 by more than rounding."""
    path, header = source.path, source.headers[key]
    low, high, row = np.inf, -np.inf, 0
    for images in source.read_rows(key, max(1, _CHECKED_BYTES * header.shape[0] // header.nbytes)):
        least, most = float(images.min()), float(images.max())
        if not np.isfinite([least, most]).all():
            first = next(place for place, image in enumerate(images, row) if not np.isfinite(image).all())
            raise InputError(
                f"{path}: key '{key}' has NaN or infinity, first in row {first}; remove or repair such pairs"
            )
        low, high, row = min(low, least), max(high, most), row + len(images)
    if low < -ROUNDING or high > 1 + ROUNDING:
        least, most = (_written(value, header.dtype) for value in (low, high))
        raise InputError(
            f"{path}: key '{key}' is {header.dtype} from {least} to {most}; floats are 0 to 1, divide by 255 or clip"
        )


def _written(value: float, dtype: np.dtype) -> str:
    """A number with as many digits as its type needs to be exact."""
    short = f"{value:g}"
    return short if float(short) == value else str(dtype.type(value))


def _labels(source: Source) -> np.ndarray | None:
    if "y" not in source.headers:
        return None
    path, y = source.path, source.read("y")
    bad = np.flatnonzero((y != 0) & (y != 1))
    if len(bad):
        examples = first_few([f"{y[row]} in row {row}" for row in bad])
        raise InputError(
            f"{path}: key 'y' has labels other than 0 and 1 ({examples}); 1 is left ranks higher, 0 is right"
        )
    return y.astype(np.int8, copy=False)


def read_ids(source: Source) -> np.ndarray | None:
    """Row ids, str (N,), each once; None if there are none.

    Raises:
        InputError: An id is empty, occurs twice or is not Unicode.
    """
    if "id" not in source.headers:
        return None
    path, ids = source.path, source.read("id")
    try:
        texts = [(value.decode() if isinstance(value, bytes) else str(value)).strip() for value in ids.tolist()]
        "".join(texts).encode()
    except (ValueError, SystemError) as error:  # The second is NumPy's, for code points beyond Unicode.
        raise InputError(
            f"{path}: key 'id' has text that is not Unicode ({cause(error)}); save it as UTF-8 or numpy str"
        ) from error
    defects = id_defects(texts, "row", range(len(texts)))
    if defects:
        raise InputError(f"{path}: key 'id' has {'; '.join(defects)}; every row needs an id of its own")
    return np.array(texts)
