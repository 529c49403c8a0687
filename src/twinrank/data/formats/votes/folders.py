"""Folders of judgements: one table among images, or patches and judgements like those of BAPPS."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinrank.core.files import read_bytes, reading
from twinrank.core.messages import counted, first_few
from twinrank.data.formats.votes.cells import Cells
from twinrank.data.formats.votes.database import ENDINGS
from twinrank.data.formats.votes.outcomes import examples
from twinrank.errors import InputError

_TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", *ENDINGS)
_MOST_VOTES = 10
_LARGEST = 4096
"""Bytes of a file with one judgement."""


def find_table(folder: Path) -> Path:
    """The table in a folder: ``pairs.csv``, or the only CSV, or the only table of another kind.

    Files whose name begins with ``._`` are metadata of macOS, and no tables.

    Returns:
        The table, or the folder itself if it has patches like those of BAPPS instead.

    Raises:
        InputError: There is none, or there are several.
    """
    with reading(folder):
        names = sorted(path for path in folder.iterdir() if not path.name.startswith("._"))
    tables = [path for path in names if path.suffix.lower() == ".csv"]
    tables = tables or [path for path in names if path.suffix.lower() in _TABLES]
    for path in tables:
        if path.name == "pairs.csv" or len(tables) == 1:
            return path
    if not tables and patch_folders(folder):
        return folder
    found = f"several tables ({first_few([path.name for path in tables])})" if tables else "no table of judgements"
    raise InputError(f"{folder}: {found}; name one, or call it pairs.csv")


def patch_folders(folder: Path) -> list[Path]:
    """Folders at or below one that hold patches with judgements: ``p0``, ``p1`` and ``judge`` each."""
    with reading(folder):
        found = sorted(path.parent for path in folder.rglob("judge") if path.is_dir())
    return [path for path in found if all((path / side).is_dir() for side in ("p0", "p1"))]


def read_patches(folder: Path) -> Cells:
    """Judgements of patches like those of BAPPS: which of ``p0`` and ``p1`` looks more like the reference?

    ``judge/NAME.npy`` is the share of the votes for ``p1/NAME.png``. Shares of a set are fractions of the votes for a
    pair, whose number is not stored: it is the smallest one that fits all of them. Source:
    https://github.com/richzhang/PerceptualSimilarity, section "Berkeley Adobe Perceptual Patch Similarity".

    Args:
        folder: Folder at or below which sets have ``p0``, ``p1`` and ``judge``.

    Raises:
        InputError: A judgement is no share, or a patch is missing; one line has all of these.
    """
    rows: list[tuple[str, str, str, str]] = []
    missing, wrong = [], []
    sets = patch_folders(folder)
    for place in sets:
        shares: list[float] = []
        names: list[tuple[str, str]] = []
        patches = [_by_stem(place / side) for side in ("p0", "p1")]
        for judged in sorted((place / "judge").glob("*.npy")):
            if judged.name.startswith("._"):
                continue
            share = _share(judged)
            first, second = (each.get(judged.stem) for each in patches)
            if share is None:
                wrong.append(str(judged.relative_to(folder)))
            elif first is None or second is None:
                missing.append(str(judged.relative_to(folder)))
            else:
                names.append((first.relative_to(folder).as_posix(), second.relative_to(folder).as_posix()))
                shares.append(1 - share)
        shares, votes = _fractions(shares)
        rows += [(*pair, repr(share), str(votes)) for pair, share in zip(names, shares, strict=True)]
    defects = examples("judgements that are not one number from 0 to 1", wrong)
    defects += examples("judgements without both patches", missing)
    if defects or not rows:
        raise InputError(f"{folder}: {'; '.join(defects) or 'no judgements in judge/*.npy'}; copy the set again")
    columns = {
        name: list(column) for name, column in zip(("p0", "p1", "share", "votes"), zip(*rows, strict=True), strict=True)
    }
    notes = (f"from {counted(len(sets), 'set', 'sets')} of patches",)
    roles = {"left": "p0", "right": "p1", "share": "share", "weight": "votes"}
    return Cells(folder, columns, list(range(1, len(rows) + 1)), "judgement", roles=roles, kind="BAPPS", notes=notes)


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.iterdir()) if not path.name.startswith("._")}


def _share(path: Path) -> float | None:
    """The number in an NPY file, if it is one from 0 to 1."""
    content = read_bytes(path) if path.stat().st_size <= _LARGEST else b""
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        value = float(array.reshape(()))
    except (ValueError, TypeError, EOFError):
        return None
    return value if 0 <= value <= 1 else None


def _fractions(shares: Sequence[float]) -> tuple[list[float], int]:
    """Shares as fractions of the smallest number of votes that fits them all; unchanged, and 1, if none does."""
    values = np.asarray(shares)
    for votes in range(1, _MOST_VOTES + 1):
        counts = np.round(values * votes)
        if np.allclose(values * votes, counts, atol=1e-3):
            return (counts / votes).tolist(), votes
    return list(shares), 1
