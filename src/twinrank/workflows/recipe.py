"""Recipes, read: from YAML and from changes ``key=value`` to what is to be trained."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from twinrank.config import BenchmarkConfig, GridSpec, Mode, Recipe, RunSpec
from twinrank.core.messages import quoted, shown
from twinrank.core.values import with_values
from twinrank.core.yaml_files import parse_yaml, read_yaml
from twinrank.ensembling.fold_count import require_folds
from twinrank.errors import InputError, nearest
from twinrank.models.registry import entry
from twinrank.runs import RunFolder, board_files
from twinrank.training.checks import latent_levels, require_levels, require_targets

RECIPES = "recipes"
"""Folder of the recipes that come with twinrank."""
_SHARED_KEYS = ("model", "options", "train")
_RUN_KEYS = (*_SHARED_KEYS, "teacher")
_FOLDER_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_TAKEN = {RunFolder(Path()).steps.name, *(path.name for path in board_files(Path()))}
_SIMPLE = 4
_LONGEST_SEED, _LONGEST_CHANGE = 18, 120
"""Digits of a seed, and characters of a change as messages show it."""
_GRID_KEYS = ("mode", "models", "train", "folds", "stop_share", "seed")
_KEYS = ("runs", *_SHARED_KEYS, "benchmark", "runs_of", "grids")


def read_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by its name or from a YAML file.

    Args:
        name: Name of a recipe that comes with twinrank, or path of a YAML file.
        changes: Changes ``key=value``, for example ``train.epochs=3``; the value is YAML.

    Raises:
        InputError: The recipe does not exist, or a key or value of it is wrong.
    """
    values, where = read_yaml(name, RECIPES, "recipe")
    return _with_targets(_changed(values, changes, where), where)


def seeds_recipe(model: str, seeds: str, simple: bool = False, changes: Sequence[str] = ()) -> Recipe:
    """One network with several seeds, in runs named ``seed_SEED``.

    Args:
        model: Name of a registered network.
        seeds: Seeds, separated by commas.
        simple: Whether a quarter of the network's epochs is enough.
        changes: Changes as in :func:`read_recipe`, of ``train`` and ``options`` alone.

    Raises:
        InputError: The network does not exist, or a seed or a value is impossible.
    """
    numbers = parse_seeds(seeds, "`seeds`")
    _require_of_a_run(changes)
    for change in changes:
        if re.match(r"train(\.seed)?=", change):
            raise InputError(f"`changes` {_shown_change(change)}: the seeds are those of `seeds`; write another key")
    train = {"epochs": math.ceil(entry(model).train.epochs / _SIMPLE)} if simple else {}
    runs = {f"seed_{seed}": {"model": model, "train": {"seed": seed}} for seed in numbers}
    where = f"seeds {model}"
    return _with_targets(_changed({"runs": runs, "train": train}, changes, where), where)


def parse_seeds(text: str, where: str) -> list[int]:
    """Seeds separated by commas.

    Args:
        text: Seeds.
        where: Place of the text, for messages.

    Raises:
        InputError: One is no whole number, or comes twice.
    """
    names = [seed.strip() for seed in text.split(",")]
    known = all(name.isdecimal() and len(name) <= _LONGEST_SEED for name in names)
    if not known or len({*map(int, names)}) < len(names):
        raise InputError(
            f"{where}: {quoted(text)} is not possible; write whole numbers of at most {_LONGEST_SEED} digits, each"
            " once, for example 42,2023"
        )
    return [*map(int, names)]


def model_spec(model: str, changes: Sequence[str] = ()) -> RunSpec:
    """One network with its own values, some of them changed.

    Args:
        model: Name of a registered network.
        changes: Changes as in :func:`read_recipe`, of ``train`` and ``options`` alone.

    Raises:
        InputError: The network does not exist, or a value is impossible.
    """
    _require_of_a_run(changes)
    return _changed({"model": model}, changes, f"model {model}").runs[""]


def choose_models(runs: Mapping[str, RunSpec], models: str, where: str = "`models`") -> dict[str, RunSpec]:
    """Some runs of a recipe, as base models.

    Args:
        runs: Runs by name.
        models: Names, separated by commas; empty is all of them.
        where: Place of the names, for messages.

    Raises:
        InputError: The recipe has no such run, a name comes twice, or a run has a teacher.
    """
    if not runs or "" in runs:
        raise InputError(f"{where}: the recipe has no runs by name; base models are runs of a recipe such as cpu")
    names = [name.strip() for name in models.split(",")] if models else list(runs)
    for name in names:
        if name not in runs:
            raise InputError(f"{where}: the recipe has no run {quoted(name)}{nearest(name, runs)}")
        if names.count(name) > 1:
            raise InputError(f"{where}: '{name}' is given {names.count(name)} times; name it once")
        if runs[name].teachers:
            raise InputError(f"{where}: '{name}' has a teacher, which was fitted to out-of-fold rows; leave it out")
    return {name: runs[name] for name in names}


