"""From a ledger to a stack with its leaderboard, its page and its submission; and a stack that is asked about pairs."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from twinrank.data.pairs import PairData
from twinrank.data.pool import Pool
from twinrank.data.submission import write_submission
from twinrank.ensembling.figures import stack_figures
from twinrank.ensembling.folder import StackFolder
from twinrank.ensembling.learners import LEARNERS, decide
from twinrank.ensembling.ledger import Ledger, Matrix, Rows
from twinrank.ensembling.stack import Stack, stack
from twinrank.errors import InputError
from twinrank.evaluation.evaluate import Network
from twinrank.evaluation.label import Judge
from twinrank.evaluation.leaderboard import best_first
from twinrank.files import read_json, sha256, write_json
from twinrank.provenance import provenance
from twinrank.reporting.contents import distinct_runs
from twinrank.reporting.leaderboard import board_files, read_field, write_leaderboard
from twinrank.reporting.stack_page import write_stack_page
from twinrank.runs import RunFolder
from twinrank.stacking import LEDGER
from twinrank.steps import Steps, digests


def make_stack(
    grid: Path,
    folder: StackFolder,
    models: str = "",
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Do every step of a stack that is not done yet: meta-learners, leaderboard, figures, submission.

    Args:
        grid: folder with a ledger.
        folder: of the stack.
        models: base models, separated by commas; empty, all in the ledger.
        command: recorded.
        say: told what happens, a line each.

    Raises:
        InputError: the ledger is refused, or a file cannot be written.
    """
    ledger = Ledger(Path(grid) / LEDGER)
    _refuse_other_folder(folder)
    matrix = ledger.read([name.strip() for name in models.split(",")] if models else None)
    asked: dict[str, Any] = {
        "name": folder.path.resolve().name,
        "ledger": os.path.relpath(ledger.path.resolve(), folder.path.resolve()),
        "ledger_sha256": ledger.sha256,
        "mode": ledger.mode,
        "models": list(matrix.names),
        "learners": list(LEARNERS),
    }
    steps = Steps(folder.steps, say)
    with steps.step("meta-learners", asked, [folder.entrants, folder.learners, folder.config]) as todo:
        if todo:
            stacked = stack(matrix, say=lambda name: say(f"    {name}"))
            folder.write_stack(matrix, stacked)
            ensembles = [each for each in stacked.entrants if each.kind == "ensemble"]
            best = best_first(ensembles, matrix.rows.y, matrix.stem)[0].name
            data = {"train": ledger.trained_on(), **ledger.data}
            write_json(folder.config, asked | {"best": best, "data": data} | provenance(command))
    with steps.step("leaderboard", digests(folder.entrants), board_files(folder.path)) as todo:
        if todo:
            field = read_field([folder.path])
            write_leaderboard(field.rank(), field, folder.path)
    stacked = folder.read_stack()
    with steps.step("figures", digests(folder.entrants, folder.learners), [folder.figures]) as todo:
        if todo:
            write_json(folder.figures, stack_figures(matrix, stacked))
    submission = folder.submission(matrix)
    with steps.step("submit", digests(folder.entrants), [submission]) as todo:
        if todo:
            submit_stack(folder, matrix, stacked, submission)


def submit_stack(folder: StackFolder, matrix: Matrix, stacked: Stack, out: Path) -> None:
    """Write what the best ensemble says of the last test file as a submission.

    Args:
        folder: of the stack.
        matrix: of its ledger.
        stacked: of the folder.
        out: the CSV.

    Raises:
        InputError: the file cannot be written.
    """
    best, stem = folder.read_config()["best"], list(matrix.tests)[-1]
    logit = next(each.logits[stem] for each in stacked.entrants if each.name == best)
    write_submission(out, matrix.tests[stem].id, logit > 0)


def _refuse_other_folder(folder: StackFolder) -> None:
    """A stack goes into a folder of its own, or into that of a grid."""
    known = folder.config.is_file() or (folder.path / LEDGER / "ledger.json").is_file()
    if not known and folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        raise InputError(f"{folder.path}: is there already and holds no stack; choose a new folder with --out")


def finish_stack(folder: StackFolder, say: Callable[[str], None] = lambda line: None) -> None:
    """Make the page of a stack, if what it shows has changed.

    Raises:
        InputError: as :func:`publish_stack`.
    """
    shown = (folder.config, folder.entrants, folder.figures, folder.order / "order.json", folder.audit)
    steps = Steps(folder.steps, say)
    with steps.step("report", digests(*filter(Path.is_file, shown)), [folder.report]) as todo:
        if todo:
            publish_stack(folder)


def publish_stack(folder: StackFolder, out: Path | None = None, figures: Path | None = None) -> Path:
    """Write the page of a stack. Nothing is fitted; every number comes from the folder and its ledger.

    Args:
        folder: of the stack.
        out: the page; ``report.html`` in the folder if None.
        figures: folder for the figures as PNG files; None, the page alone.

    Returns:
        The path written.

    Raises:
        InputError: something is missing or damaged, or the page cannot be written.
    """
    config = folder.read_config()
    ledger = Ledger(folder.path / config["ledger"])
    order = folder.order / "order.json"
    return write_stack_page(
        folder.report if out is None else out,
        config=config,
        field=read_field([folder.path]),
        figures=read_json(folder.figures),
        networks=[cell for name in config["models"] for cell in ledger.cells(name)],
        order=read_json(order) if order.is_file() else None,
        cycles=folder.order / "cycles.png",
        audit=read_json(folder.audit) if folder.audit.is_file() else None,
        steps=read_json(folder.steps) if folder.steps.is_file() else [],
        drawings=figures,
    )


