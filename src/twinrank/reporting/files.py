"""Which files runs were evaluated on. Files are matched by their digests, so they may have any name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import POOLED
from twinrank.reporting.formats import plain

Role = Literal["val", "test", "used"]
"""Use of a file: "val" chose the epoch or is stacked, "test" chose nothing, "used" went into training otherwise."""
_BENCHMARK = ("test_public", "test_private")
_RESERVED = {POOLED, "name", "kind", "track", "parameters", "seconds", "milliseconds", "place", "target", "model"}
_RESERVED |= {"ensemble", "seeds", "uncounted", "tied_for_first"}
"""Keys that tables and their JSON files have beside the files' names."""


@dataclass(frozen=True)
class EvaluatedFile:
    """A file with labelled predictions or metrics.

    Attributes:
        key: Key of the file in its folder.
        path: Path of the file, as it was given.
        sha256: Digest of the file.
        role: Use of the file.
    """

    key: str
    path: str
    sha256: str
    role: Role

    @property
    def place(self) -> tuple[int, int, str]:
        """Place in reading order: val, tests (those of the benchmark first), others."""
        known = _BENCHMARK.index(self.key) if self.key in _BENCHMARK else len(_BENCHMARK)
        return ("val", "test", "used").index(self.role), known, self.key


@dataclass(frozen=True)
class Evaluated:
    """The files that one folder was evaluated on.

    Attributes:
        folder: Run folder or stack folder.
        val: Path of its val file, which chose epochs, or of its stacked rows.
        val_sha256: Digest of that file.
        files: Files with predictions or metrics; of files with equal digests, the first counts.
        has_weights: Whether the folder can still predict.
        kind: What the files have.
    """

    folder: Path
    val: str
    val_sha256: str
    files: tuple[EvaluatedFile, ...]
    has_weights: bool = True
    kind: Literal["predictions", "metrics"] = "predictions"

    def find(self, sha256: str) -> EvaluatedFile | None:
        """The file of a digest, or None."""
        return next((file for file in sorted(self.files, key=lambda each: each.place) if file.sha256 == sha256), None)

    def require(self, sha256: str, path: str) -> EvaluatedFile:
        """The file of a digest.

        Args:
            sha256: Digest of the file.
            path: Path of the file, for the message.

        Raises:
            InputError: The folder was not evaluated on it.
        """
        if (found := self.find(sha256)) is not None:
            return found
        if not self.has_weights:
            raise InputError(f"{self.folder}: has no {self.kind} of {path} and no weights to make them; leave it out")
        raise InputError(
            f"{self.folder}: has not been evaluated on {path}; run 'twinrank evaluate {self.folder} {path}'"
        )


@dataclass(frozen=True)
class CommonFiles:
    """The files that all folders of a comparison were evaluated on.

    Attributes:
        names: Names for readers by digest: val first, then the tests.
        val: Name of the val file.
        tests: Names of the test files.
    """

    names: dict[str, str]
    val: str
    tests: tuple[str, ...]


def common_files(folders: Sequence[Evaluated]) -> CommonFiles:
    """Match the files of several folders, and make sure that these can be compared.

    Args:
        folders: Files of one folder or more.

    Raises:
        InputError: Val files differ, a folder was not evaluated on a file, or a test was used in a training.
    """
    first = folders[0]
    found: dict[str, tuple[Evaluated, EvaluatedFile]] = {}
    for each in folders:
        if each.val_sha256 != first.val_sha256:
            raise InputError(
                f"{each.folder}: its val is {each.val}, but that of {first.folder} is {first.val} with other rows;"
                " compare runs of one val file"
            )
        each.require(each.val_sha256, each.val)
        for file in sorted(each.files, key=lambda own: own.place):
            if file.role == "test":
                found.setdefault(file.sha256, (each, file))
    tests = {digest: file for digest, (_, file) in sorted(found.items(), key=lambda item: item[1][1].place)}
    for each in folders:
        for digest, test in tests.items():
            if each.require(digest, test.path).role != "test":
                raise InputError(
                    f"{each.folder}: its training used {test.path}, which is a test of {found[digest][0].folder};"
                    " leave one of the two out"
                )
    val = first.require(first.val_sha256, first.val)
    names: dict[str, str] = {}
    for digest, file in {first.val_sha256: val, **tests}.items():
        name = plain(file.key)
        while name in _RESERVED or name in names.values():
            name += "_file"
        names[digest] = name
    return CommonFiles(names, names[first.val_sha256], tuple(names[digest] for digest in tests))
