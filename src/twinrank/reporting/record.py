"""The record: what is reached in which training time, by one network or several, beside what others have published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.metrics import Estimate, rate
from twinrank.evaluation.predictions import Predictions
from twinrank.files import write_json, write_text
from twinrank.reporting.contents import RunContents, distinct_runs, read_by_factor, read_run
from twinrank.reporting.formats import count, duration, interval, table_line
from twinrank.reporting.pictures import save_picture
from twinrank.reporting.plots import accuracy_by_seconds
from twinrank.reporting.standing import PUBLISHED

_STEMS = ("val", "test_public", "test_private")
_HEADINGS = ("target", "track", "network", "parameters", "training", "seeds", *_STEMS, "test_private, each")
_NOTE = (
    "Accuracy of one network is the mean over the seeds, with the 95% interval (Wilson) that a network of this accuracy"
    " has on so many rows: other rows, not other seeds. An ensemble is the mean of its networks' logits; nothing is"
    " fitted. `val` chose epochs and values, so it reads slightly too well; the tests chose nothing. Training is the time"
    " of a run's passes, for one network the mean over the seeds, for an ensemble the sum over its networks; looking at"
    " `val` after each pass is not counted, nor is a teacher that is not one of them."
)


@dataclass(frozen=True)
class Target:
    """Runs that differ in their seed alone, or an ensemble of runs.

    Attributes:
        name: of the target.
        track: "pairs-only" or "open".
        model: of the network; of several, each once.
        ensemble: the runs decide together.
        parameters: of the network; of an ensemble, of all.
        seconds: of training, mean over the seeds; of an ensemble, the sum.
        seeds: in rising order; of an ensemble, in the order of its runs.
        teachers: paths of the teachers that runs had, each once.
        accuracy: by stem, mean over the seeds; of an ensemble, its own.
        each: by stem, accuracy of each run.
        curves: for each run, seconds of training and accuracy on val after each pass.
    """

    name: str
    track: str
    model: str
    ensemble: bool
    parameters: int
    seconds: float
    seeds: tuple[int, ...]
    teachers: tuple[str, ...]
    accuracy: Mapping[str, Estimate]
    each: Mapping[str, tuple[float, ...]]
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]


def read_targets(runs: Sequence[Path]) -> list[Target]:
    """The targets of evaluated run folders named ``TARGET_seedSEED``, in the order in which they come.

    Raises:
        InputError: a folder is given twice, a name is of another form, a run has not been evaluated on every file, or
            the runs of a target differ in more than their seed.
    """
    return [_of_seeds(name, dict(sorted(seeds.items()))) for name, seeds in read_by_factor(runs).items()]


def read_ensemble(name: str, runs: Sequence[Path]) -> Target:
    """The mean of the logits of evaluated runs, two or more.

    Args:
        name: of the target.
        runs: folders with predictions of every file.

    Raises:
        InputError: there are too few, a folder is given twice, or runs have not been evaluated on the same rows.
    """
    folders = distinct_runs(runs)
    if len(folders) < 2:
        raise InputError(f"{name}: {len(folders)} runs; an ensemble is of two or more")
    members = {str(folder): read_run(folder) for folder in folders}
    accuracy: dict[str, Estimate] = {}
    for stem in _STEMS:
        said = [_predictions(folder, contents, stem) for folder, contents in members.items()]
        for folder, other in zip(members, said, strict=True):
            if other.data_sha256 != said[0].data_sha256 or not np.array_equal(other.id, said[0].id):
                raise InputError(f"{folder}: was evaluated on another {stem} than {folders[0]}; evaluate it again")
        logit = np.mean([each.logit for each in said], 0, dtype=np.float64)
        y = said[0].y
        assert y is not None
        accuracy[stem] = rate(int(((logit > 0) == (y == 1)).sum()), len(y))
    return _target(name, members, accuracy)


def _predictions(folder: str, contents: RunContents, stem: str) -> Predictions:
    said = contents.predictions.get(stem)
    if said is None or said.y is None:
        raise InputError(f"{folder}: has no predictions of labelled {stem}; run 'twinrank evaluate'")
    return said


def record_values(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The targets as JSON values; accuracy as ``accuracy``, ``low``, ``high``, ``n`` and that of ``each`` run by file."""
    return [
        {
            "target": each.name,
            "track": each.track,
            "model": each.model,
            "ensemble": each.ensemble,
            "parameters": each.parameters,
            "seconds": round(each.seconds, 1),
            "seeds": list(each.seeds),
            "teachers": list(each.teachers),
        }
        | {
            stem: {"accuracy": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}
            | {"each": list(each.each[stem])}
            for stem, mean in each.accuracy.items()
        }
        for each in targets
    ]


