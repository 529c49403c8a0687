"""A recipe from nothing to a report: steps, each done once."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twinrank.benchmark.generator import MakeProgress, make_benchmark, refuse_other_benchmark
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.benchmark.submission import check_submission
from twinrank.config import Recipe, RunSpec
from twinrank.core.steps import Steps, digests
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.inference.evaluate import evaluate
from twinrank.inference.label import write_labels
from twinrank.inference.load import load_predictor
from twinrank.inference.network import Network
from twinrank.inference.order import order
from twinrank.reporting.leaderboard import read_field, write_leaderboard
from twinrank.reporting.order import write_order
from twinrank.runs import RunFolder
from twinrank.training.jobs import Job, refuse_other_settings, require_all_done, require_workers, run_grid, train_job
from twinrank.training.jobs import Progress as GridProgress
from twinrank.workflows.audit import audit
from twinrank.workflows.distill import train_or_distill
from twinrank.workflows.grid import LEDGER, fill_ledger
from twinrank.workflows.report import publish_report
from twinrank.workflows.stack import finish_stack, make_stack

_POOL = 200
"""Images whose order is asked for."""
_SPLIT_FILES = ("train.npz", "val.npz", "test_public.npz", "test_private.npz")
_LABEL_FILES = ("test_public_labels.csv", "test_private_labels.csv")


def run_recipe(
    recipe: Recipe,
    out: Path,
    data: Path,
    say: Callable[[str], None],
    progress: MakeProgress = lambda split, done, pairs: None,
    command: str = "",
    threads: int | None = None,
    workers: int = 1,
    show: Callable[[GridProgress], None] = lambda progress: None,
) -> dict[str, str]:
    """Do every step of a recipe that is not done yet: fetch, make, train, evaluate, submit, report.

    A step is done when its record in ``steps.json`` has the same inputs and its files are as it left them. A training
    that was stopped goes on where it was. With several trainings, one that fails stops those alone that it was to
    teach, and a table of all of them is written at the end.

    Args:
        recipe: what to do.
        out: run folder, folder of run folders, or stack folder.
        data: folder of the benchmark's files.
        say: told what happens, a line each.
        progress: of the benchmark's making.
        command: recorded.
        threads: of the CPU; all cores by default.
        workers: trainings at a time.
        show: told how several trainings stand.

    Returns:
        What was wrong, by name of the training; empty if nothing was.

    Raises:
        InputError: something that was given is wrong, or a step failed; a base model of a stack, too.
        Interrupted: stopped by Ctrl-C.
    """
    require_workers(workers)
    out, files = Path(out), _Files(Path(data))
    jobs = [_job(out, name, spec, files) for name, spec in recipe.runs.items()]
    for job in jobs:
        refuse_other_settings(job)
    refuse_other_benchmark(files.folder, recipe.benchmark, "--data")
    steps = Steps(RunFolder(out).steps, say)
    with steps.step("data", asdict(recipe.benchmark), files.all) as todo:
        if todo:
            make_benchmark(fetch_mnist(say=say), files.folder, recipe.benchmark, progress=progress)
    if recipe.grids:
        _stack_grids(recipe, out, files, say, command, threads, workers, show)
        return {}
    if list(recipe.runs) == [""]:
        (job,) = jobs
        with steps.step("train", _asked(job, files), [RunFolder(out).weights]) as todo:
            if todo:
                train_job(job, threads, command)
        _finish(job, files, steps)
        return {}
    failed = run_grid(jobs, workers, threads, command, show, train_or_distill)
    trained = [job for job in jobs if job.name not in failed]
    for job in trained:
        _finish(job, files, Steps(RunFolder(job.folder).steps, lambda line, job=job: say(f"{job.name}: {line}")))
    if trained:
        field = read_field([job.folder for job in trained])
        for table in write_leaderboard(field.rank(), field, out):
            say(f"table: {table}")
    return failed


def _stack_grids(
    recipe: Recipe,
    out: Path,
    files: "_Files",
    say: Callable[[str], None],
    command: str,
    threads: int | None,
    workers: int,
    show: Callable[[GridProgress], None],
) -> None:
    """Fill a ledger, stack it, ask for the order, audit it, and write the page: all that for each grid."""
    for name, grid in recipe.grids.items():
        folder = StackFolder(out / name)
        steps = Steps(folder.steps, say)
        asked = asdict(grid) | digests(files.train, files.val, *files.tests)
        with steps.step("ledger", asked, [folder.path / LEDGER / "ledger.json"]) as todo:
            if todo:
                where = folder.path, files.train, files.val, files.tests
                # Raises inside of the step, which is so not recorded as done.
                require_all_done(fill_ledger(grid, *where, workers, threads, command, say, show))
        make_stack(folder.path, folder, command=command, say=say)
        steps = Steps(folder.steps, say)
        written = [folder.order / "order.json", folder.order / "cycles.png"]
        with steps.step("order", digests(folder.config, folder.learners, files.tests[-1]), written) as todo:
            if todo:
                images = min(_POOL, recipe.benchmark.pairs_private)
                write_order(*order(load_predictor(folder.path), files.tests[-1], images), folder.order)
        with steps.step("audit", digests(folder.config, folder.entrants), [folder.audit]) as todo:
            if todo:
                for check in audit(folder):
                    say(f"    {check}")
        finish_stack(folder, say)


class _Files:
    """The benchmark's files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train, self.val, *self.tests = (folder / name for name in _SPLIT_FILES)
        self.labels = [folder / name for name in _LABEL_FILES]
        self.all = [self.train, self.val, *self.tests, *self.labels]


def _job(out: Path, name: str, spec: RunSpec, files: _Files) -> Job:
    teachers = tuple(out / teacher for teacher in spec.teachers)
    return Job(out / name, files.train, files.val, spec.model, spec.train, spec.options, teachers)


def _asked(job: Job, files: _Files) -> dict[str, Any]:
    asked = {"model": job.model, "options": job.options, "train": asdict(job.config)}
    return asked | digests(files.train, files.val)


def _finish(job: Job, files: _Files, steps: Steps) -> None:
    """What follows the training of a run."""
    run, evaluated = RunFolder(job.folder), [files.val, *files.tests]
    stems = [file.stem for file in evaluated]
    results = [*map(run.predictions, stems), *map(run.metrics, [*stems, "tests"])]
    with steps.step("evaluate", digests(run.weights, *evaluated, *files.labels), results) as todo:
        if todo:
            evaluate(run, evaluated)

    submission, test = run.path / "pred_private.csv", files.tests[-1]
    with steps.step("submit", digests(run.weights, test), [submission]) as todo:
        if todo:
            write_labels(Network(run).logits, test, submission)
            check_submission(submission, test)

    with steps.step("report", digests(*results, run.history), [run.report]) as todo:
        if todo:
            publish_report(run.path)
