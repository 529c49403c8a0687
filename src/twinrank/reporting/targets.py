"""The record: accuracy by training time, of networks and ensembles, beside published results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.config import OPEN, BenchmarkConfig, Track
from twinrank.core.files import write_json, write_text
from twinrank.core.messages import counted
from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate, mean_over_runs
from twinrank.evaluation.metrics import share_right
from twinrank.reporting.canvas import save_picture
from twinrank.reporting.contents import RunContents, read_by_factor, read_run, trainings
from twinrank.reporting.files import CommonFiles, common_files
from twinrank.reporting.formats import count, distinct, duration, interval, markdown, plain, table_line
from twinrank.reporting.plots import accuracy_by_seconds
from twinrank.reporting.published import PUBLISHED
from twinrank.runs import distinct_runs, teacher_identities

_HEADINGS = ("target", "track", "network", "parameters", "training", "seeds")
_PROPER = BenchmarkConfig()
_SIZES = {
    "val": _PROPER.pairs_val,
    "test_public": _PROPER.pairs_public,
    "test_private": _PROPER.pairs_private,
}
"""Rows of the benchmark's files, on which others have published results."""


@dataclass(frozen=True)
class Target:
    """Runs that differ in their seed alone, or an ensemble of runs.

    Attributes:
        name: Name of the target.
        track: Track of the target.
        model: Name of the network; of several, each once.
        ensemble: Whether the runs decide together.
        parameters: Parameters of the network; of an ensemble, of all networks.
        seconds: Seconds of training, teachers included: the mean over the timed seeds; for an ensemble the sum, each
            training once.
        threads: Most threads of the CPU that a run had; None where one was trained on another device.
        seeds: Seeds in rising order; of an ensemble, in the order of its runs.
        timed: Seeds whose seconds count: those with the most threads; of an ensemble, all.
        uncounted: Paths of teachers that are not here with the weights that taught. Their training is not in the
            seconds.
        files: Digests of the evaluated files by name: val first, then the tests.
        accuracy: Accuracy by file: the mean over the seeds; of an ensemble, its own.
        each: Accuracy of each run, by file.
        curves: For each timed run, seconds of training after its teachers', and accuracy on val, at the end of each
            epoch.
    """

    name: str
    track: Track
    model: str
    ensemble: bool
    parameters: int
    seconds: float
    threads: int | None
    seeds: tuple[int, ...]
    timed: tuple[int, ...]
    uncounted: tuple[str, ...]
    files: Mapping[str, str]
    accuracy: Mapping[str, Estimate]
    each: Mapping[str, tuple[float, ...]]
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def decisive(self) -> str:
        """Name of the file that targets are compared on: the last test, or val where there is no test."""
        return list(self.files)[-1]


def read_targets(runs: Sequence[Path]) -> list[Target]:
    """The targets of evaluated run folders named ``TARGET_seedSEED``, in the order of ``runs``.

    Raises:
        InputError: A folder is given twice, a name is of another form, or a run was not evaluated on a file of another.
            Or the runs of a target differ in more than their seed.
    """
    found = read_by_factor(runs)
    for name, seeds in found.items():
        first, *others = seeds.values()
        if any(_but_seed(contents) != _but_seed(first) for contents in others):
            raise InputError(f"{name}: its runs differ in more than their seed; give each kind a name of its own")
    if not found:
        return []
    common = common_files([contents.evaluated for seeds in found.values() for contents in seeds.values()])
    return [_target(name, [seeds[seed] for seed in sorted(seeds)], common) for name, seeds in found.items()]


def read_ensemble(name: str, runs: Sequence[Path]) -> Target:
    """The mean of the logits of evaluated runs, two or more.

    Args:
        name: Name of the target.
        runs: Run folders with predictions on every file.

    Raises:
        InputError: There are too few runs, a folder is given twice, or the runs were not evaluated on the same rows.
    """
    folders = distinct_runs(runs)
    if len(folders) < 2:
        raise InputError(f"`mean`: {name} is of one run; name two or more, separated by commas")
    members = [read_run(folder) for folder in folders]
    common = common_files([contents.predicted for contents in members])
    accuracy: dict[str, Estimate] = {}
    for digest, file in common.names.items():
        parts = [contents.predictions[contents.predicted.require(digest, file).key] for contents in members]
        for folder, part in zip(folders, parts, strict=True):
            if not np.array_equal(part.id, parts[0].id):
                raise InputError(f"{folder}: has other rows of {file} than {folders[0]}; evaluate it again")
        one, logit = parts[0], np.stack([part.logit for part in parts]).mean(0, dtype=np.float64)
        assert one.y is not None
        accuracy[file] = share_right(one.y, logit, images=one.images, tie=one.tie, weight=one.weight)
    return _target(name, members, common, accuracy)


