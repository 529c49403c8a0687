"""A recipe from nothing to a report: steps, each done once."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from twinrank.config import BenchmarkConfig, Recipe, with_values
from twinrank.data.benchmark import Progress, make_benchmark, meta, read_meta
from twinrank.data.mnist import fetch_mnist
from twinrank.data.submission import check_submission
from twinrank.errors import InputError
from twinrank.evaluation.evaluate import evaluate, predict_labels
from twinrank.files import read_json, sha256, write_json
from twinrank.models.registry import create_model, entry
from twinrank.reporting.publish import publish_report
from twinrank.runs import RunFolder
from twinrank.training import run as training
from twinrank.training.loop import peak_memory

_KEYS = ("model", "options", "train", "benchmark")
_SPLIT_FILES = ("train.npz", "val.npz", "test_public.npz", "test_private.npz")
_LABEL_FILES = ("test_public_labels.csv", "test_private_labels.csv")


def recipe_names() -> list[str]:
    """The recipes that come with twinrank."""
    return sorted(Path(file.name).stem for file in _folder().iterdir() if file.name.endswith(".yaml"))


def read_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by its name or from a YAML file.

    Args:
        name: one of :func:`recipe_names`, or the path of a YAML file.
        changes: ``key=value`` each, for example ``train.epochs=3``; the value is YAML.

    Raises:
        InputError: the recipe does not exist, or a key or value of it is wrong.
    """
    if name in recipe_names():
        text, where = (_folder() / f"{name}.yaml").read_text(encoding="utf-8"), f"recipe {name}"
    elif Path(name).is_file():
        text, where = Path(name).read_text(encoding="utf-8", errors="replace"), name
    else:
        raise InputError(f"recipe '{name}' does not exist; choose {', '.join(recipe_names())}, or give a YAML file")
    values = _parsed(text, where)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"--set {change}: write key=value, for example train.epochs=3")
        _change(values, key, _parsed(value, f"--set {change}"), change)
    return _checked(values, where)


def run_recipe(
    recipe: Recipe,
    out: Path,
    data: Path,
    say: Callable[[str], None],
    progress: Progress = lambda split, done, pairs: None,
    command: str = "",
    threads: int | None = None,
) -> RunFolder:
    """Do every step of a recipe that is not done yet: fetch, make, train, evaluate, submit, report.

    A step is done when its record in ``steps.json`` has the same inputs and its files are as it left them. A training
    that was stopped goes on where it was.

    Args:
        recipe: what to do.
        out: run folder.
        data: folder of the benchmark's files.
        say: told what happens, a line each.
        progress: of the benchmark's making.
        command: recorded.
        threads: of the CPU; all cores by default.

    Raises:
        InputError: something that was given is wrong, or a step failed.
        Interrupted: stopped by Ctrl-C.
    """
    run, data = RunFolder(Path(out)), Path(data)
    files = [data / name for name in _SPLIT_FILES]
    train_file, val_file, *tests = files
    steps = _Steps(run.steps, say)
    _refuse_other_benchmark(data, recipe.benchmark)

    labels = [data / name for name in _LABEL_FILES]
    with steps.step("data", asdict(recipe.benchmark), [*files, *labels]) as todo:
        if todo:
            make_benchmark(fetch_mnist(say=say), data, recipe.benchmark, progress=progress)

    wanted = {"model": recipe.model, "options": recipe.options, "train": asdict(recipe.train)}
    with steps.step("train", wanted | _digests(train_file, val_file), [run.weights]) as todo:
        if todo and run.config.is_file():
            _refuse_other_recipe(run, recipe)
            training.resume(run.path)
        elif todo:
            training.train(recipe.model, train_file, val_file, run.path, recipe.train, recipe.options, threads, command)

    stems = [file.stem for file in (val_file, *tests)]
    results = [*map(run.predictions, stems), *map(run.metrics, [*stems, "tests"])]
    with steps.step("evaluate", _digests(run.weights, val_file, *tests, *labels), results) as todo:
        if todo:
            evaluate(run, [val_file, *tests])

    submission = run.path / "pred_private.csv"
    with steps.step("submit", _digests(run.weights, tests[-1]), [submission]) as todo:
        if todo:
            predict_labels(run, tests[-1], submission)
            check_submission(submission, tests[-1])

    with steps.step("report", _digests(*results, run.history), [run.report]) as todo:
        if todo:
            publish_report(run.path)
    return run


class _Steps:
    """What has been done, kept in ``steps.json``."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._done: list[dict[str, Any]] = read_json(path) if path.is_file() else []

    @contextmanager
    def step(self, name: str, inputs: Mapping[str, Any], outputs: Sequence[Path]) -> Iterator[bool]:
        """Give whether the step is still to do; afterwards record it with the digests of its outputs."""
        before = next((step for step in self._done if step["step"] == name), None)
        unchanged = before and before["inputs"] == inputs and all(map(Path.is_file, outputs))
        if before and unchanged and before["outputs"] == _digests(*outputs):
            self._say(f"{name}: done before ({before['seconds']:,.1f} s)")
            yield False
            return
        self._say(f"{name} ...")
        started = time.perf_counter()
        yield True
        seconds = time.perf_counter() - started
        self._done = [step for step in self._done if step["step"] != name]
        self._done.append(
            {
                "step": name,
                "seconds": round(seconds, 1),
                "peak_memory_mb": round(peak_memory() / 1e6),
                "inputs": dict(inputs),
                "outputs": _digests(*outputs),
            }
        )
        write_json(self._path, self._done)
        self._say(f"{name}: {seconds:,.1f} s")


def _digests(*files: Path) -> dict[str, str]:
    return {str(file): sha256(file) for file in files}


def _folder() -> Traversable:
    return resources.files("twinrank") / "recipes"


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error


def _change(values: Any, key: str, value: Any, change: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {}) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        raise InputError(f"--set {change}: '{key}' is not a key of a recipe; those are {', '.join(_KEYS)}")
    values[last] = value


def _checked(values: Any, where: str) -> Recipe:
    if not isinstance(values, dict) or not isinstance(values.get("model"), str):
        raise InputError(f"{where}: a recipe is a mapping with the key 'model'; 'twinrank models' lists the networks")
    for key, value in values.items():
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key '{key}'; it is one of {', '.join(_KEYS)}")
        if key != "model" and not isinstance(value, dict):
            raise InputError(f"{where}: '{key}' is {value!r}; it must be a mapping")
    create_model(values["model"], options=values.get("options"))
    return Recipe(
        model=values["model"],
        train=with_values(entry(values["model"]).train, values.get("train", {}), f"{where}: 'train'"),
        options=values.get("options", {}),
        benchmark=with_values(BenchmarkConfig(), values.get("benchmark", {}), f"{where}: 'benchmark'"),
    )


def _refuse_other_benchmark(data: Path, config: BenchmarkConfig) -> None:
    found = read_meta(data)
    if found is not None and found != meta(config):
        raise InputError(f"{data}: holds another benchmark ({found}); choose another folder with --data")


def _refuse_other_recipe(run: RunFolder, recipe: Recipe) -> None:
    recorded = run.read_config()
    options = entry(recipe.model).options | recipe.options
    if recorded["model"] != {"name": recipe.model, "options": options} or recorded["train"] != asdict(recipe.train):
        raise InputError(f"{run.path}: holds a run with other settings; choose another folder with --out")
