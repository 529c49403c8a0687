"""Folders of exported networks: the mean of several, or the best ensemble of a stack."""

from pathlib import Path, PurePosixPath
from typing import Any, Literal, NotRequired, TypedDict

from twinrank.core.records import read_record
from twinrank.errors import InputError
from twinrank.inference.exported import ENDING, EXPORTED, ExportedNetwork
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.predictor import Predictor

_WHAT = "what 'twinrank export' writes"


class FolderRecord(TypedDict):
    """What ``export.json`` holds: which files make up a predictor.

    Attributes:
        kind: "mean" of all networks, or "stack".
        networks: Names of files, by base model; a mean has one file a name.
        fitted: Meta-learner of a stack.
        about: What is known about a stack, see :class:`twinrank.inference.stack.StackAbout`.
    """

    kind: Literal["mean", "stack"]
    networks: dict[str, list[str]]
    fitted: NotRequired[dict[str, Any]]
    about: NotRequired[dict[str, Any]]


def load_folder(folder: Path, threads: int | None = None) -> Predictor:
    """The predictor of a folder that 'twinrank export' has written.

    Args:
        folder: Folder.
        threads: Threads of the CPU; None is all cores.

    Raises:
        InputError: A file is missing or damaged.
    """
    record = read_record(folder / EXPORTED, FolderRecord, _WHAT)
    networks = {
        name: [ExportedNetwork(_member(folder, file), threads) for file in files]
        for name, files in record["networks"].items()
    }
    if not networks or not all(networks.values()):
        raise InputError(f"{folder / EXPORTED}: names no network; export again")
    if record["kind"] == "mean":
        return MeanPredictor([network for each in networks.values() for network in each])
    from twinrank.core.records import as_record
    from twinrank.ensembling.fitted import restore
    from twinrank.inference.stack import StackAbout, StackPredictor

    where = str(folder / EXPORTED)
    about = as_record(record.get("about"), StackAbout, f"{where}: 'about'", _WHAT)
    fitted = restore(record.get("fitted"), f"{where}: 'fitted'", len(networks))
    return StackPredictor(networks, fitted, about)


def _member(folder: Path, file: str) -> Path:
    """A file of the folder, and of no other."""
    if PurePosixPath(file).name != file or not file.endswith(ENDING):
        raise InputError(f"{folder / EXPORTED}: '{file}' is no file of this folder; export again")
    return folder / file
