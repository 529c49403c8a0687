"""Stack folders: the settings of a stack, its meta-learners, their predictions, and its figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from twinrank.config import Mode
from twinrank.core.files import read_json, sha256, write_json
from twinrank.core.records import read_record
from twinrank.core.run_records import DataFile
from twinrank.ensembling.fitted import restore
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack import Stack
from twinrank.errors import InputError
from twinrank.evaluation.entrants import load_entrants, save_entrants


class StackConfig(TypedDict):
    """Configuration of a stack, ``stack.json``.

    Attributes:
        name: Name of the stack.
        ledger: Folder of the ledger, relative to the stack folder.
        ledger_sha256: Digest of the ledger.
        learners_sha256: Digest of ``learners.json``; an older version wrote none.
        mode: Way in which rows are out-of-fold.
        models: Names of the base models.
        learners: Names of the meta-learners.
        best: Name of the best ensemble.
        data: Files by part: "train", "rows", and the tests by key.
        folds: "images" where folds of rows are made of images.
        commit: Commit of twinrank.
        command: Command that made the stack.
    """

    name: NotRequired[str]
    ledger: str
    ledger_sha256: str
    learners_sha256: NotRequired[str]
    mode: Mode
    models: list[str]
    learners: list[str]
    best: str
    data: NotRequired[dict[str, DataFile]]
    folds: NotRequired[str]
    commit: NotRequired[str | None]
    command: NotRequired[str]


@dataclass(frozen=True)
class StackFolder:
    """The files of one stack, which ``docs/architecture.md`` describes.

    Attributes:
        path: Folder of the stack.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Requested settings and the ledger: JSON."""
        return self.path / "stack.json"

    @property
    def learners(self) -> Path:
        """Meta-learners, fitted on all stacked rows: JSON."""
        return self.path / "learners.json"

    @property
    def entrants(self) -> Path:
        """Predictions of base models and ensembles for rows that they were not fitted on: NPZ."""
        return self.path / "entrants.npz"

    @property
    def figures(self) -> Path:
        """Figures of the report besides the leaderboard: JSON."""
        return self.path / "figures.json"

    @property
    def steps(self) -> Path:
        """Steps that were done, with their duration: JSON."""
        return self.path / "steps.json"

    @property
    def audit(self) -> Path:
        """Findings of an audit: JSON."""
        return self.path / "audit.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def order(self) -> Path:
        """Folder of the findings on all pairs of some images."""
        return self.path / "order"

    def submission(self, matrix: Matrix) -> Path | None:
        """Labels of the last test file by the best ensemble: CSV. None without tests."""
        if not matrix.tests:
            return None
        return self.path / f"pred_{list(matrix.tests)[-1].removeprefix('test_')}.csv"

    def read_config(self) -> dict[str, Any]:
        """The configuration of the stack, see :class:`StackConfig`; unknown keys stay.

        Raises:
            InputError: It is not a stack folder, or the configuration is damaged.
        """
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a stack (no stack.json); make one with 'twinrank stack'")
        return dict(read_record(self.config, StackConfig, "the configuration of a stack"))

    def write_stack(self, matrix: Matrix, stacked: Stack) -> None:
        """Keep a stack.

        Raises:
            InputError: A file cannot be written.
        """
        labelled = {stem: rows.labelled for stem, rows in matrix.by_stem.items()}
        save_entrants(self.entrants, stacked.entrants, labelled)
        write_json(self.learners, {name: fitted.state() for name, fitted in stacked.fitted.items()})

    def read_stack(self) -> Stack:
        """The stack that :meth:`write_stack` kept.

        Raises:
            InputError: A file is missing, damaged, or of another stack.
        """
        entrants, _ = load_entrants(self.entrants)
        config, models = self.read_config(), [each.name for each in entrants if each.kind == "model"]
        states = read_json(self.learners)
        if not isinstance(states, dict):
            raise InputError(f"{self.learners}: not the meta-learners of a stack; stack again")
        if config["models"] != models or config["best"] not in states:
            raise InputError(f"{self.config}: is not about what {self.entrants} holds; restore it, or stack again")
        known = config.get("learners_sha256")
        if known is not None and sha256(self.learners) != known:
            raise InputError(f"{self.learners}: has changed since the stack was made (SHA-256 differs); restore it")
        fitted = {name: restore(state, f"{self.learners}: '{name}'", len(models)) for name, state in states.items()}
        return Stack(tuple(entrants), fitted)