def _shown_change(change: str) -> str:
    """A change as messages show it."""
    return change if change.isprintable() and len(change) <= _LONGEST_CHANGE else quoted(change)


def _require_of_a_run(changes: Sequence[str]) -> None:
    for change in changes:
        if not re.match(r"(train|options)[.=]", change):
            raise InputError(f"`changes` {_shown_change(change)}: write train.KEY=value or options.KEY=value")


def _changed(values: Any, changes: Sequence[str], where: str) -> Recipe:
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"`changes` {_shown_change(change)}: write key=value, for example train.epochs=3")
        parsed = parse_yaml(value, f"`changes` {_shown_change(change)}")
        _change(values, key, parsed, change)
        # A change counts more than the value of a single run.
        if key.partition(".")[0] in ("train", "options") and isinstance(values.get("runs"), dict):
            for own in filter(None, values["runs"].values()):
                _change(own, key, parsed, change)
    return _checked(values, where)


def _change(values: Any, key: str, value: Any, change: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {}) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        raise InputError(
            f"`changes` {_shown_change(change)}: {quoted(key)} is not a key of a recipe; those are {', '.join(_KEYS)}"
        )
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
            place = f"{where}: run {quoted(name)}"
            if not isinstance(name, str) or not re.fullmatch(_FOLDER_NAME, name):
                raise InputError(
                    f"{place}: names become folders; use at most 100 letters, digits, '_', '-' and '.', as text"
                )
            if name in _TAKEN or name.endswith(".log"):
                raise InputError(f"{place}: this is a file beside the runs; choose another name")
            own = {} if own is None else own
            if not isinstance(own, dict):
                raise InputError(f"{place} is {shown(own)}; it must be a mapping")
            _refuse_unknown(own, _RUN_KEYS, place)
            options, train = (shared[key] | _mapping(own, key, place) for key in ("options", "train"))
            spec = _run_spec(own.get("model", name), options, train, place)
            runs[name] = replace(spec, teachers=_teachers(own["teacher"], runs, place) if "teacher" in own else ())
        if not runs:
            raise InputError(f"{where}: 'runs' is empty; name one training or more")
    return Recipe(runs, benchmark=benchmark)


def _with_targets(recipe: Recipe, where: str) -> Recipe:
    """The recipe, after making sure that each loss of each run has its targets."""
    for name, spec in recipe.runs.items():
        try:
            require_targets(spec.train, bool(spec.teachers))
            if spec.teachers:
                counts = {latent_levels(recipe.runs[teacher]) for teacher in spec.teachers}
                require_levels(spec, counts.pop() if len(counts) == 1 else 0, " and ".join(spec.teachers))
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
            raise InputError(f"{place}: 'teacher' is {shown(name)}, which is no run above it{known}")
        if names.count(name) > 1:
            raise InputError(f"{place}: 'teacher' has '{name}' {names.count(name)} times; name it once")
    return tuple(names)


def _grids(values: Mapping[str, Any], train: dict[str, Any], where: str) -> dict[str, GridSpec]:
    """Stacks of the runs of another recipe."""
    if not isinstance(source := values.get("runs_of"), str):
        raise InputError(f"{where}: 'runs_of' is {shown(source)}; it must name the recipe with the base models")
    found, at = read_yaml(source, RECIPES, "recipe")
    if isinstance(found, dict) and "grids" in found:
        raise InputError(f"{where}: 'runs_of' is {shown(source)}, a recipe of stacks itself; name one with 'runs'")
    runs, grids = _with_targets(_checked(found, at), at).runs, {}
    for name, own in _mapping(values, "grids", where).items():
        place = f"{where}: grid {quoted(name)}"
        if name != "." and not re.fullmatch(_FOLDER_NAME, str(name)):
            raise InputError(f"{place}: names become folders; use letters, digits, '_', '-' and '.', or '.' alone")
        if not isinstance(own, dict) or own.get("mode") not in get_args(Mode):
            raise InputError(f"{place}: must be a mapping with 'mode', {' or '.join(get_args(Mode))}")
        _refuse_unknown(own, _GRID_KEYS, place)
        models = own.get("models", list(runs))
        if not isinstance(models, list) or not all(isinstance(each, str) for each in models):
            raise InputError(f"{place}: 'models' is {shown(models)}; it must be a list of runs of recipe {source}")
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
        raise InputError(f"{where}: 'model' is {shown(model)}; it must be a name that 'twinrank models' lists")
    found = entry(model)
    found.complete(options)
    return RunSpec(model, with_values(found.train, train, f"{where}: 'train'"), options)


def _mapping(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{where}: '{key}' is {shown(value)}; it must be a mapping")
    return value


def _refuse_unknown(values: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise InputError(f"{where}: unknown key {quoted(key)}{nearest(str(key), known)}")
