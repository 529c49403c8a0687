"""Stack folders: where a stack keeps what was asked, its meta-learners, what they said, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinrank.core.files import read_json, write_json
from twinrank.ensembling.learners import restore
from twinrank.ensembling.ledger import Matrix
from twinrank.ensembling.stack import Stack
from twinrank.errors import InputError
from twinrank.evaluation.entrants import LabelledRows, load_entrants, save_entrants


@dataclass(frozen=True)
class StackFolder:
    """The files of one stack. ``docs/architecture.md`` says what each holds.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """What was asked for, and of which ledger: JSON."""
        return self.path / "stack.json"

    @property
    def learners(self) -> Path:
        """Meta-learners, fitted on all stacked rows: JSON, trees as LightGBM's text in it."""
        return self.path / "learners.json"

    @property
    def entrants(self) -> Path:
        """What base models and ensembles said about rows that they were not fitted on: NPZ."""
        return self.path / "entrants.npz"

    @property
    def figures(self) -> Path:
        """What the report says besides the leaderboard: JSON."""
        return self.path / "figures.json"

    @property
    def steps(self) -> Path:
        """What has been done, and how long it took: JSON."""
        return self.path / "steps.json"

    @property
    def audit(self) -> Path:
        """What an audit found: JSON."""
        return self.path / "audit.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def order(self) -> Path:
        """Folder of what was found about all pairs of some images."""
        return self.path / "order"

    def submission(self, matrix: Matrix) -> Path:
        """Labels of the last test file by the best ensemble: CSV."""
        return self.path / f"pred_{list(matrix.tests)[-1].removeprefix('test_')}.csv"

    def read_config(self) -> dict[str, Any]:
        """What was asked for.

        Raises:
            InputError: it is not a stack folder.
        """
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a stack (no stack.json); make one with 'twinrank stack'")
        match config := read_json(self.config):
            case {"ledger": str(), "ledger_sha256": str(), "models": list(), "learners": list(), "best": str()}:
                return config
        raise InputError(f"{self.config}: not the configuration of a stack; stack again")

    def write_stack(self, matrix: Matrix, stacked: Stack) -> None:
        """Keep a stack.

        Raises:
            InputError: a file cannot be written.
        """
        asked = {stem: LabelledRows(rows.id, rows.y) for stem, rows in matrix.by_stem.items()}
        save_entrants(self.entrants, stacked.entrants, asked)
        write_json(self.learners, {name: fitted.state() for name, fitted in stacked.fitted.items()})

    def read_stack(self) -> Stack:
        """What :meth:`write_stack` kept.

        Raises:
            InputError: a file is missing, damaged, or of something else.
        """
        states = read_json(self.learners)
        if not isinstance(states, dict):
            raise InputError(f"{self.learners}: not the meta-learners of a stack; stack again")
        entrants, _ = load_entrants(self.entrants)
        config, models = self.read_config(), [each.name for each in entrants if each.kind == "model"]
        if config["models"] != models or config["best"] not in states:
            raise InputError(f"{self.config}: is not about what {self.entrants} holds; restore it, or stack again")
        return Stack(tuple(entrants), {name: restore(state) for name, state in states.items()})
