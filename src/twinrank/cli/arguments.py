"""Types of arguments: what a command accepts, and the one line that refuses anything else.

A file that a command reads is looked for here, before anything heavy is imported.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from twinrank.core.files import reading
from twinrank.core.messages import quoted
from twinrank.errors import InputError
from twinrank.runs import fitted_run

_WORDS = {int: "a whole number", float: "a number"}

registry = ConstructorRegistry()
"""How every command reads plain values."""


def shown_default(label: str) -> str:
    """A default as help shows it: nothing where there is none."""
    return "" if label in ("None", "", "''") else f"(default: {label})"


def new_path(text: str) -> Path:
    """A path that a command writes to, or reads later.

    Raises:
        InputError: The text is empty.
    """
    if not text:
        raise InputError("the path is empty; name a file or a folder")
    return Path(text)


def existing_path(text: str) -> Path:
    """A file or a folder that a command reads.

    Raises:
        InputError: Nothing is there, or it is neither a file nor a folder.
    """
    path = new_path(text)
    with reading(path):
        path.stat()
    return path


def existing_run(text: str) -> Path:
    """A run folder, a stack folder, or what was exported. The library checks later whether its files are sound.

    Raises:
        InputError: It is neither.
    """
    path = fitted_run(existing_path(text))
    if path.suffix.lower() == ".onnx" and path.is_file():
        return path
    if not any((path / name).is_file() for name in ("config.json", "stack.json", "export.json")):
        others = "nor a stack folder (no stack.json), nor an exported file (.onnx)"
        raise InputError(f"{path}: not a run folder (no config.json), {others}")
    return path


def existing_runs(text: str) -> tuple[Path, ...]:
    """Run folders and stack folders, separated by commas. One that exists may have commas in its name.

    Raises:
        InputError: A name is empty, or one is neither.
    """
    if text.strip() and os.path.exists(text):  # noqa: PTH110 (a Path would fail where the list is too long for a name)
        return (existing_run(text),)
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"{quoted(text)}: a folder between the commas has no name; name each, '.' for this one")
    return tuple(map(existing_run, names))


def _spec(metavar: str, read: Callable[[str], Any], show: Callable[[Any], str] = str) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: read(texts[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [show(value)],
    )


def _several(metavar: str, read_one: Callable[[str], Any], least: int = 1) -> PrimitiveConstructorSpec[Any]:
    """Paths that are read, at least so many."""

    def read(texts: list[str]) -> tuple[Any, ...]:
        if len(texts) < least:
            raise InputError(f"{metavar} is missing; name one or more")
        return tuple(map(read_one, texts))

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{metavar} [{metavar} ...]",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [*map(str, values)],
    )


def listed(item: type) -> Any:
    """A tuple as one argument, separated by commas: ``--layers 3,3,3``."""

    def read(text: str) -> tuple[Any, ...]:
        try:
            return tuple(item(part.strip()) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"{quoted(text)} is not a list; write {_WORDS[item]} each, such as 3,3,3") from error

    return Annotated[tuple, _spec("A,B,...", read, lambda values: ",".join(map(str, values)))]


def flag_type(hint: Any) -> Any:
    """The type of a flag for an option of a network: a list is one argument."""
    if get_origin(hint) is not tuple:
        return hint
    (item,) = {part for part in get_args(hint) if part is not ...}
    return listed(item)


def stated_columns(text: str) -> dict[str, str]:
    """What a user states about the columns of a table: ``left=photo_1,right=photo_2``. Names may have commas.

    Raises:
        InputError: A part is not a role with a column, or a role is stated twice.
    """
    found: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+=)", text):
        role, equals, name = (each.strip() for each in part.partition("="))
        if not equals:
            raise InputError(f"{quoted(part)} names no column; write a role and a column, such as left=photo_1")
        if role in found:
            raise InputError(f"{role} is there twice, with {quoted(found[role])} and {quoted(name)}; keep one")
        found[role] = name
    return found


def require_train(train: Path | None, val: Path | None, tests: tuple[Path, ...]) -> None:
    """Refuse own files without the one that is fitted.

    Raises:
        InputError: ``val`` or tests come without ``train``.
    """
    if train is None and (val is not None or tests):
        raise InputError("`train` is missing: give it with `val` and `test`, or none of them for the benchmark")


@registry.primitive_rule
def _plain_value(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Numbers, texts and paths, each of them or None: one short metavar, one short refusal."""
    parts = get_args(info.type) or (info.type,)
    kinds = [part for part in parts if part is not NoneType]
    if len(kinds) != 1 or kinds[0] not in (int, float, str, Path):
        return None
    (kind,) = kinds
    optional = NoneType in parts

    def read(text: str) -> Any:
        if optional and text == "None":
            return None
        if kind is Path:
            return new_path(text)
        try:
            return kind(text)
        except ValueError as error:
            raise InputError(f"{quoted(text)} is not {_WORDS[kind]}") from error

    return _spec({int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}[kind], read)


