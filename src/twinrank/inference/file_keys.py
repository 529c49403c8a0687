"""Keys under which the results of evaluated files are kept: ``predictions/KEY.npz``, ``metrics/KEY.json``."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from twinrank.data.judgements import Judgements
from twinrank.data.source import REFERENCE, Source
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder

_ENDINGS = (".npz", ".csv")
_Place = tuple[Path, frozenset[tuple[str, str]]]


def file_keys(run: RunFolder, files: Sequence[Judgements]) -> list[str]:
    """A key for each file that no other file has.

    A file that has been evaluated before keeps its key. It is known by its digest, or by its path and the columns that
    were stated: with other columns a table has other pairs, which do not replace the first ones. The key of a new
    file is its name without .npz, .csv or .pairs.json. Where another file has that key, the parent folder's name comes
    first, or a number comes last.

    Args:
        run: Run whose folder may have results already.
        files: Files to evaluate.

    Raises:
        InputError: The same pairs come twice.
    """
    for place, data in enumerate(files):
        if data.sha256 in {other.sha256 for other in files[:place]}:
            raise InputError(f"{data.path}: the same pairs are given twice; give each file once")
    known = _known(run)
    by_path = {place: key for key, (_, place) in known.items()}
    by_digest = {digest: key for key, (digest, _) in known.items()}
    names = [_name(data.path) for data in files]
    keys: list[str] = []
    for data, name in zip(files, names, strict=True):
        stated = {} if data.source is None else data.source.columns
        kept = by_digest.get(data.sha256) or by_path.get(_place(data.path, stated))
        if kept is None or kept in keys:
            taken = {POOLED, *known, *keys}
            kept = _free(data.path, name, taken | ({name} if names.count(name) > 1 else set()))
        keys.append(kept)
    return keys


def _known(run: RunFolder) -> dict[str, tuple[str | None, _Place]]:
    """Digest and place of the files whose predictions are there, by key."""
    found: dict[str, tuple[str | None, _Place]] = {}
    for file in sorted((run.path / "predictions").glob("*.npz")):
        if file.name.startswith("."):
            continue
        # Damaged predictions are replaced by the new ones of their file.
        with suppress(InputError):
            data = Predictions.load(file).meta.get("data", {})
            stated = Source.from_json(data["source"], str(file)).columns if "source" in data else {}
            found[file.stem] = data.get("sha256"), _place(Path(data.get("path", "")), stated)
    return found


def _place(path: Path, stated: Mapping[str, str]) -> _Place:
    """Where pairs are read: their file, and the columns that were stated."""
    return path.resolve(), frozenset(stated.items())


def _name(path: Path) -> str:
    if path.name.endswith(REFERENCE):
        return path.name.removesuffix(REFERENCE) or "pairs"
    # A folder may have a dot in its name.
    ends = path.suffix.lower() in _ENDINGS and not path.is_dir()
    return path.stem if ends else path.resolve().name or "pairs"


def _free(path: Path, name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    longer = f"{path.resolve().parent.name}_{name}"
    candidates = (longer, *(f"{longer}_{number}" for number in range(2, len(taken) + 3)))
    return next(key for key in candidates if key not in taken)
