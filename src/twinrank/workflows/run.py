"""A recipe from nothing to a report: steps, each done once."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.benchmark.generator import make_benchmark, refuse_other_benchmark
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.benchmark.submission import check_submission, write_submission
from twinrank.config import SPLITS, GridSpec, Recipe, RunSpec
from twinrank.core.context import Context
from twinrank.core.executors import require_executor
from twinrank.core.locks import one_at_a_time
from twinrank.core.steps import Steps, digests
from twinrank.data.judgements import load_pairs
from twinrank.data.stream import digest_of
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.evaluate import evaluate
from twinrank.inference.file_keys import file_keys
from twinrank.inference.load import load_predictor
from twinrank.inference.order import order
from twinrank.reporting.leaderboard import read_field, write_leaderboard
from twinrank.reporting.order import write_order
from twinrank.runs import RunFolder, used_in_training
from twinrank.training.jobs import Job, refuse_other_runs, require_all_done, run_jobs, train_job
from twinrank.workflows.audit import audit
from twinrank.workflows.distill import train_or_distill
from twinrank.workflows.grid import LEDGER, fill_ledger
from twinrank.workflows.own_files import OwnFiles, require_val_for
from twinrank.workflows.report import report
from twinrank.workflows.stack import finish_stack, make_stack

_POOL = 200
"""Images whose order is measured."""
_LOCK = "steps.lock"
_LABEL_FILES = ("test_public_labels.csv", "test_private_labels.csv")


def run_recipe(
    recipe: Recipe, out: Path, data: Path, own: OwnFiles | None = None, *, context: Context = Context()
) -> dict[str, str]:
    """Do every step of a recipe that is not done yet: fetch, make, train, evaluate, submit, report.

    A step is done when ``steps.json`` has it with the same inputs and its files are as it left them. A training that
    was stopped goes on where it was. With several trainings, one that fails stops only its students. A table of all of
    them is written at the end. Several commands may run one recipe at the same time, also on several machines: they
    share its trainings, and one of them does each other step.

    Args:
        recipe: Trainings or grids, and the benchmark.
        out: Run folder, folder of run folders, or stack folder.
        data: Folder of the benchmark's files; of no use with ``own``.
        own: Files that take the place of the benchmark's.
        context: Listeners, command, and where trainings run.

    Returns:
        Reasons of failures by name of the training; empty if nothing failed.

    Raises:
        InputError: Something that was given is wrong, or a step failed; a base model of a stack, too.
        Interrupted: Ctrl-C stopped the work.
    """
    require_executor(context)
    out = Path(out)
    files = _Benchmark(Path(data)) if own is None else own
    require_val_for(recipe, files.val)
    jobs = [_job(out, name, spec, files) for name, spec in recipe.runs.items()]
    refuse_other_runs(jobs)
    steps = Steps(RunFolder(out).steps, context.say)
    if isinstance(files, _Benchmark):
        refuse_other_benchmark(files.folder, recipe.benchmark, "data")
        with (
            one_at_a_time(out / _LOCK, context.say, "makes the benchmark"),
            steps.step("data", asdict(recipe.benchmark), files.all) as todo,
        ):
            if todo:
                make_benchmark(fetch_mnist(say=context.say), files.folder, recipe.benchmark, progress=context.progress)
                refuse_other_runs(jobs)
    if recipe.grids:
        for name, grid in recipe.grids.items():
            _make_grid(grid, StackFolder(out / name), files, recipe.benchmark.pairs_private, context)
        return {}
    if list(recipe.runs) == [""]:
        (job,) = jobs
        with one_at_a_time(out / _LOCK, context.say, "runs the recipe"):
            with steps.step("train", _requested(job, files), [RunFolder(out).weights]) as todo:
                if todo:
                    _train_run(job, context)
            _finish(job, files, steps)
        return {}
    return _train_runs(jobs, out, files, context)


def _train_run(job: Job, context: Context) -> None:
    """Train the only run of a recipe: in this process, unless it is to be trained elsewhere."""
    if context.executor == "local":
        train_job(job, context)
    else:
        require_all_done(run_jobs([job], context=context))


def _train_runs(jobs: Sequence[Job], out: Path, files: "_Files", context: Context) -> dict[str, str]:
    """Train the runs of a recipe beside each other, finish each, and rank them."""
    failed = run_jobs(jobs, train_or_distill, context=context)
    trained = [job for job in jobs if job.name not in failed]
    with one_at_a_time(out / _LOCK, context.say, "evaluates the runs"):
        for job in trained:
            say = partial(_say_of, job.name, context.say)
            _finish(job, files, Steps(RunFolder(job.folder).steps, say))
        if trained:
            field = read_field([job.folder for job in trained])
            for table in write_leaderboard(field.rank(), field, out):
                context.say(f"table: {table}")
    return failed


def _say_of(name: str, say: Callable[[str], None], line: str) -> None:
    say(f"{name}: {line}")


def _make_grid(grid: GridSpec, folder: StackFolder, files: "_Files", images: int, context: Context) -> None:
    """Fill a ledger, stack it, measure the order of ``images`` at most, audit it, and write the page."""
    steps = Steps(folder.steps, context.say)
    inputs = asdict(grid) | _digests(files.train, files.val, *files.tests)
    with steps.step("ledger", inputs, [folder.path / LEDGER / "ledger.json"]) as todo:
        if todo:
            where = folder.path, files.train, files.val, files.tests
            # Raises inside of the step, so that the step is not kept as done.
            require_all_done(fill_ledger(grid, *where, context=context))
    with one_at_a_time(folder.path / _LOCK, context.say, "stacks the networks"):
        _finish_grid(folder, files, images, context)


def _finish_grid(folder: StackFolder, files: "_Files", images: int, context: Context) -> None:
    """What follows a ledger that is filled."""
    make_stack(folder.path, folder, context=context)
    steps = Steps(folder.steps, context.say)
    written = [folder.order / "order.json", folder.order / "cycles.png"]
    last = files.tests[-1] if files.tests else files.val or files.train
    with steps.step("order", digests(folder.config, folder.learners) | _digests(last), written) as todo:
        if todo:
            if not isinstance(files, _Benchmark):
                images = len(np.unique(load_pairs(last).image_codes))
            found = order(load_predictor(folder.path), last, min(_POOL, images))
            write_order(*found, folder.order)
    with steps.step("audit", digests(folder.config, folder.entrants), [folder.audit]) as todo:
        if todo:
            for check in audit(folder, context=context):
                context.say(f"    {check}")
    finish_stack(folder, context=context)


class _Benchmark:
    """The benchmark's files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        train, val, *tests = (folder / f"{split}.npz" for split in SPLITS)
        self.train: Path = train
        self.val: Path | None = val
        self.tests: tuple[Path, ...] = tuple(tests)
        self.labels = tuple(folder / name for name in _LABEL_FILES)
        self.all = [train, val, *tests, *self.labels]


