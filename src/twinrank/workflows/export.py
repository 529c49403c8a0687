"""``twinrank export``: networks in files that other programs read, checked on real pairs."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinrank.core.context import Context
from twinrank.core.files import read_bytes, write_json, write_text
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.exporting.card import model_card, require_runs
from twinrank.exporting.check import CheckRecord, Exported, check, require_alike
from twinrank.exporting.network import write_network
from twinrank.exporting.quantise import quantise
from twinrank.exporting.web_page import require_drawn, write_page
from twinrank.exporting.web_runtime import WebRuntime, web_runtime
from twinrank.inference.exported import ENDING, EXPORTED, ExportedNetwork
from twinrank.inference.exported_folder import FolderRecord, load_folder
from twinrank.inference.load import load_predictor
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.network import Network
from twinrank.inference.predictor import Predictor
from twinrank.inference.stack import StackPredictor
from twinrank.runs import RunFolder

Format = Literal["onnx", "safetensors", "web"]
CARD, CHECKED, PAGE = "README.md", "check.json", "index.html"
"""Model card, what the check found, and the page with a network in it, in a folder."""


_OWN = b'"used_in_training"', b"\n## Origin\n\n- exported by `", b'"same_decisions"'
"""What stands in the file, the card and the check of one network that this command has written."""
_PLACE = "go to the folder in which it was trained, or "


@dataclass(frozen=True)
class Export:
    """What an export made.

    Attributes:
        out: File or folder.
        card: Model card.
        check: What the check found; None for a copy of the weights, which computes nothing.
    """

    out: Path
    card: Path
    check: CheckRecord | None


def export(
    runs: Sequence[Path],
    out: Path | None = None,
    *,
    format: Format = "onnx",
    int8: bool = False,
    check_file: Path | None = None,
    source: Source | None = None,
    context: Context = Context(),
) -> Export:
    """Write the network of a run, the mean of several, or a stack for other programs, with a model card.

    What is written is compared with the original on a labelled file. Nothing is kept if they differ.

    Args:
        runs: Run folders; or one stack folder.
        out: File (one network as ONNX) or new folder; ``model.onnx``, ``model``, or ``page`` for ``web`` by default.
        format: ``onnx``; ``web`` for a page with the network in it; or ``safetensors`` for a folder that is read like
            the run.
        int8: Whether convolutions compute in 8 bits.
        check_file: Labelled pairs; by default the ``val`` of the run, or its ``train`` if it has no ``val``.
        source: Where the images of a table are.
        context: Listeners.

    Raises:
        InputError: A run is refused, ``out`` holds something, or the export predicts otherwise than its network.
    """
    if format == "safetensors":
        if int8:
            raise InputError("`int8` is for `format` onnx or web; safetensors keeps the weights as they are")
        return _as_safetensors(runs, out or Path("model"), context)
    members, record = _members(runs)
    if format == "web" and record is not None:
        raise InputError("`format` web takes one network; give one run")
    folders = [folder for each in members.values() for folder in each]
    require_runs(folders)
    original = load_predictor(*runs)
    runtime = _runtime(original, context) if format == "web" else None
    single = record is None and runtime is None
    out = out or Path(f"model{ENDING}" if single else "model" if runtime is None else "page")
    if single and out.suffix.lower() != ENDING:
        raise InputError(f"`out` is {out}; the file of one network ends in {ENDING}")
    data = _check_data(original, folders, check_file, source, context)
    with _scratch(out, single) as scratch:
        for name, paths in members.items():
            for number, folder in enumerate(paths):
                file = scratch / _file(name, number, record is None)
                context.say(f"{folder}: becomes {file.name if runtime is None else PAGE}")
                write_network(RunFolder(folder), file, context.command)
                if int8:
                    _to_int8(file, folder, original, None if check_file else source, context)
        if record is not None:
            write_json(scratch / EXPORTED, record)
        found = check(_both(original, scratch, folders, record), data)
        require_alike(found, int8)
        if runtime is not None:
            _to_page(scratch, runtime)
        use = out.name if runtime is None else None
        card = model_card(out.stem if single else out.name, use, folders, original.form, found, context.command)
        return Export(*_keep(scratch, out, single, card, found), found)


def _runtime(original: Predictor, context: Context) -> WebRuntime:
    """The runtime of a page, for a network that can be in one."""
    require_drawn(original.form)
    return web_runtime(context.say)


def _to_page(scratch: Path, runtime: WebRuntime) -> None:
    """A page in place of the one graph of a folder."""
    graph = scratch / f"model{ENDING}"
    write_page(graph, scratch / PAGE, runtime)
    graph.unlink()


def _members(runs: Sequence[Path]) -> tuple[dict[str, list[Path]], FolderRecord | None]:
    """Run folders by base model, and what a folder of several says; a single network has no such record."""
    stack = StackFolder(runs[0])
    if len(runs) == 1 and stack.config.is_file():
        predictor, config = StackPredictor.of_folder(stack), stack.read_config()
        ledger = Ledger(stack.path / config["ledger"])
        members = {name: [ledger.weights(cell) for cell in ledger.cells(name)] for name in config["models"]}
        about, fitted = dict(predictor.about), predictor.fitted.state()
        return members, {"kind": "stack", "networks": _files(members), "fitted": fitted, "about": about}
    if any(StackFolder(run).config.is_file() for run in runs):
        raise InputError("a mean of stacks cannot be exported; export each stack, and load both")
    if len(runs) == 1:
        return {"model": [runs[0]]}, None
    members = {f"{number}_{run.resolve().name}": [run] for number, run in enumerate(runs, start=1)}
    return members, {"kind": "mean", "networks": _files(members)}


def _files(members: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {name: [_file(name, number, False) for number in range(len(each))] for name, each in members.items()}


def _file(name: str, number: int, single: bool) -> str:
    return f"model{ENDING}" if single else f"{name}_{number}{ENDING}" if number else f"{name}{ENDING}"


def _both(original: Predictor, scratch: Path, folders: Sequence[Path], record: FolderRecord | None) -> Exported:
    """The original and what was made of it."""
    made = ExportedNetwork(scratch / f"model{ENDING}", 1) if record is None else load_folder(scratch, 1)
    size = {
        "torch": sum(RunFolder(folder).weights.stat().st_size for folder in folders),
        "onnx": sum(path.stat().st_size for path in scratch.glob(f"*{ENDING}")),
    }
    networks = list(zip(_networks(original), _networks(made), strict=True))
    return Exported(original, made, networks, size)  # pyright: ignore[reportArgumentType]


def _networks(predictor: Predictor) -> list[Network | ExportedNetwork]:
    match predictor:
        case MeanPredictor():
            return [network for each in predictor.predictors for network in _networks(each)]
        case StackPredictor():
            return [network for each in predictor.networks.values() for network in each]  # pyright: ignore[reportReturnType]
    return [predictor]  # pyright: ignore[reportReturnType]


def _check_data(
    predictor: Predictor, folders: Sequence[Path], file: Path | None, source: Source | None, context: Context
) -> Judgements:
    if file is not None:
        return predictor.form.load(file, None, source, context)
    config = RunFolder(folders[0]).read_config()
    part = next(part for part in ("val", "train") if part in config["data"])
    return _of_run(predictor, folders[0], part, source, context, "give a labelled file as `check`")


def _of_run(
    predictor: Predictor, folder: Path, part: str, source: Source | None, context: Context, remedy: str
) -> Judgements:
    """A file of a run's training; ``remedy`` is what else to do where it is not there.

    Raises:
        InputError: It is not where it was.
    """
    file = RunFolder(folder).read_config()["data"][part]
    path = Path(file["path"])
    if not path.exists():
        raise InputError(f"{path}: the {part} of {folder} is not there; {_PLACE}{remedy}")
    if source is None and "source" in file:
        source = Source.from_json(file["source"], f"{folder}: 'source'")
    return predictor.form.load(path, None, source, context)


def _to_int8(file: Path, folder: Path, original: Predictor, source: Source | None, context: Context) -> None:
    trim = ExportedNetwork(file).record["images"]["trim"]
    images: ImageStore = _of_run(original, folder, "train", source, context, "leave out `int8`").images
    small = file.with_suffix(".int8")
    quantise(file, small, images, trim)
    small.replace(file)


def _as_safetensors(runs: Sequence[Path], out: Path, context: Context) -> Export:
    """Copy what predictions need of a run folder. Its weights have their configuration in their header already."""
    if len(runs) > 1 or StackFolder(runs[0]).config.is_file():
        raise InputError("`format` safetensors takes one run; export the networks one by one")
    require_runs(runs)
    run, form = RunFolder(runs[0]), load_predictor(runs[0]).form
    kept = [run.config, run.weights, run.history, *run.beside_weights, *sorted((run.path / "metrics").glob("*.json"))]
    with _scratch(out, False) as scratch:
        for path in kept:
            if path.is_file():
                place = scratch / path.relative_to(run.path)
                place.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, place)
        card = model_card(out.name, out.name, [run.path], form, None, context.command)
        return Export(*_keep(scratch, out, False, card, None), None)


@contextmanager
def _scratch(out: Path, single: bool) -> Iterator[Path]:
    """A folder beside ``out`` in which everything is made; it is gone after the block.

    Raises:
        InputError: ``out`` is there and would not be replaced, or its folder cannot be written.
    """
    if out.exists() and (not single or not out.is_file()):
        raise InputError(f"{out}: is there already; choose another `out`")
    if single:
        for path, mark in zip((out, *_beside(out)), _OWN, strict=True):
            if path.exists() and mark not in read_bytes(path):
                raise InputError(f"{path}: 'twinrank export' has not written it; choose another `out`, or move it away")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another place") from error


def _beside(out: Path) -> tuple[Path, Path]:
    """Card and check of one network."""
    return out.with_suffix(".md"), out.with_suffix(".json")


def _keep(scratch: Path, out: Path, single: bool, card: str, found: CheckRecord | None) -> tuple[Path, Path]:
    """Move what was made to its place; the paths of it and of its card."""
    if single:
        page, checked = _beside(out)
        write_text(page, card)
        write_json(checked, found)
        (scratch / f"model{ENDING}").replace(out)
        return out, page
    write_text(scratch / CARD, card)
    if found is not None:
        write_json(scratch / CHECKED, found)
    scratch.chmod(0o755)
    scratch.rename(out)
    scratch.mkdir()
    return out, out / CARD
