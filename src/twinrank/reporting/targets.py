"""The record: what is reached in which training time, by one network or several, beside what others have published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.config import OPEN, Track
from twinrank.core.files import write_json, write_text
from twinrank.errors import InputError
from twinrank.evaluation.metrics import Estimate, rate, share_right
from twinrank.reporting.canvas import save_picture
from twinrank.reporting.contents import Record, RunContents, read_by_factor, read_run, trainings
from twinrank.reporting.formats import count, duration, interval, table_line
from twinrank.reporting.plots import accuracy_by_seconds
from twinrank.reporting.published import PUBLISHED
from twinrank.runs import distinct_runs, teacher_identities

_STEMS = ("val", "test_public", "test_private")
_HEADINGS = ("target", "track", "network", "parameters", "training", "seeds", *_STEMS, "test_private, each")
_NOTE = (
    "Accuracy of one network is the mean over the seeds, with the 95% interval (Wilson) that a network of this accuracy"
    " has on so many rows: other rows, not other seeds. An ensemble is the mean of its networks' logits; nothing is"
    " fitted. `val` chose epochs and values, so it reads slightly too well; the tests chose nothing. Training is the"
    " time of a run's passes and of those of its teacher, for one network the mean over the seeds, for an ensemble the"
    " sum, each training once; looking at `val` after each pass is not counted."
)


@dataclass(frozen=True)
class Target:
    """Runs that differ in their seed alone, or an ensemble of runs.

    Attributes:
        name: of the target.
        track: Track of the target.
        model: of the network; of several, each once.
        ensemble: the runs decide together.
        parameters: of the network; of an ensemble, of all.
        seconds: of training with that of teachers, mean over the seeds; of an ensemble, the sum, each training once.
        seeds: in rising order; of an ensemble, in the order of its runs.
        uncounted: paths of teachers that are not here with the weights that taught, so that their training is not in
            the seconds.
        accuracy: by stem, mean over the seeds; of an ensemble, its own.
        each: by stem, accuracy of each run.
        curves: for each run, seconds of training, its teacher's before it, and accuracy on val after each pass.
    """

    name: str
    track: Track
    model: str
    ensemble: bool
    parameters: int
    seconds: float
    seeds: tuple[int, ...]
    uncounted: tuple[str, ...]
    accuracy: Mapping[str, Estimate]
    each: Mapping[str, tuple[float, ...]]
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]


def read_targets(runs: Sequence[Path]) -> list[Target]:
    """The targets of evaluated run folders named ``TARGET_seedSEED``, in the order in which they come.

    Raises:
        InputError: a folder is given twice, a name is of another form, a run has not been evaluated on every file, or
            the runs of a target differ in more than their seed, or in what they were evaluated on.
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
        raise InputError(f"--mean: {name} is of one run; name two or more, separated by commas")
    members = [read_run(folder) for folder in folders]
    accuracy: dict[str, Estimate] = {}
    for stem in _STEMS:
        said = [contents.labelled(stem) for contents in members]
        for folder, other in zip(folders, said, strict=True):
            if other.data_sha256 != said[0].data_sha256 or not np.array_equal(other.id, said[0].id):
                raise InputError(f"{folder}: was evaluated on another {stem} than {folders[0]}; evaluate it again")
        y = said[0].y
        assert y is not None
        accuracy[stem] = share_right(y, np.stack([each.logit for each in said]).mean(0, dtype=np.float64))
    return _target(name, members, accuracy)


def record_values(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The targets as JSON values; by file ``accuracy``, ``low``, ``high``, ``n``, and that of ``each`` run."""
    return [
        {
            "target": each.name,
            "track": each.track,
            "model": each.model,
            "ensemble": each.ensemble,
            "parameters": each.parameters,
            "seconds": round(each.seconds, 1),
            "seeds": list(each.seeds),
            "uncounted": list(each.uncounted),
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
    uncounted = [
        f"Not counted for {each.name}: the training of its teacher {', '.join(each.uncounted)}, which is not"
        " here with the weights that taught."
        for each in targets
        if each.uncounted
    ]
    return "\n".join([*lines, "", _NOTE, *uncounted])


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
    first, *others = seeds.values()
    for contents in others:
        if _but_seed(contents) != _but_seed(first):
            raise InputError(f"{name}: its runs differ in more than their seed; give each kind a name of its own")
        for stem in _STEMS:
            if _record(contents, stem).data.get("sha256") != _record(first, stem).data.get("sha256"):
                raise InputError(
                    f"{contents.path}: was evaluated on another {stem} than {first.path}; evaluate it again"
                )
    return _target(name, list(seeds.values()))


def _target(name: str, runs: Sequence[RunContents], together: Mapping[str, Estimate] | None = None) -> Target:
    """Of some runs; accuracy is the mean over them, if they do not decide together."""
    by_weights: dict[str, Path] = {}
    for contents in runs:
        weights = contents.weights_sha256 or str(contents.path)
        if (other := by_weights.setdefault(weights, contents.path)) != contents.path:
            raise InputError(f"{contents.path}: has the weights of {other}; name each network of {name} once")
    configs, trained = [contents.config for contents in runs], [trainings(contents) for contents in runs]
    spent = [sum(seconds.values()) for seconds, _ in trained]
    parameters = [config["parameters"] for config in configs]
    if together is None:
        total, size = float(np.mean(spent)), parameters[0]
    else:
        once = {history: took for seconds, _ in trained for history, took in seconds.items()}
        total, size = sum(once.values()), sum(parameters)
    each = {stem: tuple(_record(contents, stem).metrics["accuracy"].value for contents in runs) for stem in _STEMS}
    rows = {stem: _record(runs[0], stem).metrics["accuracy"].n for stem in _STEMS}
    mean = {stem: rate(float(np.mean(values)) * rows[stem], rows[stem]) for stem, values in each.items()}
    return Target(
        name=name,
        track=OPEN if any(config["track"] == OPEN for config in configs) else configs[0]["track"],
        model=" and ".join(dict.fromkeys(config["model"]["name"] for config in configs)),
        ensemble=together is not None,
        parameters=size,
        seconds=total,
        seeds=tuple(config["train"]["seed"] for config in configs),
        uncounted=tuple(dict.fromkeys(path for _, missing in trained for path in missing)),
        accuracy=mean if together is None else together,
        each=each,
        curves=tuple(_curve(contents, all_of_it) for contents, all_of_it in zip(runs, spent, strict=True)),
    )


def _record(contents: RunContents, stem: str) -> Record:
    if stem not in contents.records:
        run = contents.path
        raise InputError(f"{run}: has not been evaluated on {stem}; run 'twinrank evaluate {run} {stem}.npz'")
    return contents.records[stem]


def _but_seed(contents: RunContents) -> tuple[Any, ...]:
    config = contents.config
    # Teachers may differ in their seed, too, but not in their number and kind.
    teachers = sorted(str(each.get("model")) for each in teacher_identities(config))
    return config["model"], config["track"], config["train"] | {"seed": None}, config["data"], teachers


def _curve(contents: RunContents, until: float) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and accuracy on val after each pass, the last of which ends at ``until``."""
    seconds = np.cumsum([epoch["seconds"] for epoch in contents.history])
    return until - seconds[-1] + seconds, np.array([epoch["val"]["accuracy"] for epoch in contents.history])