class StackJudge:
    """The best ensemble of a stack, ready to be asked: a :class:`twinrank.evaluation.label.Judge`.

    Args:
        folder: of a stack, whose base models' weights are still there.

    Raises:
        InputError: something is missing, or has changed. Whatever is asked raises it, too, if the images do not fit.
    """

    def __init__(self, folder: StackFolder) -> None:
        self._config = folder.read_config()
        ledger = Ledger(folder.path / self._config["ledger"])
        if ledger.sha256 != self._config["ledger_sha256"]:
            raise InputError(f"{ledger.path}: has changed since it was stacked; stack again")
        self._networks = {
            name: [Network(RunFolder(ledger.weights(cell))) for cell in ledger.cells(name)]
            for name in self._config["models"]
        }
        stacked, best = folder.read_stack(), self._config["best"]
        self._fitted = stacked.fitted[best]
        self._track = next(each.track for each in stacked.entrants if each.name == best)
        self._learners_sha256 = sha256(folder.learners)
        self._trained_on, self._stacked = ledger.trained_on()["sha256"], ledger.data["rows"]["sha256"]

    def logits(self, data: PairData) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""

        def ask(network: Network) -> tuple[np.ndarray, np.ndarray | None]:
            predictions = network.predict(data)
            return predictions.logit, predictions.levels

        return self._decide(data.row_ids, ask)

    def answer(self, data: PairData) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`twinrank.evaluation.label.Judge`; its networks' levels are not one set, so there are none."""
        return self.logits(data), np.empty((len(data), 2, 0))

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""
        first, second = np.nonzero(~np.eye(len(pool), dtype=bool))

        def ask(network: Network) -> tuple[np.ndarray, np.ndarray | None]:
            logit, levels = network.pairwise(pool)
            both = None if levels is None else np.stack([levels[first], levels[second]], 1)
            return logit[first, second], both

        logit = np.zeros((len(pool), len(pool)))
        logit[first, second] = self._decide(np.arange(len(first)).astype(str), ask)
        return logit

    @property
    def seen(self) -> dict[str, str]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return {
            self._trained_on: "which networks were fitted to: an in-sample number",
            self._stacked: "which meta-learners were fitted to: an in-sample number",
        }

    def said(self, rows: str, digest: str) -> dict[str, Any]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        seen = self.seen
        return {
            "rows": f"{rows}, {seen[digest]}" if digest in seen else rows,
            "model": self._config["best"],
            "ledger_sha256": self._config["ledger_sha256"],
            "learners_sha256": self._learners_sha256,
            "track": self._track,
        }

    def _decide(self, ids: np.ndarray, ask: Callable[[Network], tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray:
        """Ask each network for logits and levels; as the ledger has it, what counts is the mean of a base model's."""
        logits: list[np.ndarray] = []
        levels: dict[str, np.ndarray] = {}
        for name, networks in self._networks.items():
            said, both = zip(*map(ask, networks), strict=True)
            logits.append(np.stack(said).astype(np.float64).mean(0))
            if both[0] is not None:
                levels[name] = np.stack(both).astype(np.float64).mean(0)
        return decide(self._fitted, Rows(ids, np.zeros(len(ids), np.int8), np.stack(logits, 1), levels))


class MeanJudge:
    """The mean of some judges' logits, and of their log-posteriors where all have as many levels: a
    :class:`twinrank.evaluation.label.Judge`.

    Args:
        judges: two or more.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = judges

    def logits(self, data: PairData) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return _mean([judge.logits(data) for judge in self._judges])

    def answer(self, data: PairData) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`twinrank.evaluation.label.Judge`; the n-th levels of all judges count as the same."""
        logits, levels = zip(*(judge.answer(data) for judge in self._judges), strict=True)
        if len({each.shape for each in levels}) > 1 or not levels[0].shape[2]:
            return _mean(logits), np.empty((len(data), 2, 0))
        return _mean(logits), log_softmax(_mean(levels), axis=2)

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return _mean([judge.tournament(pool) for judge in self._judges])

    @property
    def seen(self) -> dict[str, str]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        seen: dict[str, list[str]] = {}
        for judge in self._judges:
            for digest, words in judge.seen.items():
                seen.setdefault(digest, []).extend(words.split("; "))
        return {digest: "; ".join(dict.fromkeys(each)) for digest, each in seen.items()}

    def said(self, rows: str, digest: str) -> dict[str, Any]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        seen, members = self.seen, [judge.said(rows, digest) for judge in self._judges]
        tracks = [member.pop("track") for member in members]
        for member in members:
            del member["rows"]
        return {
            "rows": f"{rows}, {seen[digest]}" if digest in seen else rows,
            "model": f"mean of {', '.join(member['model'] for member in members)}",
            "members": members,
            "track": next((track for track in tracks if track != "pairs-only"), "pairs-only"),
        }


def _mean(each: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(each).mean(0, dtype=np.float64)


def open_judge(*folders: Path) -> Judge:
    """Whoever decides in a folder: the network of a run, or the best ensemble of a stack; in several, their mean.

    Raises:
        InputError: one is neither, or comes twice, or what it needs is missing.
    """
    judges: dict[Path, Judge] = {
        path: StackJudge(StackFolder(path)) if StackFolder(path).config.is_file() else Network(RunFolder(path))
        for path in distinct_runs(folders)
    }
    if len(judges) == 1:
        return judges[folders[0]]
    by_weights: dict[str, Path] = {}
    for path, judge in judges.items():
        weights = judge.said("", "").get("weights_sha256", str(path))
        if (other := by_weights.setdefault(weights, path)) != path:
            raise InputError(f"{path}: has the weights of {other}; name each network once")
    return MeanJudge([*judges.values()])
