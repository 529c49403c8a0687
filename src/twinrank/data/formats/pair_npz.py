"""Pairs in an NPZ file: ``x`` or ``xa`` and ``xb``, with ``y`` and/or ``id``."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinrank.core.memory import require_memory
from twinrank.core.messages import cause, first_few, kind, quoted
from twinrank.core.npz import Archive, Header
from twinrank.data.batch_sizes import rows_a_chunk
from twinrank.data.formats.arrays import PairArrays, check_size
from twinrank.data.formats.labels import id_defects
from twinrank.errors import InputError

KEYS = ("x", "xa", "xb", "y", "id")
_VALID = "valid keys are x, or xa and xb, with y and/or id"
_IMAGE_TYPES = (np.uint8, np.float16, np.float32, np.float64)
_TEXT_OVERHEAD = 200
"""Bytes that Python needs for a short text, its place in lists and sets included."""
_CHECKED_BYTES = 1 << 24
"""How much of the images is looked at at a time to say what is wrong with them."""
_SHAPES = {"x": "(N,H,2W)", "xa": "(N,H,W) or (N,C,H,W)", "xb": "(N,H,W) or (N,C,H,W)", "y": "(N,)", "id": "(N,)"}


class PairParts(NamedTuple):
    """N pairs whose images are read part by part.

    Attributes:
        pairs: N.
        id: str (N,), each once; None if the file has none.
        sides: left and right images of each part, as :class:`twinrank.data.formats.arrays.PairArrays` has them.
    """

    pairs: int
    id: np.ndarray | None
    sides: Iterator[tuple[np.ndarray, np.ndarray]]


def read_pair_npz(path: Path, labelled_elsewhere: bool) -> PairArrays:
    """Read an NPZ file of pairs. Keys, types, shapes and memory are judged by the headers, before any array is read.

    Float images other than float32 are converted; otherwise nothing is copied, and the halves of ``x`` are views.

    Args:
        path: of the file.
        labelled_elsewhere: labels come from a CSV, so neither ``y`` nor ``id`` is needed.

    Raises:
        InputError: anything listed in ``docs/data.md`` for NPZ files.
    """
    with Archive(path) as archive:
        images = _check_headers(archive, labelled_elsewhere)
        require_memory(path, sum(_peak_bytes(key, header) for key, header in archive.headers.items()))
        y, ids = _labels(archive), _ids(archive)
        ((xa, xb),) = _read_sides(archive, images, next(iter(images.values())).shape[0])
    return PairArrays(xa, xb, y, ids)


@contextmanager
def open_pair_npz(path: Path, rows: int | None = None) -> Iterator[PairParts]:
    """Open an NPZ file of pairs whose labels do not matter: neither ``y`` nor ``id`` is needed, and ``y`` is not read.

    Memory depends on the number of pairs only where they have ids, or images in Fortran order, which are read whole.

    Args:
        path: of the file.
        rows: of a part; by default :func:`twinrank.data.batch_sizes.rows_a_chunk`.

    Raises:
        InputError: what :func:`read_pair_npz` refuses, with the same words; headers, memory and ids before there is
            any part, the images when their part is read.
    """
    with Archive(path) as archive:
        images = _check_headers(archive, labelled_elsewhere=True)
        count, *_, height, width = next(iter(images.values())).shape
        rows = rows or rows_a_chunk(height, width // 2 if "x" in images else width)
        needed = sum(_peak_bytes_in_parts(key, header, rows) for key, header in images.items())
        require_memory(path, needed + (_peak_bytes("id", archive.headers["id"]) if "id" in archive.headers else 0))
        yield PairParts(count, _ids(archive), _read_sides(archive, images, rows))


def _check_headers(archive: Archive, labelled_elsewhere: bool) -> dict[str, Header]:
    """The headers of the images, after everything that headers say has been judged."""
    path, headers = archive.path, archive.headers
    _check_keys(path, set(headers), labelled_elsewhere)
    images = {key: headers[key] for key in (("x",) if "x" in headers else ("xa", "xb"))}
    for key, header in images.items():
        _check_images(path, key, header)
    if len(images) == 2:
        _check_sides_agree(path, *images.values())
    first, header = next(iter(images.items()))
    for key in ("y", "id"):
        if key in headers:
            _check_column(path, key, headers[key], first, header.shape[0])
    return images


def _read_sides(archive: Archive, keys: Collection[str], rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Left and right images, so many rows at a time."""
    # A tuple that zip has given may be kept by it for two turns, a list is let go of at once.
    for parts in map(list, zip(*(archive.read_rows(key, rows) for key in keys), strict=True)):
        if not all(map(_in_range, parts)):
            # What is said is of the whole file, however it is read.
            for key in keys:
                _check_range(archive, key)
        sides = [part if part.dtype == np.uint8 else part.astype(np.float32, copy=False) for part in parts]
        if len(sides) == 1:
            sides = np.split(sides[0], 2, axis=-1)
        left, right = (side if side.ndim == 4 else side[:, None] for side in sides)
        yield left, right


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


def _check_images(path: Path, key: str, header: Header) -> None:
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


def _peak_bytes(key: str, header: Header) -> int:
    if key == "id":  # As stored, as Python text and as an array of text, with up to 4 bytes a character.
        return 6 * header.nbytes + _TEXT_OVERHEAD * header.size
    if header.dtype.kind == "f" and header.dtype != np.float32:
        return header.nbytes + header.size * np.dtype(np.float32).itemsize
    return header.nbytes


def _peak_bytes_in_parts(key: str, header: Header, rows: int) -> int:
    """Of images: one part is read while another is used."""
    count, *image = header.shape
    whole = header.nbytes if header.fortran else 0
    return whole + _peak_bytes(key, header._replace(shape=(min(2 * rows, count), *image)))


def _in_range(images: np.ndarray) -> bool:
    return images.dtype == np.uint8 or bool(images.min() >= 0 and images.max() <= 1)


def _check_range(archive: Archive, key: str) -> None:
    """Refuse floats that are not 0 to 1."""
    path, header = archive.path, archive.headers[key]
    low, high, row = np.inf, -np.inf, 0
    for images in archive.read_rows(key, max(1, _CHECKED_BYTES * header.shape[0] // header.nbytes)):
        least, most = float(images.min()), float(images.max())
        if not np.isfinite([least, most]).all():
            first = next(place for place, image in enumerate(images, row) if not np.isfinite(image).all())
            raise InputError(
                f"{path}: key '{key}' has NaN or infinity, first in row {first}; remove or repair such pairs"
            )
        low, high, row = min(low, least), max(high, most), row + len(images)
    if low < 0 or high > 1:
        raise InputError(
            f"{path}: key '{key}' is {header.dtype} from {low:g} to {high:g}; floats are 0 to 1, divide by 255 or clip"
        )


def _labels(archive: Archive) -> np.ndarray | None:
    if "y" not in archive.headers:
        return None
    path, y = archive.path, archive.read("y")
    bad = np.flatnonzero((y != 0) & (y != 1))
    if len(bad):
        examples = first_few([f"{y[row]} in row {row}" for row in bad])
        raise InputError(
            f"{path}: key 'y' has labels other than 0 and 1 ({examples}); 1 is left ranks higher, 0 is right"
        )
    return y.astype(np.int8, copy=False)


def _ids(archive: Archive) -> np.ndarray | None:
    if "id" not in archive.headers:
        return None
    path, ids = archive.path, archive.read("id")
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
