"""The record: what is reached in which training time, over seeds, beside what others have published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.metrics import Estimate, rate
from twinrank.files import write_json, write_text
from twinrank.reporting.contents import RunContents, read_by_factor
from twinrank.reporting.formats import count, duration, interval, table_line
from twinrank.reporting.pictures import save_picture
from twinrank.reporting.plots import accuracy_by_seconds
from twinrank.reporting.standing import PUBLISHED

_STEMS = ("val", "test_public", "test_private")
_HEADINGS = ("target", "track", "network", "parameters", "training, each", "seeds", *_STEMS, "test_private by seed")
_NOTE = (
    "Accuracy is the mean over the seeds, with the 95% interval (Wilson) that one network of this accuracy has on so"
    " many rows: other rows, not other seeds. `val` chose epochs and values, so it reads slightly too well; the tests"
    " chose nothing. Training is the mean time of a run's passes; looking at `val` after each is not counted."
)


@dataclass(frozen=True)
class Target:
    """Runs that differ in their seed alone.

    Attributes:
        name: of the target.
        track: "pairs-only" or "open".
        model: of the network.
        parameters: of the network.
        seconds: of training, mean over the seeds.
        seeds: in rising order.
        accuracy: by stem, mean over the seeds.
        by_seed: by stem, accuracy of each seed.
        curves: for each seed, seconds of training and accuracy on val after each pass.
    """

    name: str
    track: str
    model: str
    parameters: int
    seconds: float
    seeds: tuple[int, ...]
    accuracy: Mapping[str, Estimate]
    by_seed: Mapping[str, tuple[float, ...]]
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]


def read_targets(runs: Sequence[Path]) -> list[Target]:
    """The targets of evaluated run folders named ``TARGET_seedSEED``, in the order in which they come.

    Raises:
        InputError: a folder is given twice, a name is of another form, a run has not been evaluated on every file, or
            the runs of a target differ in more than their seed.
    """
    return [_target(name, dict(sorted(seeds.items()))) for name, seeds in read_by_factor(runs).items()]


def record_values(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The targets as JSON values; accuracy as ``accuracy``, ``low``, ``high``, ``n`` and ``by_seed`` for each file."""
    return [
        {
            "target": each.name,
            "track": each.track,
            "model": each.model,
            "parameters": each.parameters,
            "seconds": round(each.seconds, 1),
            "seeds": list(each.seeds),
        }
        | {
            stem: {"accuracy": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}
            | {"by_seed": list(each.by_seed[stem])}
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
        by_seed = ", ".join(f"{value:.2%}" for value in each.by_seed["test_private"])
        cells = (each.name, each.track, f"`{each.model}`", count(each.parameters), duration(each.seconds))
        lines.append(table_line([*cells, ", ".join(map(str, each.seeds)), *accuracy, by_seed]))
    return "\n".join([*lines, "", _NOTE])


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
    curves = {each.name: each.curves[0] for each in targets}
    others = {each.system: (each.seconds, each.accuracy) for each in PUBLISHED if each.seconds}
    return [data, markdown, save_picture(accuracy_by_seconds(ours, curves, others), drawn)]


def _target(name: str, seeds: dict[int, RunContents]) -> Target:
    alike = {_but_seed(contents) for contents in seeds.values()}
    if len(alike) > 1:
        raise InputError(f"{name}: its runs differ in more than their seed; give each kind a name of its own")
    for seed, contents in seeds.items():
        if missing := [stem for stem in _STEMS if stem not in contents.records]:
            raise InputError(f"{name}_seed{seed}: has not been evaluated on {missing[0]}; run 'twinrank evaluate'")
    first, by_seed, accuracy = next(iter(seeds.values())), {}, {}
    for stem in _STEMS:
        values = [contents.records[stem].metrics["accuracy"] for contents in seeds.values()]
        by_seed[stem] = tuple(each.value for each in values)
        accuracy[stem] = rate(float(np.mean(by_seed[stem])) * values[0].n, values[0].n)
    curves = tuple(map(_curve, seeds.values()))
    return Target(
        name=name,
        track=first.config["track"],
        model=first.config["model"]["name"],
        parameters=first.config["parameters"],
        seconds=float(np.mean([seconds[-1] for seconds, _ in curves])),
        seeds=tuple(seeds),
        accuracy=accuracy,
        by_seed=by_seed,
        curves=curves,
    )


def _but_seed(contents: RunContents) -> str:
    config = contents.config
    return repr((config["model"], config["track"], config["train"] | {"seed": None}, config["data"]))


def _curve(contents: RunContents) -> tuple[np.ndarray, np.ndarray]:
    seconds = np.cumsum([epoch["seconds"] for epoch in contents.history])
    return seconds, np.array([epoch["val"]["accuracy"] for epoch in contents.history])
