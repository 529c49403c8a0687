"""Predictions of many entrants for the same rows, stored in one file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
from msgspec import Meta

from twinrank.config import Track
from twinrank.core.files import write_npz
from twinrank.core.npz import Archive
from twinrank.core.records import parse_record
from twinrank.errors import InputError
from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.ranking import Entrant, Kind

_JUDGED = {"images": ("i", (2,)), "tie": ("b", ()), "weight": ("f", ())}
"""NumPy's letter for the kind, and the shape of a row, of what a file may have beside labels."""


def save_entrants(path: Path, entrants: Sequence[Entrant], labelled: Mapping[str, LabelledRows]) -> None:
    """Write entrants with their logits.

    Args:
        path: NPZ file.
        entrants: Entrants with logits for every file.
        labelled: Rows by name of the file; first those that rank.

    Raises:
        InputError: The file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for stem, rows in labelled.items():
        logit = np.stack([each.logits[stem] for each in entrants], 1).astype(np.float32)
        arrays |= {f"{stem}.id": rows.id, f"{stem}.y": rows.y, f"{stem}.logit": logit}
        judged = {key: getattr(rows, key) for key in _JUDGED}
        arrays |= {f"{stem}.{key}": values for key, values in judged.items() if values is not None}
    about = [{key: value for key, value in asdict(each).items() if key != "logits"} for each in entrants]
    meta = json.dumps({"stems": list(labelled), "entrants": about}, allow_nan=False)
    write_npz(path, arrays | {"meta": np.array(meta)})


class EntrantRecord(TypedDict):
    """An entrant, without its logits."""

    name: str
    kind: Kind
    track: Track
    parameters: Annotated[int, Meta(ge=0)]
    seconds: Annotated[float, Meta(ge=0)]
    milliseconds: Annotated[float, Meta(ge=0)] | None


class EntrantsRecord(TypedDict):
    """Meta of a file of entrants.

    Attributes:
        stems: Keys of the rows' files; first those that rank.
        entrants: Entrants, without their logits.
    """

    stems: list[str]
    entrants: list[EntrantRecord]


def load_entrants(path: Path) -> tuple[list[Entrant], dict[str, LabelledRows]]:
    """Read what :func:`save_entrants` wrote.

    Raises:
        InputError: The file is missing, damaged, or holds something else.
    """
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        if "meta" not in archive.headers:
            raise InputError(f"{path}: not the entrants of a stack (no 'meta'); stack again")
        meta = parse_record(str(archive.read("meta")), EntrantsRecord, f"{path}: key 'meta'", "the entrants of a stack")
        names = [each["name"] for each in meta["entrants"]]
        if len({*names}) < len(names) or not names or not meta["stems"]:
            raise InputError(f"{path}: not the entrants of a stack (a name stands twice, or none); stack again")
        rows: dict[str, LabelledRows] = {}
        logits: dict[str, np.ndarray] = {}
        for stem in meta["stems"]:
            keys = [f"{stem}.{part}" for part in ("id", "y", "logit")]
            if missing := [key for key in keys if key not in archive.headers]:
                raise InputError(f"{path}: not the entrants of a stack (no '{missing[0]}'); stack again")
            ids, y, logit = map(archive.read, keys)
            kinds = ids.dtype.kind + y.dtype.kind + logit.dtype.kind
            fits = kinds in ("Uif", "Uuf", "Uff") and ids.ndim == 1 and y.shape == ids.shape
            if not fits or not ((y >= 0) & (y <= 1)).all():
                raise InputError(f"{path}: keys '{stem}.id' and '{stem}.y' are no ids and labels; stack again")
            if logit.shape != (len(ids), len(names)) or not np.isfinite(logit).all():
                raise InputError(f"{path}: key '{stem}.logit' has no logit of each entrant for each row; stack again")
            rows[stem], logits[stem] = LabelledRows(ids, y, **_judged(archive, stem, len(ids))), logit
    entrants = [
        Entrant(
            **{key: each[key] for key in EntrantRecord.__annotations__},
            logits={stem: logit[:, place] for stem, logit in logits.items()},
        )
        for place, each in enumerate(meta["entrants"])
    ]
    return entrants, rows


def _judged(archive: Archive, stem: str, count: int) -> dict[str, np.ndarray]:
    """Images, ties and weights of a file, where there are any."""
    found = {}
    for key, (letter, shape) in _JUDGED.items():
        if (name := f"{stem}.{key}") in archive.headers:
            found[key] = archive.read(name)
            if found[key].dtype.kind != letter or found[key].shape != (count, *shape):
                raise InputError(f"{archive.path}: key '{name}' does not fit the rows; stack again")
    return found
