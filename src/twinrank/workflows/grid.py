"""From a recipe's base models to a ledger of their out-of-fold predictions."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from twinrank.config import GridSpec, Mode, RunSpec
from twinrank.core.context import Context
from twinrank.core.executors import require_executor
from twinrank.core.files import sha256
from twinrank.core.locks import one_at_a_time
from twinrank.data.folds import Folds
from twinrank.data.formats.selection import Selection, write_selection
from twinrank.data.source import Source
from twinrank.ensembling.base_models import WHOLE, BaseModel, Cell
from twinrank.ensembling.ledger import Ledger
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.evaluate import predictions_of
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.jobs import Job, run_jobs
from twinrank.workflows.grid_files import GridFiles, read_grid_files

LEDGER, CELLS, ROWS = "ledger", "cells", "rows"
_LOCK = "ledger.lock"
"""Folders of a grid: the ledger, a run folder for each network, and the rows that these are given."""


def fill_ledger(
    grid: GridSpec,
    out: Path,
    train_file: Path,
    val_file: Path | None,
    test_files: Sequence[Path],
    *,
    source: Source | None = None,
    context: Context = Context(),
) -> dict[str, str]:
    """Train base models and put their out-of-fold predictions into a ledger.

    In both modes a network stops on a slice of ``train`` that it is not fitted to. With ``holdout`` each base model is
    one network, which predicts ``val``. With ``oof`` it has a network for each fold of ``train``. That network predicts
    the fold, which was left out of its training (Wolpert 1992, Stacked generalization). All predict the tests. Whatever
    is done already is skipped, so a command that was stopped goes on when it is given again. Several commands may fill
    one ledger at the same time, also on several machines.

    No image of a fold is in what its network was given, see :mod:`twinrank.data.folds`. Where the image that ranks
    higher stands mostly on one side, a random half of the stacked rows is mirrored.

    Args:
        grid: Base models, ``holdout`` or ``oof``, and the folds.
        out: Folder of the grid: ``ledger``, ``cells`` (run folders), ``rows``.
        train_file: Labelled pairs that networks are trained on.
        val_file: Labelled pairs that are stacked with ``holdout``; not read with ``oof``.
        test_files: Labelled pairs that ensembles are tested on.
        source: How tables are read, and where their images are.
        context: Listeners, command, and where trainings run.

    Returns:
        Reasons of failures by name of the training; empty if nothing failed.

    Raises:
        InputError: Something that was given is wrong, or the folder holds another grid.
        Interrupted: Ctrl-C stopped the trainings.
    """
    require_executor(context)
    out, mode = Path(out), grid.mode
    files = read_grid_files(grid, train_file, val_file, test_files, out / ROWS, source, context)
    assignment = files.assignment
    with one_at_a_time(out / _LOCK, context.say, "begins the ledger"):
        Ledger.create(out / LEDGER, mode, assignment, files.rows, files.row_folds, files.tests)
    runs = {name: _trained_both_ways(name, spec, files.uneven, context) for name, spec in grid.runs.items()}
    jobs = {name: _jobs(name, spec, mode, assignment, out) for name, spec in runs.items()}
    every = [job for cells in jobs.values() for job in cells.values()]
    failed = run_jobs(every, context=context)
    for name, cells in jobs.items():
        done = {fold: RunFolder(job.folder) for fold, job in cells.items() if job.name not in failed}
        with one_at_a_time(out / _LOCK, context.say, "predicts for the ledger"):
            # As it is now: another command may have added to it.
            ledger = Ledger(out / LEDGER)
            known = {cell.fold: cell.weights_sha256 for cell in ledger.cells(name)}
            if done and known != {fold: sha256(run.weights) for fold, run in done.items()}:
                ledger.add(_base_model(name, done, assignment, files))
                context.say(f"{name}: {len(done)} of {len(cells)} networks are in {ledger.path}")
    return failed


def _trained_both_ways(name: str, spec: RunSpec, uneven: str | None, context: Context) -> RunSpec:
    """The same training; one that sees sides gets pairs in both orders where labels are uneven."""
    sees_sides = not entry(spec.model).complete(spec.options).get("antisymmetric", True)
    if uneven is None or not sees_sides or spec.train.swap:
        return spec
    context.say(f"{name}: {uneven}, and the network sees sides, so pairs are swapped at random (`swap`)")
    return replace(spec, train=replace(spec.train, swap=True))


def _jobs(name: str, spec: RunSpec, mode: Mode, assignment: Folds, out: Path) -> dict[int, Job]:
    """The trainings of a base model by the fold that they leave out."""
    jobs = {}
    for fold in range(assignment.count) if mode == "oof" else [WHOLE]:
        left_out, suffix = (None, "") if fold == WHOLE else (fold, f".fold{fold}")
        fitted = _selected(out / ROWS / f"fitted{suffix}.rows.npz", assignment.fitted(left_out))
        stopped_on = _selected(out / ROWS / f"stopped_on{suffix}.rows.npz", assignment.stopped_on(left_out))
        folder = out / CELLS / f"{name}{suffix}"
        jobs[fold] = Job(folder, fitted, stopped_on, spec)
    return jobs


def _selected(path: Path, selection: Selection) -> Path:
    if not path.is_file():
        write_selection(path, selection)
    return path


def _base_model(
    name: str,
    runs: Mapping[int, RunFolder],
    assignment: Folds,
    files: GridFiles,
) -> BaseModel:
    rows, tests = files.rows.data, {stem: each.data for stem, each in files.tests.items()}
    cells, logit, fold_of = [], np.full(len(rows), np.nan, np.float32), np.full(len(rows), WHOLE, np.int8)
    levels: np.ndarray | None = None
    on_tests: dict[str, list[Predictions]] = {stem: [] for stem in tests}
    for fold, run in runs.items():
        positions = np.arange(len(rows)) if fold == WHOLE else assignment.left_out(fold).rows
        started = time.perf_counter()
        predictions = predictions_of(run, rows.select(positions))
        milliseconds = 1000 * (time.perf_counter() - started) / len(positions)
        logit[positions], fold_of[positions] = predictions.logit, fold
        both = predictions.levels
        if both is not None:
            levels = np.full((len(rows), *both.shape[1:]), np.nan, np.float32) if levels is None else levels
            levels[positions] = both
        for stem, data in tests.items():
            on_tests[stem].append(predictions_of(run, data))
        cells.append(_cell(fold, run, milliseconds))
    test_levels: dict[str, np.ndarray] = {}
    for stem, parts in on_tests.items():
        if found := [both for part in parts if (both := part.levels) is not None]:
            test_levels[stem] = np.stack(found)
    config = next(iter(runs.values())).read_config()
    about = {"model": config["model"]["name"], "options": config["model"]["options"]}
    about |= {key: config[key] for key in ("train", "track", "parameters")}
    return BaseModel(
        name,
        about,
        tuple(cells),
        fold_of,
        logit,
        {stem: np.stack([part.logit for part in parts]) for stem, parts in on_tests.items()},
        levels,
        test_levels,
    )


def _cell(fold: int, run: RunFolder, milliseconds: float) -> Cell:
    config, history = run.read_config(), run.read_history()
    return Cell(
        fold=fold,
        run=f"../{CELLS}/{run.path.name}",
        seed=config["seed"],
        seconds=round(sum(epoch["seconds"] for epoch in history), 1),
        memory_mb=max(epoch["memory_mb"] for epoch in history),
        milliseconds=round(milliseconds, 4),
        config_sha256=sha256(run.config),
        weights_sha256=sha256(run.weights),
        fitted_sha256=config["data"]["train"]["sha256"],
        stopped_on_sha256=config["data"]["val"]["sha256"],
    )
