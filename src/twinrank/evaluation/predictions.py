"""Predictions of the pairs of one file, stored with the row ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import numpy as np

from twinrank.core.files import parse_json, write_npz
from twinrank.core.messages import kind
from twinrank.core.npz import Archive
from twinrank.core.records import as_record
from twinrank.core.run_records import DataFile, as_uses, uses_as_json
from twinrank.errors import InputError

_KINDS = {
    "id": "U",
    "logit": "f",
    "y": "iuf",
    "levels_a": "f",
    "levels_b": "f",
    "images": "iu",
    "tie": "b",
    "weight": "f",
    "rater": "U",
    "seen": "b",
    "meta": "U",
}
_DTYPES = {
    "id": np.str_,
    "logit": np.float32,
    "levels_a": np.float32,
    "levels_b": np.float32,
    "images": np.int64,
    "tie": np.bool_,
    "weight": np.float32,
    "rater": np.str_,
    "seen": np.bool_,
}
_KIND_NAMES = {"U": "text", "f": "floating-point", "iu": "integer", "iuf": "a number", "b": "yes or no"}
_ROWS = ("id", "logit", "y", "tie", "weight", "rater")
_SIDES = ("images", "seen")
_OLD_USE = ", which "
_REQUIRED = ("id", "logit", "meta")


class PredictionsMeta(TypedDict):
    """Description of predictions.

    Attributes:
        data: File of the rows.
        used: How the file was used in training, see :class:`twinrank.core.run_records.FileUse`.
        weights_sha256: Digest of the weights.
        model: Name of the network.
        track: Track of the predictor.
        scale: Factor by which the logits of the network were calibrated; absent where they were not.
        nu: Parameter of ties of the predictor, see :func:`twinrank.evaluation.metrics.score`; 0 without ties.
        warnings: Lines about the training that a reader of its results must know.
    """

    data: NotRequired[DataFile]
    used: NotRequired[list[dict[str, Any]]]
    weights_sha256: NotRequired[str]
    model: NotRequired[str]
    track: NotRequired[str]
    scale: NotRequired[Annotated[float, msgspec.Meta(gt=0)]]
    nu: NotRequired[Annotated[float, msgspec.Meta(ge=0)]]
    warnings: NotRequired[list[str]]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of pairs, by row id.

    Attributes:
        id: Row ids of the file, each once, str (N,).
        logit: Logits, float32 (N,), positive where left is predicted to rank higher.
        y: Labels, int8 (N,); where they are no decisions of single votes, shares of the votes for left, float32 (N,).
            None for an unlabelled file.
        levels_a: Log-posterior of the left image over the network's latent levels, float32 (N, K), or None.
        levels_b: The same of the right image, float32 (N, K), or None.
        meta: Description as JSON values, see :class:`PredictionsMeta`; other keys are kept.
            :func:`twinrank.evaluation.metrics_record.metrics_record` needs ``data`` and ``used``.
        images: Numbers of the left and the right image, int64 (N, 2), the same for an image in every file, negative for
            one that is like no other (``Judgements.image_codes``). None where no image recurs.
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float32 (N,); None where each row is one.
        rater: Names of those who judged, str (N,); None if unknown.
        seen: Whether training used the left and the right image, bool (N, 2); None if unknown.

    Raises:
        InputError: Lengths differ, a label is outside 0 to 1, an id occurs twice, or levels of only one side are given.
    """

    id: np.ndarray
    logit: np.ndarray
    y: np.ndarray | None = None
    levels_a: np.ndarray | None = None
    levels_b: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    images: np.ndarray | None = None
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None
    rater: np.ndarray | None = None
    seen: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.y is not None:
            y = np.asarray(self.y)
            hard = bool(np.isin(y, (0, 1)).all())
            if not hard and not (y.dtype.kind == "f" and ((y >= 0) & (y <= 1)).all()):
                raise InputError(
                    "key 'y' has labels other than 0 and 1, and no shares between; 1 is left ranks higher, 0 is right"
                    " does"
                )
            object.__setattr__(self, "y", y.astype(np.int8 if hard else np.float32))
        for name, dtype in _DTYPES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value, dtype))
        self._check()

    def __len__(self) -> int:
        return len(self.id)

    @property
    def data_sha256(self) -> str | None:
        """SHA-256 of the data file, or None where the meta does not have it."""
        data = self.meta.get("data")
        return data.get("sha256") if isinstance(data, dict) else None

    @property
    def levels(self) -> np.ndarray | None:
        """float32 (N, 2, K), log-posteriors of the left and the right image; None without latent levels."""
        if self.levels_a is None or self.levels_b is None:
            return None
        return np.stack([self.levels_a, self.levels_b], 1)

    def save(self, path: Path) -> None:
        """Write an NPZ file without pickles; ``meta`` is a JSON text in it.

        Raises:
            InputError: The file cannot be written.
        """
        arrays = {name: value for name in _KINDS if name != "meta" and (value := getattr(self, name)) is not None}
        write_npz(path, arrays | {"meta": json.dumps(self.meta, allow_nan=False)})

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: The file is missing or damaged, or its arrays are not those of predictions.
        """
        arrays = _read(Path(path))
        meta = parse_json(str(arrays.pop("meta")), f"{path}: key 'meta'")
        if not isinstance(meta, dict):
            raise InputError(f"{path}: key 'meta' must be a JSON object, not {type(meta).__name__}; predict again")
        meta = with_uses(meta, str(path))
        meta = dict(as_record(meta, PredictionsMeta, f"{path}: key 'meta'", "the description of predictions"))
        as_uses(meta.get("used", []), str(path))
        try:
            return cls(**arrays, meta=meta)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def _check(self) -> None:
        for name in (*_ROWS, *_SIDES):
            value = getattr(self, name)
            if value is not None and value.shape != (len(self.id), 2)[: 1 + (name in _SIDES)]:
                raise InputError(f"key '{name}' has shape {value.shape}, but there are {len(self.id)} row ids")
        if (self.levels_a is None) != (self.levels_b is None):
            raise InputError("keys 'levels_a' and 'levels_b' come together; one of them is missing")
        shapes = {levels.shape for levels in (self.levels_a, self.levels_b) if levels is not None}
        if len(shapes) > 1 or any(len(shape) != 2 or shape[0] != len(self) for shape in shapes):
            raise InputError(f"keys 'levels_a' and 'levels_b' have shapes {shapes}, not ({len(self)}, K) both")
        if self.weight is not None and not ((self.weight > 0) & np.isfinite(self.weight)).all():
            raise InputError("key 'weight' has values that are not above 0; they are numbers of votes")
        ids, counts = np.unique(self.id, return_counts=True)
        if len(ids) < len(self.id):
            raise InputError(f"row id '{ids[counts > 1][0]}' occurs {counts.max()} times; every row id occurs once")


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of several files as one, without levels and meta. The place of the file stands before each row id.

    An image in several files is one image. Files without ties, numbers of votes or recurring images get what they stand
    for; raters and what training used stay only if every file has them.

    Args:
        parts: Predictions, labelled all of them or none.
    """
    ids = np.concatenate([[f"{place}/{each}" for each in part.id] for place, part in enumerate(parts)])
    logit = np.concatenate([part.logit for part in parts])
    columns: dict[str, Any] = {}
    for name in ("y", "rater", "seen"):
        values = [value for part in parts if (value := getattr(part, name)) is not None]
        if len(values) == len(parts):
            columns[name] = np.concatenate(values)
    for name, default in (("tie", False), ("weight", 1.0)):
        if any(getattr(part, name) is not None for part in parts):
            values = [getattr(part, name) for part in parts]
            columns[name] = np.concatenate(
                [np.full(len(part), default) if own is None else own for part, own in zip(parts, values, strict=True)]
            )
    if any(part.images is not None for part in parts):
        own = [-1 - np.arange(2 * len(part)).reshape(-1, 2) if part.images is None else part.images for part in parts]
        columns["images"] = np.concatenate(apart(own))
    return Predictions(ids, logit, **columns)