_Files = _Benchmark | OwnFiles


def _digests(*files: Path | None) -> dict[str, str]:
    """Digests of pair files, by path; of tables and their images, too."""
    return {str(file): digest_of(file) for file in files if file is not None}


def _job(out: Path, name: str, spec: RunSpec, files: _Files) -> Job:
    teachers = tuple(out / teacher for teacher in spec.teachers)
    assert files.val is not None
    return Job(out / name, files.train, files.val, spec, teachers)


def _requested(job: Job, files: _Files) -> dict[str, Any]:
    spec = job.spec
    requested = {"model": spec.model, "options": spec.options, "train": asdict(spec.train)}
    return requested | _digests(files.train, files.val)


def _finish(job: Job, files: _Files, steps: Steps) -> None:
    """What follows the training of a run."""
    assert files.val is not None
    run, evaluated = RunFolder(job.folder), [files.val, *files.tests]
    labels = files.labels if isinstance(files, _Benchmark) else ()
    keys, pooled = _keys(run, evaluated)
    results = [*map(run.predictions, keys), *map(run.metrics, [*keys, *pooled])]
    inputs = digests(run.weights, *labels) | _digests(*evaluated)
    with steps.step("evaluate", inputs, results) as todo:
        if todo:
            evaluate(run, evaluated)
    if files.tests:
        name = files.tests[-1].stem if labels else keys[-1]
        submission, made = run.path / f"pred_{name.removeprefix('test_')}.csv", run.predictions(keys[-1])
        with steps.step("submit", digests(made), [submission]) as todo:
            if todo:
                predictions = Predictions.load(made)
                write_submission(submission, predictions.id, predictions.logit > 0)
                if labels:
                    check_submission(submission, files.tests[-1])

    with steps.step("report", digests(*results, run.history), [run.report]) as todo:
        if todo:
            report(run.path)


def _keys(run: RunFolder, files: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Keys of evaluated files, and that of their pooled metrics if there are any. The pairs are not kept in memory."""
    loaded, used = [load_pairs(file) for file in files], used_in_training(run.read_config())
    return file_keys(run, loaded), [POOLED] if sum(data.sha256 not in used for data in loaded) > 1 else []
