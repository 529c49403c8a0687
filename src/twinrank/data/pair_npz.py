"""Pairs in an NPZ file: ``x`` or ``xa`` and ``xb``, with ``y`` and/or ``id``."""

from pathlib import Path

import numpy as np

from twinrank.data.archive import Archive, Header
from twinrank.data.arrays import PairArrays, check_size
from twinrank.data.labels import id_defects
from twinrank.data.memory import require_memory
from twinrank.data.wording import cause, first_few, kind, quoted
from twinrank.errors import InputError

KEYS = ("x", "xa", "xb", "y", "id")
_VALID = "valid keys are x, or xa and xb, with y and/or id"
_IMAGE_TYPES = (np.uint8, np.float16, np.float32, np.float64)
_TEXT_OVERHEAD = 200
"""Bytes that Python needs for a short text, its place in lists and sets included."""
_SHAPES = {"x": "(N,H,2W)", "xa": "(N,H,W) or (N,C,H,W)", "xb": "(N,H,W) or (N,C,H,W)", "y": "(N,)", "id": "(N,)"}


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
        headers = archive.headers
        _check_keys(path, set(headers), labelled_elsewhere)
        sides = ("x",) if "x" in headers else ("xa", "xb")
        for key in sides:
            _check_images(path, key, headers[key])
        if len(sides) == 2:
            _check_sides_agree(path, headers["xa"], headers["xb"])
        for key in ("y", "id"):
            if key in headers:
                _check_column(path, key, headers[key], sides[0], headers[sides[0]].shape[0])
        require_memory(path, sum(_peak_bytes(key, header) for key, header in headers.items()))
        images = {key: _unit_range(path, key, archive.read(key)) for key in sides}
        y = _labels(path, archive.read("y")) if "y" in headers else None
        ids = _ids(path, archive.read("id")) if "id" in headers else None
    if "x" in images:
        x = images["x"][:, None]
        middle = x.shape[-1] // 2
        return PairArrays(x[..., :middle], x[..., middle:], y, ids)
    xa, xb = (image if image.ndim == 4 else image[:, None] for image in images.values())
    return PairArrays(xa, xb, y, ids)


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
    if first != second:
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


def _unit_range(path: Path, key: str, images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        row = next(row for row, image in enumerate(images) if not np.isfinite(image).all())
        raise InputError(f"{path}: key '{key}' has NaN or infinity, first in row {row}; remove or repair such pairs")
    if low < 0 or high > 1:
        raise InputError(
            f"{path}: key '{key}' is {images.dtype} from {low:g} to {high:g}; floats are 0 to 1, divide by 255 or clip"
        )
    return images.astype(np.float32, copy=False)


def _labels(path: Path, y: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero((y != 0) & (y != 1))
    if len(bad):
        examples = first_few([f"{y[row]} in row {row}" for row in bad])
        raise InputError(
            f"{path}: key 'y' has labels other than 0 and 1 ({examples}); 1 is left ranks higher, 0 is right"
        )
    return y.astype(np.int8, copy=False)


def _ids(path: Path, ids: np.ndarray) -> np.ndarray:
    try:
        texts = [(value.decode() if isinstance(value, bytes) else str(value)).strip() for value in ids.tolist()]
        "".join(texts).encode()
    except (ValueError, SystemError) as error:  # The second is NumPy's, for code points beyond Unicode.
        raise InputError(
            f"{path}: key 'id' has text that is not Unicode ({cause(error)}); save it as UTF-8 or numpy str"
        ) from error
    defects = id_defects(texts, [f"row {row}" for row in range(len(texts))])
    if defects:
        raise InputError(f"{path}: key 'id' has {'; '.join(defects)}; every row needs an id of its own")
    return np.array(texts)
