"""A recipe from nothing to a report: steps, each done once."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from twinrank.auditing import audit
from twinrank.config import BenchmarkConfig, GridSpec, Mode, Recipe, RunSpec, with_values
from twinrank.data.benchmark import Progress, make_benchmark, refuse_other_benchmark
from twinrank.data.mnist import fetch_mnist
from twinrank.data.submission import check_submission
from twinrank.distilling import train_or_distill
from twinrank.ensembling.folder import StackFolder
from twinrank.ensembling.stack import require_folds
from twinrank.errors import InputError, nearest
from twinrank.evaluation.evaluate import Network, evaluate, order
from twinrank.evaluation.label import write_labels
from twinrank.models.registry import entry
from twinrank.reporting.leaderboard import board_files, read_field, write_leaderboard
from twinrank.reporting.ordering import write_order
from twinrank.reporting.publish import publish_report
from twinrank.runs import RunFolder
from twinrank.stacking import LEDGER, choose_models, fill_ledger
from twinrank.stacks import finish_stack, make_stack, open_judge
from twinrank.steps import Steps, digests
from twinrank.training.grid import Job, refuse_other_settings, require_all_done, require_workers, run_grid, train_job
from twinrank.training.grid import Progress as GridProgress
from twinrank.training.run import require_told
from twinrank.yaml_files import parse_yaml, read_yaml

RECIPES = "recipes"
"""Folder of those that come with twinrank."""
_SHARED_KEYS = ("model", "options", "train")
_RUN_KEYS = (*_SHARED_KEYS, "teacher")
_FOLDER_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_TAKEN = {RunFolder(Path()).steps.name, *(path.name for path in board_files(Path()))}
_SIMPLE = 4
_POOL = 200
"""Images whose order is asked for."""
_GRID_KEYS = ("mode", "models", "train", "folds", "stop_share", "seed")
_KEYS = ("runs", *_SHARED_KEYS, "benchmark", "runs_of", "grids")
_SPLIT_FILES = ("train.npz", "val.npz", "test_public.npz", "test_private.npz")
_LABEL_FILES = ("test_public_labels.csv", "test_private_labels.csv")


def read_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by its name or from a YAML file.

    Args:
        name: of a recipe that comes with twinrank, or the path of a YAML file.
        changes: ``key=value`` each, for example ``train.epochs=3``; the value is YAML.

    Raises:
        InputError: the recipe does not exist, or a key or value of it is wrong.
    """
    values, where = read_yaml(name, RECIPES, "recipe")
    return _told(_changed(values, changes, where), where)


def seeds_recipe(model: str, seeds: str, simple: bool = False, changes: Sequence[str] = ()) -> Recipe:
    """One network with several seeds, in runs named ``seed_SEED``.

    Args:
        model: as registered.
        seeds: separated by commas.
        simple: a quarter of the network's passes.
        changes: as in :func:`read_recipe`, of ``train`` and ``options`` alone.

    Raises:
        InputError: the network does not exist, or a seed or a value is impossible.
    """
    numbers = parse_seeds(seeds, "--seeds")
    _require_of_a_run(changes)
    for change in changes:
        if re.match(r"train(\.seed)?=", change):
            raise InputError(f"--set {change}: the seeds are those of --seeds; write train.KEY=value of another key")
    train = {"epochs": math.ceil(entry(model).train.epochs / _SIMPLE)} if simple else {}
    runs = {f"seed_{seed}": {"model": model, "train": {"seed": seed}} for seed in numbers}
    where = f"seeds {model}"
    return _told(_changed({"runs": runs, "train": train}, changes, where), where)


def parse_seeds(text: str, flag: str) -> list[int]:
    """Seeds separated by commas.

    Raises:
        InputError: one is no whole number, or comes twice.
    """
    names = [seed.strip() for seed in text.split(",")]
    if not all(map(str.isdecimal, names)) or len({*map(int, names)}) < len(names):
        raise InputError(f"{flag}: '{text}' is not possible; write whole numbers, each once, for example 42,2023")
    return [*map(int, names)]


def model_spec(model: str, changes: Sequence[str] = ()) -> RunSpec:
    """One network with its own values, but for some.

    Args:
        model: as registered.
        changes: as in :func:`read_recipe`, of ``train`` and ``options`` alone.

    Raises:
        InputError: the network does not exist, or a value is impossible.
    """
    _require_of_a_run(changes)
    return _changed({"model": model}, changes, f"model {model}").runs[""]


def _require_of_a_run(changes: Sequence[str]) -> None:
    for change in changes:
        if not re.match(r"(train|options)[.=]", change):
            raise InputError(f"--set {change}: write train.KEY=value or options.KEY=value")


def _changed(values: Any, changes: Sequence[str], where: str) -> Recipe:
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"--set {change}: write key=value, for example train.epochs=3")
        parsed = parse_yaml(value, f"--set {change}")
        _change(values, key, parsed, change)
        # What is said on the command line goes before what a single run has.
        if key.partition(".")[0] in ("train", "options") and isinstance(values.get("runs"), dict):
            for own in filter(None, values["runs"].values()):
                _change(own, key, parsed, change)
    return _checked(values, where)