def apart(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images of several files, int64 (N, 2) each, as numbers in all of them.

    Negative numbers stand for an image that is like no other in its file. They become such that no two files share one.

    Args:
        images: Numbers of the images of each file, see :class:`Predictions`.
    """
    least, numbers = 0, []
    for own in images:
        numbers.append(np.where(own < 0, own + least, own))
        least = min(least, int(numbers[-1].min(initial=0)))
    return numbers


def with_uses(record: dict[str, Any], where: str) -> dict[str, Any]:
    """A record with ``used`` in place of the ``rows`` in words that an older version wrote.

    Args:
        record: Metrics record, or meta of predictions.
        where: Place of the record, for the message.

    Raises:
        InputError: The words do not say how the file was used in training.
    """
    rows = record.get("rows")
    if not isinstance(rows, str) or "used" in record:
        return record
    _, comma, words = rows.partition(_OLD_USE)
    uses = as_uses(f"{_OLD_USE.removeprefix(', ')}{words}" if comma else "", where)
    return {key: value for key, value in record.items() if key != "rows"} | {"used": uses_as_json(uses)}


def _read(path: Path) -> dict[str, np.ndarray]:
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        arrays = {key: archive.read(key) for key in archive.headers if key in _KINDS}
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(f"{path}: key '{missing[0]}' is missing; predictions have {', '.join(_REQUIRED)}")
    for key, array in arrays.items():
        if array.dtype.kind not in _KINDS[key]:
            raise InputError(
                f"{path}: key '{key}' is {kind(array.dtype)}, not {_KIND_NAMES[_KINDS[key]]}; predict again"
            )
    return arrays