def record_values(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The targets as JSON values: by file ``accuracy``, ``low``, ``high``, ``n``, and that of ``each`` run."""
    return [
        {
            "target": target.name,
            "track": target.track,
            "model": target.model,
            "ensemble": target.ensemble,
            "parameters": target.parameters,
            "seconds": round(target.seconds, 1),
            "threads": target.threads,
            "seeds": list(target.seeds),
            "timed": list(target.timed),
            "uncounted": list(target.uncounted),
        }
        | {
            file: {"accuracy": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}
            | {"each": list(target.each[file])}
            for file, mean in target.accuracy.items()
        }
        for target in targets
    ]


def record_text(targets: Sequence[Target]) -> str:
    """The targets as a Markdown table.

    Raises:
        InputError: The targets were evaluated on different files.
    """
    _require_one_set_of_files(targets)
    files = [markdown(file) for file in targets[0].files]
    decisive = targets[0].decisive
    headings = [*_HEADINGS, *files, f"{markdown(decisive)}, each"]
    lines = [table_line(headings), f"|{' --- |' * len(headings)}"]
    for target in targets:
        accuracy = [
            f"{mean.value:.2%} ({interval(mean, 'accuracy')}, n = {mean.n:,})" for mean in target.accuracy.values()
        ]
        apart = ", ".join(f"{value:.2%}" for value in target.each[decisive])
        model = f"`{plain(target.model)}`"
        cells = [
            markdown(target.name),
            target.track,
            f"mean of {len(target.seeds)} {model}" if target.ensemble else model,
        ]
        cells += [count(target.parameters), _training(target), ", ".join(map(str, target.seeds))]
        lines.append(table_line([*cells, *accuracy, apart]))
    notes = [
        f"The training of {markdown(target.name)} is that of seed {', '.join(map(str, target.timed))}. The other seeds"
        " had fewer threads."
        for target in targets
        if target.timed != target.seeds
    ]
    notes += [
        f"Not counted for {markdown(target.name)}: the training of its teacher"
        f" {', '.join(map(markdown, target.uncounted))}, which is not here with the weights that taught."
        for target in targets
        if target.uncounted
    ]
    resampled = any(mean.images is not None for target in targets for mean in target.accuracy.values())
    methods, over = ("Wilson, or images resampled", "rows or images") if resampled else ("Wilson", "rows")
    tests = " The tests chose nothing." if len(files) > 1 else ""
    note = (
        f"The accuracy of one network is the mean over the seeds. Its 95% interval ({methods}) is that of a network of"
        f" this accuracy on as many rows: it is about other {over}, not about other seeds. An ensemble is the mean of"
        f" its networks' logits; nothing is fitted. {files[0]} chose epochs and values, so it reads slightly too well."
        f"{tests} Training is the time of a run's epochs and of its teachers' epochs. For one network it is the mean"
        f" over the seeds; for an ensemble it is the sum, each training once. The evaluation on {files[0]} after each"
        " epoch is not counted."
    )
    return "\n".join([*lines, "", note, *notes])


def _training(target: Target) -> str:
    """The time of training, and on what."""
    device = "a GPU" if target.threads is None else counted(target.threads, "thread", "threads")
    return f"{duration(target.seconds)} on {device}"


def write_record(targets: Sequence[Target], out: Path) -> list[Path]:
    """Write ``record.json``, ``record.md`` and ``record.png`` into a folder.

    Returns:
        Paths of the files.

    Raises:
        InputError: The targets were evaluated on different files, or a file cannot be written.
    """
    text = record_text(targets)
    data, markdown_file, drawn = (Path(out) / f"record.{suffix}" for suffix in ("json", "md", "png"))
    write_json(data, record_values(targets))
    write_text(markdown_file, text + "\n")
    decisive, names = targets[0].decisive, distinct([target.name for target in targets])
    ours = {name: (each.seconds, each.accuracy[decisive]) for name, each in zip(names, targets, strict=True)}
    curves = {name: each.curves[0] for name, each in zip(names, targets, strict=True) if not each.ensemble}
    others = {}
    if {file: mean.n for file, mean in targets[0].accuracy.items()} == _SIZES:
        others = {each.shown: (each.seconds, each.accuracy) for each in PUBLISHED if each.seconds}
    return [data, markdown_file, save_picture(accuracy_by_seconds(ours, curves, others, decisive), drawn)]


def _require_one_set_of_files(targets: Sequence[Target]) -> None:
    """Refuse targets on different files, since each column of the table is about one file."""
    first = targets[0]
    for target in targets[1:]:
        if other := set(first.files.items()) ^ set(target.files.items()):
            raise InputError(
                f"{target.name}: was evaluated on other files than {first.name}, for example {min(other)[0]};"
                " evaluate all runs on the same files"
            )


def _target(
    name: str, runs: Sequence[RunContents], common: CommonFiles, together: Mapping[str, Estimate] | None = None
) -> Target:
    """A target of some runs. Without ``together``, the accuracy of an ensemble, it is the mean over the runs."""
    by_weights: dict[str, Path] = {}
    for contents in runs:
        weights = contents.weights_sha256 or str(contents.path)
        if (other := by_weights.setdefault(weights, contents.path)) != contents.path:
            raise InputError(f"{contents.path}: has the weights of {other}; name each network of {name} once")
    configs, trained = [contents.config for contents in runs], [trainings(contents) for contents in runs]
    spent = [sum(seconds.values()) for seconds, _ in trained]
    parameters = [config["parameters"] for config in configs]
    threads, timed = [config["threads"] for config in configs], range(len(configs))
    if together is None:
        # Times on fewer threads are no repetitions of one measurement.
        timed = [place for place in timed if threads[place] == max(threads)]
        total, size = float(np.mean([spent[place] for place in timed])), parameters[0]
    else:
        once = {history: took for seconds, _ in trained for history, took in seconds.items()}
        total, size = sum(once.values()), sum(parameters)
    estimates = {
        file: [contents.metrics[contents.evaluated.require(digest, file).key].metrics["accuracy"] for contents in runs]
        for digest, file in common.names.items()
    }
    each = {file: tuple(estimate.value for estimate in estimates[file]) for file in estimates}
    mean = {file: mean_over_runs(found) for file, found in estimates.items()}
    return Target(
        name=name,
        track=OPEN if any(config["track"] == OPEN for config in configs) else configs[0]["track"],
        model=" and ".join(dict.fromkeys(config["model"]["name"] for config in configs)),
        ensemble=together is not None,
        parameters=size,
        seconds=total,
        threads=max(threads) if all(config.get("device", "cpu") == "cpu" for config in configs) else None,
        seeds=tuple(config["train"]["seed"] for config in configs),
        timed=tuple(configs[place]["train"]["seed"] for place in timed),
        uncounted=tuple(dict.fromkeys(path for _, missing in trained for path in missing)),
        files={file: digest for digest, file in common.names.items()},
        accuracy=mean if together is None else together,
        each=each,
        curves=tuple(_curve(runs[place], spent[place]) for place in timed),
    )


def _but_seed(contents: RunContents) -> tuple[Any, ...]:
    config = contents.config
    # Teachers may differ in their seed, too, but not in their number and kind.
    teachers = sorted(str(each.get("model")) for each in teacher_identities(config))
    return config["model"], config["track"], config["train"] | {"seed": None}, config["data"], teachers


def _curve(contents: RunContents, until: float) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and accuracy on val after each epoch, the last of which ends at ``until``."""
    seconds = np.cumsum([epoch["seconds"] for epoch in contents.history])
    return until - seconds[-1] + seconds, np.array([epoch["val"]["accuracy"] for epoch in contents.history])