def record_text(targets: Sequence[Target]) -> str:
    """The targets as a Markdown table."""
    lines = [table_line(_HEADINGS), f"|{' --- |' * len(_HEADINGS)}"]
    for each in targets:
        accuracy = [
            f"{mean.value:.2%} ({interval(mean, 'accuracy')}, n = {mean.n:,})" for mean in each.accuracy.values()
        ]
        apart = ", ".join(f"{value:.2%}" for value in each.each["test_private"])
        model = f"mean of {len(each.seeds)} `{each.model}`" if each.ensemble else f"`{each.model}`"
        cells = (each.name, each.track, model, count(each.parameters), duration(each.seconds))
        lines.append(table_line([*cells, ", ".join(map(str, each.seeds)), *accuracy, apart]))
    taught = [f"Taught: {each.name}, by {', '.join(each.teachers)}." for each in targets if each.teachers]
    return "\n".join([*lines, "", _NOTE, *taught])


def write_record(targets: Sequence[Target], out: Path) -> list[Path]:
    """Write ``record.json``, ``record.md`` and ``record.png`` into a folder.

    Returns:
        The paths written.

    Raises:
        InputError: a file cannot be written.
    """
    data, markdown, drawn = (Path(out) / f"record.{suffix}" for suffix in ("json", "md", "png"))
    write_json(data, record_values(targets))
    write_text(markdown, record_text(targets) + "\n")
    ours = {each.name: (each.seconds, each.accuracy["test_private"]) for each in targets}
    curves = {each.name: each.curves[0] for each in targets if not each.ensemble}
    others = {each.system: (each.seconds, each.accuracy) for each in PUBLISHED if each.seconds}
    return [data, markdown, save_picture(accuracy_by_seconds(ours, curves, others), drawn)]


def _of_seeds(name: str, seeds: dict[int, RunContents]) -> Target:
    alike = {_but_seed(contents) for contents in seeds.values()}
    if len(alike) > 1:
        raise InputError(f"{name}: its runs differ in more than their seed; give each kind a name of its own")
    return _target(name, {f"{name}_seed{seed}": contents for seed, contents in seeds.items()})


def _target(name: str, runs: Mapping[str, RunContents], together: Mapping[str, Estimate] | None = None) -> Target:
    """Of runs by name; accuracy is the mean over them, if they do not decide together."""
    each: dict[str, tuple[float, ...]] = {}
    accuracy: dict[str, Estimate] = {}
    for stem in _STEMS:
        for run, contents in runs.items():
            if stem not in contents.records:
                raise InputError(f"{run}: has not been evaluated on {stem}; run 'twinrank evaluate'")
        values = [contents.records[stem].metrics["accuracy"] for contents in runs.values()]
        each[stem] = tuple(value.value for value in values)
        accuracy[stem] = rate(float(np.mean(each[stem])) * values[0].n, values[0].n)
    configs, curves = [contents.config for contents in runs.values()], tuple(map(_curve, runs.values()))
    total, parameters = (sum(seconds[-1] for seconds, _ in curves), sum(config["parameters"] for config in configs))
    share = 1 if together else len(configs)
    return Target(
        name=name,
        track="open" if any(config["track"] == "open" for config in configs) else configs[0]["track"],
        model=" and ".join(dict.fromkeys(config["model"]["name"] for config in configs)),
        ensemble=together is not None,
        parameters=parameters // share,
        seconds=float(total / share),
        seeds=tuple(config["train"]["seed"] for config in configs),
        teachers=tuple(dict.fromkeys(config["teacher"]["path"] for config in configs if "teacher" in config)),
        accuracy=together or accuracy,
        each=each,
        curves=curves,
    )


def _but_seed(contents: RunContents) -> str:
    config = contents.config
    return repr((config["model"], config["track"], config["train"] | {"seed": None}, config["data"]))


def _curve(contents: RunContents) -> tuple[np.ndarray, np.ndarray]:
    seconds = np.cumsum([epoch["seconds"] for epoch in contents.history])
    return seconds, np.array([epoch["val"]["accuracy"] for epoch in contents.history])
