"""From a ledger to a stack with its leaderboard, its figures, its page and its submission."""

import os
from pathlib import Path
from typing import Any

from twinrank.benchmark.submission import write_submission
from twinrank.core.context import Context
from twinrank.core.files import sha256, write_json
from twinrank.core.provenance import provenance
from twinrank.core.steps import Steps, digests
from twinrank.ensembling.figures import stack_figures
from twinrank.ensembling.learners import LEARNERS
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack import Stack, stack
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.ranking import best_first
from twinrank.reporting.leaderboard import read_field, write_leaderboard
from twinrank.runs import board_files
from twinrank.workflows.grid import LEDGER
from twinrank.workflows.report import report


def make_stack(
    grid: Path,
    folder: StackFolder,
    models: str = "",
    *,
    context: Context = Context(),
) -> None:
    """Do every step of a stack that is not done yet: meta-learners, leaderboard, figures, submission.

    Args:
        grid: Folder with a ledger.
        folder: Stack folder.
        models: Base models, separated by commas; all in the ledger if empty.
        context: Listener and command.

    Raises:
        InputError: The ledger is refused, or a file cannot be written.
    """
    ledger = Ledger(Path(grid) / LEDGER)
    _refuse_other_folder(folder)
    matrix = ledger.read([name.strip() for name in models.split(",")] if models else None)
    requested: dict[str, Any] = {
        "name": folder.path.resolve().name,
        "ledger": os.path.relpath(ledger.path.resolve(), folder.path.resolve()),
        "ledger_sha256": ledger.sha256,
        "mode": ledger.mode,
        "models": list(matrix.names),
        "learners": list(LEARNERS),
    }
    steps = Steps(folder.steps, context.say)
    with steps.step("meta-learners", requested, [folder.entrants, folder.learners, folder.config]) as todo:
        if todo:
            stacked = stack(matrix, requested["learners"], lambda name: context.say(f"    {name}"))
            folder.write_stack(matrix, stacked)
            ensembles = [each for each in stacked.entrants if each.kind == "ensemble"]
            best = best_first(ensembles, matrix.rows.labelled, matrix.stem)[0].name
            data = {"train": ledger.trained_on(), **ledger.data}
            found: dict[str, Any] = {"learners_sha256": sha256(folder.learners), "best": best, "data": data}
            found |= {} if matrix.apart is None else {"folds": "images"}
            write_json(folder.config, requested | found | provenance(context.command))
    with steps.step("leaderboard", digests(folder.entrants), board_files(folder.path)) as todo:
        if todo:
            field = read_field([folder.path])
            write_leaderboard(field.rank(), field, folder.path)
    stacked = folder.read_stack()
    with steps.step("figures", digests(folder.entrants, folder.learners), [folder.figures]) as todo:
        if todo:
            write_json(folder.figures, stack_figures(matrix, stacked))
    submission = folder.submission(matrix)
    if submission is None:
        return
    with steps.step("submit", digests(folder.entrants), [submission]) as todo:
        if todo:
            submit_stack(folder, matrix, stacked, submission)


def submit_stack(folder: StackFolder, matrix: Matrix, stacked: Stack, out: Path) -> None:
    """Write the best ensemble's predictions for the last test file as a submission.

    Args:
        folder: Stack folder.
        matrix: Matrix of its ledger.
        stacked: Stack in the folder.
        out: Path of the CSV file.

    Raises:
        InputError: The file cannot be written.
    """
    best, stem = folder.read_config()["best"], list(matrix.tests)[-1]
    logit = next(each.logits[stem] for each in stacked.entrants if each.name == best)
    write_submission(out, matrix.tests[stem].id, logit > 0)


def _refuse_other_folder(folder: StackFolder) -> None:
    """Refuse a folder with other things in it. A stack goes into an own folder, or into that of a grid."""
    known = folder.config.is_file() or (folder.path / LEDGER / "ledger.json").is_file()
    if not known and folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        raise InputError(f"{folder.path}: is there already and holds no stack; choose a new folder with `out`")


def finish_stack(folder: StackFolder, *, context: Context = Context()) -> None:
    """Make the page of a stack, if what it shows has changed.

    Raises:
        InputError: As :func:`twinrank.workflows.report.report`.
    """
    shown = (folder.config, folder.entrants, folder.figures, folder.order / "order.json", folder.audit)
    steps = Steps(folder.steps, context.say)
    with steps.step("report", digests(*filter(Path.is_file, shown)), [folder.report]) as todo:
        if todo:
            report(folder.path)