def _optional(metavar: str) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=shown_default)


File = Annotated[Path, _spec("FILE", existing_path)]
"""A file, or a folder of images, that is read."""
OptionalFile = Annotated[Path | None, _spec("FILE", existing_path), _optional("FILE")]
Files = tyro.conf.UseAppendAction[Annotated[tuple[File, ...], tyro.conf.arg(metavar="FILE")]]
"""Files that are read, a flag for each."""
OptionalImages = Annotated[Path | None, _spec("DIR", existing_path), _optional("DIR")]
"""The folder of the images that a table names."""
ImagesOrNumber = Annotated[
    Path | int | None,
    _spec("DIR", lambda text: int(text) if text.isdecimal() and not Path(text).exists() else existing_path(text)),
    _optional("DIR"),
]
"""The same, or a number."""
Columns = Annotated[
    dict[str, str] | None,
    _spec(
        "ROLE=COLUMN[,...]", stated_columns, lambda given: ",".join("=".join(each) for each in (given or {}).items())
    ),
    _optional("ROLE=COLUMN[,...]"),
]
"""What a user states about the columns of a table."""
Folder = Annotated[Path, _spec("RUN", existing_run)]
Runs = Annotated[tuple[Path, ...], _spec("RUN[,RUN]", existing_runs)]
OptionalRuns = Annotated[tuple[Path, ...] | None, _spec("RUN[,RUN]", existing_runs), _optional("RUN[,RUN]")]

FileArgument = tyro.conf.Positional[File]
FileArguments = tyro.conf.Positional[Annotated[tuple[Path, ...], _several("FILE", existing_path)]]
ImagesArgument = tyro.conf.Positional[Annotated[File, tyro.conf.arg(metavar="DIR")]]
RunArgument = tyro.conf.Positional[Folder]
RunArguments = tyro.conf.Positional[Annotated[tuple[Path, ...], _several("RUN", existing_run)]]
AnyRunArguments = tyro.conf.Positional[Annotated[tuple[Path, ...], _several("RUN", existing_run, least=0)]]
AnyRunsArguments = tyro.conf.Positional[
    Annotated[tuple[tuple[Path, ...], ...], _several("RUN[,RUN]", existing_runs, least=0)]
]
RunsArgument = tyro.conf.Positional[Runs]
ModelArgument = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]]

OutFolder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
OutFile = Annotated[Path, tyro.conf.arg(metavar="FILE")]
OptionalFolder = Annotated[Path | None, _optional("FOLDER")]
OptionalOutFile = Annotated[Path | None, _optional("FILE")]
OptionalText = Annotated[str | None, _optional("TEXT")]
Names = Annotated[str, _optional("NAME[,NAME]")]
OptionalNumber = Annotated[int | None, _optional("INT")]
OptionalFit = Annotated[Literal["resize", "crop", "pad", "native"] | None, _optional("{resize,crop,pad,native}")]
Threads = OptionalNumber
Changes = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")]]
Means = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(metavar="TARGET=RUN,RUN")]]
