"""Predictions of many entrants for the same rows, stored in one file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
from msgspec import Meta

from twinrank.config import Track
from twinrank.core.files import write_npz
from twinrank.core.npz import Archive
from twinrank.core.records import parse_record
from twinrank.errors import InputError
from twinrank.evaluation.ranking import Entrant, Kind


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of a file.

    Attributes:
        id: Row ids, str (N,).
        y: Labels, int8 (N,).
    """

    id: np.ndarray
    y: np.ndarray


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
            if kinds not in ("Uif", "Uuf") or ids.ndim != 1 or y.shape != ids.shape or not np.isin(y, (0, 1)).all():
                raise InputError(f"{path}: keys '{stem}.id' and '{stem}.y' are no ids and labels; stack again")
            if logit.shape != (len(ids), len(names)) or not np.isfinite(logit).all():
                raise InputError(f"{path}: key '{stem}.logit' has no logit of each entrant for each row; stack again")
            rows[stem], logits[stem] = LabelledRows(ids, y), logit
    entrants = [
        Entrant(
            **{key: each[key] for key in EntrantRecord.__annotations__},
            logits={stem: logit[:, place] for stem, logit in logits.items()},
        )
        for place, each in enumerate(meta["entrants"])
    ]
    return entrants, rows