def run_recipe(
    recipe: Recipe,
    out: Path,
    data: Path,
    say: Callable[[str], None],
    progress: Progress = lambda split, done, pairs: None,
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
        for table in write_leaderboard(field.rank(), out, field.benchmark, field.chosen):
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
                write_order(*order(open_judge(folder.path), files.tests[-1], images), folder.order)
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


def _finish(job: Job, files: _Files, steps: "Steps") -> None:
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


def _change(values: Any, key: str, value: Any, change: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {}) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        raise InputError(f"--set {change}: '{key}' is not a key of a recipe; those are {', '.join(_KEYS)}")
    values[last] = value


def _checked(values: Any, where: str) -> Recipe:
    if isinstance(values, dict):
        _refuse_unknown(values, _KEYS, where)
    if not isinstance(values, dict) or sum(key in values for key in ("model", "runs", "grids")) != 1:
        raise InputError(
            f"{where}: a recipe is a mapping with one of the keys 'model', 'runs' and 'grids';"
            " 'twinrank models' lists the networks"
        )
    unused = "options" if "grids" in values else "runs_of"
    if unused in values:
        raise InputError(
            f"{where}: '{unused}' has no place in a recipe {'with' if 'grids' in values else 'without'} 'grids'; remove"
            " it"
        )
    shared = {key: _mapping(values, key, where) for key in ("train", "options", "benchmark")}
    benchmark = with_values(BenchmarkConfig(), shared["benchmark"], f"{where}: 'benchmark'")
    if "grids" in values:
        return Recipe({}, _grids(values, shared["train"], where), benchmark)
    if "model" in values:
        runs = {"": _run_spec(values["model"], shared["options"], shared["train"], where)}
    else:
        runs = {}
        for name, own in _mapping(values, "runs", where).items():
            place = f"{where}: run '{name}'"
            if not isinstance(name, str) or not re.fullmatch(_FOLDER_NAME, name):
                raise InputError(f"{place}: names become folders; use letters, digits, '_', '-' and '.', as text")
            if name in _TAKEN or name.endswith(".log"):
                raise InputError(f"{place}: this is a file beside the runs; choose another name")
            own = {} if own is None else own
            if not isinstance(own, dict):
                raise InputError(f"{place} is {own!r}; it must be a mapping")
            _refuse_unknown(own, _RUN_KEYS, place)
            options, train = (shared[key] | _mapping(own, key, place) for key in ("options", "train"))
            spec = _run_spec(own.get("model", name), options, train, place)
            runs[name] = replace(spec, teachers=_teachers(own["teacher"], runs, place) if "teacher" in own else ())
        if not runs:
            raise InputError(f"{where}: 'runs' is empty; name one training or more")
    return Recipe(runs, benchmark=benchmark)


def _told(recipe: Recipe, where: str) -> Recipe:
    """The recipe, after making sure that each run is told what it is to learn."""
    for name, spec in recipe.runs.items():
        try:
            require_told(spec.train, bool(spec.teachers))
        except InputError as error:
            raise InputError(f"{where}: run '{name}': {error}" if name else f"{where}: {error}") from error
    return recipe


def _teachers(value: Any, above: Mapping[str, RunSpec], place: str) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names:
        raise InputError(f"{place}: 'teacher' is empty; name a run above it, or some, each once, in a list")
    for name in names:
        if name not in list(above):
            known = nearest(str(name), above) if above else "; there is none"
            raise InputError(f"{place}: 'teacher' is {name!r}, which is no run above it{known}")
        if names.count(name) > 1:
            raise InputError(f"{place}: 'teacher' has '{name}' {names.count(name)} times; name it once")
    return tuple(names)


def _grids(values: Mapping[str, Any], train: dict[str, Any], where: str) -> dict[str, GridSpec]:
    """Stacks of the runs of another recipe."""
    if not isinstance(source := values.get("runs_of"), str):
        raise InputError(f"{where}: 'runs_of' is {source!r}; it must name the recipe that the base models are from")
    found, at = read_yaml(source, RECIPES, "recipe")
    if isinstance(found, dict) and "grids" in found:
        raise InputError(f"{where}: 'runs_of' is {source!r}, a recipe of stacks itself; name one with 'runs'")
    runs, grids = _told(_checked(found, at), at).runs, {}
    for name, own in _mapping(values, "grids", where).items():
        place = f"{where}: grid '{name}'"
        if name != "." and not re.fullmatch(_FOLDER_NAME, str(name)):
            raise InputError(f"{place}: names become folders; use letters, digits, '_', '-' and '.', or '.' alone")
        if not isinstance(own, dict) or own.get("mode") not in get_args(Mode):
            raise InputError(f"{place}: must be a mapping with 'mode', {' or '.join(get_args(Mode))}")
        _refuse_unknown(own, _GRID_KEYS, place)
        models = own.get("models", list(runs))
        if not isinstance(models, list) or not all(isinstance(each, str) for each in models):
            raise InputError(f"{place}: 'models' is {models!r}; it must be a list of runs of recipe {source}")
        changes = _mapping(own, "train", place) | train
        chosen = {
            each: replace(spec, train=with_values(spec.train, changes, f"{place}: 'train'"))
            for each, spec in choose_models(runs, ",".join(models), f"{place}: 'models'").items()
        }
        numbers = {key: own[key] for key in ("folds", "stop_share", "seed") if key in own}
        grids[str(name)] = with_values(GridSpec(own["mode"], chosen), numbers, place)
        require_folds(grids[str(name)].folds, f"{place}: 'folds'")
    return grids


def _run_spec(model: Any, options: dict[str, Any], train: dict[str, Any], where: str) -> RunSpec:
    if not isinstance(model, str):
        raise InputError(f"{where}: 'model' is {model!r}; it must be a name that 'twinrank models' lists")
    found = entry(model)
    found.complete(options)
    return RunSpec(model, with_values(found.train, train, f"{where}: 'train'"), options)


def _mapping(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{where}: '{key}' is {value!r}; it must be a mapping")
    return value


def _refuse_unknown(values: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{nearest(str(key), known)}")
