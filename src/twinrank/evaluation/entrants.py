"""What many ways to decide the same rows said, stored in one file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from twinrank.core.files import parse_json, write_npz
from twinrank.core.npz import Archive
from twinrank.errors import InputError
from twinrank.evaluation.ranking import Entrant


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of a file.

    Attributes:
        id: str (N,).
        y: int8 (N,), labels.
    """

    id: np.ndarray
    y: np.ndarray


def save_entrants(path: Path, entrants: Sequence[Entrant], asked: Mapping[str, LabelledRows]) -> None:
    """Write an NPZ file.

    Args:
        path: of it.
        entrants: with logits for every stem.
        asked: rows by stem; those that entrants are ranked on first.

    Raises:
        InputError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for stem, rows in asked.items():
        logit = np.stack([each.logits[stem] for each in entrants], 1).astype(np.float32)
        arrays |= {f"{stem}.id": rows.id, f"{stem}.y": rows.y, f"{stem}.logit": logit}
    about = [{key: value for key, value in asdict(each).items() if key != "logits"} for each in entrants]
    meta = json.dumps({"stems": list(asked), "entrants": about}, allow_nan=False)
    write_npz(path, arrays | {"meta": np.array(meta)})


def load_entrants(path: Path) -> tuple[list[Entrant], dict[str, LabelledRows]]:
    """Read what :func:`save_entrants` wrote.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        if "meta" not in archive.headers:
            raise InputError(f"{path}: not what a stack's entrants said; stack again")
        try:
            meta = parse_json(str(archive.read("meta")), f"{path}: key 'meta'")
            asked = {
                stem: LabelledRows(archive.read(f"{stem}.id"), archive.read(f"{stem}.y")) for stem in meta["stems"]
            }
            logits = {stem: archive.read(f"{stem}.logit") for stem in asked}
            entrants = [
                Entrant(**about, logits={stem: logit[:, place] for stem, logit in logits.items()})
                for place, about in enumerate(meta["entrants"])
            ]
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{path}: not what a stack's entrants said ({error}); stack again") from error
    return entrants, asked
