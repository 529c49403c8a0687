"""Records of a run folder: its configuration, its epochs, its steps, and how files were used in training."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from twinrank.core.messages import counted
from twinrank.errors import InputError

MAX_THREADS = 1024
"""Most threads of the CPU; a system may not have more."""


class FileUse(msgspec.Struct, frozen=True):
    """How a file was used in training.

    Attributes:
        role: "fitted", or "stopped on" for the file that chose the epoch.
        by: What was fitted or stopped: the "network", or a stack's "base models" or "meta-learners".
        of_teacher: Whether that was the teacher, and not the network itself.
    """

    role: Literal["fitted", "stopped on"]
    by: Literal["network", "base models", "meta-learners"] = "network"
    of_teacher: bool = False


class DataFile(TypedDict):
    """A pair file, as it is known to a run.

    Attributes:
        path: Path of the file, as it was given.
        sha256: Digest of its content.
        n: Number of pairs.
        content_sha256: Digest of images and labels alone, see ``Judgements.content_sha256``;
            older runs lack it.
        source: How a table was read, see :class:`twinrank.data.source.Source`.
    """

    path: str
    sha256: str
    n: NotRequired[Annotated[int, msgspec.Meta(ge=0)]]
    content_sha256: NotRequired[str]
    source: NotRequired[dict[str, Any]]


class ModelRecord(TypedDict):
    """A network: its name and its options."""

    name: str
    options: dict[str, Any]


class TeacherRecord(TypedDict):
    """Teacher of a run.

    Attributes:
        path: Folder of the teacher, or a list of several.
        track: Track of the teacher.
        identity: Teacher identity: names and digests of what predicted.
        subclasses: Number of subclasses of each of its levels; absent where it has none.
        of_sha256: Digest of the pairs that the teacher predicted.
        used_in_training: Uses of the files of its training, by digest.
        sha256: Digest of ``teacher.npz``.
    """

    path: str | list[str]
    track: NotRequired[str]
    identity: dict[str, Any]
    subclasses: NotRequired[int]
    of_sha256: NotRequired[str]
    used_in_training: dict[str, list[dict[str, Any]]]
    sha256: NotRequired[str]


class PretrainedRecord(TypedDict):
    """Weights that a run began with, see :class:`twinrank.models.pretrained.sources.PretrainedWeights`."""

    source: str
    sha256: str
    licence: NotRequired[str | None]
    track: NotRequired[str]
    used_in_training: NotRequired[dict[str, list[dict[str, Any]]]]


class RunConfig(TypedDict):
    """Run configuration, ``config.json``.

    Attributes:
        name: Name of the run.
        track: Track: "pairs-only" or "open".
        seed: Seed of the training.
        model: Network and its options.
        train: Training values, see :class:`twinrank.config.TrainConfig`.
        data: Files of the training: "train", which is fitted, and "val", which chooses the epoch. A
            linear head has no epochs, and may do without "val".
        image_shape: (C, H, W) of the images; older runs lack it.
        images: How image files became pixels: their "reading", and whether several sizes were "resized" to one.
        parameters: Number of parameters.
        threads: Threads of the CPU.
        device: Device of the training.
        version: Version of twinrank.
        commit: Commit of twinrank.
        command: Command that began the run.
        log_to: Sinks that follow the run.
        teacher: Teacher of the run, if it has one.
        pretrained: Weights that the run began with, if they were not random.
        warnings: Lines that a reader of the run's results must know, see
            :func:`twinrank.data.overlap.training_warnings`; absent where there are none.
    """

    name: NotRequired[str]
    track: Literal["pairs-only", "open"]
    seed: NotRequired[int]
    model: ModelRecord
    train: dict[str, Any]
    data: dict[str, DataFile]
    image_shape: NotRequired[tuple[int, int, int]]
    images: NotRequired[dict[str, Any]]
    parameters: int
    threads: Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)]
    device: NotRequired[str]
    version: NotRequired[str | None]
    commit: NotRequired[str | None]
    command: NotRequired[str]
    log_to: NotRequired[list[str]]
    teacher: NotRequired[TeacherRecord]
    pretrained: NotRequired[PretrainedRecord]
    warnings: NotRequired[list[str]]


class EpochEntry(TypedDict):
    """An epoch of ``history.jsonl``.

    Attributes:
        epoch: Number of the epoch, from 1.
        train: Losses by term, and the gradient norm.
        val: Metrics of the file that chooses the epoch.
        seconds: Duration.
        learning_rate: Learning rate at its end.
        images_per_second: Speed.
        memory_mb: Largest resident size so far.
    """

    epoch: int
    train: dict[str, float]
    val: dict[str, float]
    seconds: NotRequired[float]
    learning_rate: NotRequired[float]
    images_per_second: NotRequired[float]
    memory_mb: NotRequired[float]


class StepRecord(TypedDict):
    """A step of ``steps.json``.

    Attributes:
        step: Name of the step.
        seconds: Duration.
        peak_memory_mb: Largest resident size so far.
        inputs: Inputs as JSON values.
        outputs: Digests of the files that it made, by path.
    """

    step: str
    seconds: float
    peak_memory_mb: float
    inputs: dict[str, Any]
    outputs: dict[str, str]


_OWN_WORDS = {
    FileUse("fitted"): "which the network was fitted to: an in-sample number",
    FileUse("stopped on"): "which chose the epoch, so it reads slightly too well",
    FileUse("fitted", "base models"): "which base models were fitted to: an in-sample number",
    FileUse("stopped on", "base models"): "which chose base models' epochs, so it reads slightly too well",
    FileUse("fitted", "meta-learners"): "which meta-learners were fitted to: an in-sample number",
    FileUse("stopped on", "meta-learners"): "which meta-learners stopped on, so it reads slightly too well",
}
_TEACHER_WORDS = {
    FileUse("fitted", of_teacher=True): "which its teacher was fitted to",
    FileUse("stopped on", of_teacher=True): "which chose its teacher's epoch, so it reads slightly too well",
    FileUse("fitted", "base models", True): "which its teacher's base models were fitted to",
    FileUse("stopped on", "base models", True): "which chose the epochs of its teacher's base models",
    FileUse("fitted", "meta-learners", True): "which its teacher's meta-learners were fitted to",
    FileUse("stopped on", "meta-learners", True): "which its teacher's meta-learners stopped on",
}
_WORDS = _OWN_WORDS | _TEACHER_WORDS
_OLD_TEACHER = "to its teacher rows "
_OLD_WORDS = {words: use for use, words in _OWN_WORDS.items()} | {
    "which networks were fitted to: an in-sample number": FileUse("fitted", "base models")
}


def uses_in_words(uses: tuple[FileUse, ...]) -> str:
    """How a file was used in training, as a clause about its rows; empty if it was not used."""
    return "; ".join(_WORDS[use] for use in uses)


def parse_uses(text: str) -> tuple[FileUse, ...]:
    """The uses that a file of an older version has in words.

    Args:
        text: Clauses that are joined by "; ".

    Raises:
        InputError: No version of twinrank has written such words.
    """
    uses = []
    for clause in text.split("; ") if text else ():
        # A teacher's teacher is a teacher, too.
        own = clause
        while own.startswith(_OLD_TEACHER):
            own = own.removeprefix(_OLD_TEACHER)
        if own not in _OLD_WORDS:
            raise InputError(f"the words '{clause[:60]}' do not say how the file was used in training; make it again")
        use = _OLD_WORDS[own]
        uses.append(FileUse(use.role, use.by, use.of_teacher or own != clause))
    return tuple(dict.fromkeys(uses))


def as_uses(value: Any, where: str) -> tuple[FileUse, ...]:
    """Uses from JSON values: a list of records, or the words of an older version.

    Raises:
        InputError: They are neither.
    """
    try:
        if isinstance(value, str):
            return parse_uses(value)
        return tuple(msgspec.convert(value, list[FileUse]))
    except (InputError, msgspec.ValidationError, UnicodeError) as error:
        raise InputError(f"{where}: not how a file was used in training ({error}); restore it") from error


def uses_as_json(uses: tuple[FileUse, ...]) -> list[dict[str, Any]]:
    """Uses as JSON values, which :func:`as_uses` takes."""
    return [msgspec.to_builtins(use) for use in uses]


def sharing_in_words(path: object, images: int, rows: int, n: int) -> str:
    """The line about a file that shares images with the training.

    Args:
        path: File.
        images: Number of its images that training used.
        rows: Number of its rows with such an image.
        n: Number of its rows.
    """
    shared = counted(images, "image", "images")
    return f"{path}: shares {shared} with train, in {rows:,} of {n:,} rows; accuracy on unseen images may be lower"


def current_teacher(teacher: Any, where: str) -> Any:
    """The teacher of a run configuration as this version writes it, from that or from the words of an older version.

    Args:
        teacher: JSON values; what is no mapping is given back.
        where: Place of the values, for the message.

    Raises:
        InputError: Its words are not those of any version.
    """
    if not isinstance(teacher, dict) or not isinstance(used := teacher.get("seen"), dict):
        return teacher
    kept = {key: value for key, value in teacher.items() if key not in ("seen", "answered", "rows")}
    uses = {digest: uses_as_json(as_uses(each, where)) for digest, each in used.items()}
    return kept | {"identity": teacher.get("answered"), "used_in_training": uses}
