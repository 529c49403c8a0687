"""The effect of each factor: runs that differ from a base in one thing, compared row by row over the same seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.files import write_json, write_text
from twinrank.errors import InputError
from twinrank.evaluation.compare import Difference, accuracy_difference
from twinrank.evaluation.metrics import accuracy
from twinrank.evaluation.predictions import Predictions, joined
from twinrank.reporting.contents import RunContents, read_by_factor
from twinrank.reporting.files import common_files
from twinrank.reporting.formats import markdown, table_line

_HEADINGS = ("factor", "rows", "accuracy", "difference, points", "95% interval", "by seed")


@dataclass(frozen=True)
class Effect:
    """The effect of one factor on some rows.

    Attributes:
        factor: Name of the factor.
        rows: "val", or "tests" for the test files together.
        accuracy: Accuracy with the factor, the mean over seeds.
        difference: Difference to the base.
    """

    factor: str
    rows: str
    accuracy: float
    difference: Difference


def read_ablation(runs: Sequence[Path], base: str = "base") -> list[Effect]:
    """The effect of each factor, in the order of ``runs``.

    Args:
        runs: Evaluated run folders named ``FACTOR_seedSEED``.
        base: Factor that the others are compared with.

    Raises:
        InputError: A folder is given twice, a name is of another form, or there is no base. Or a seed is missing, or
            runs were not evaluated on the same files.
    """
    found = read_by_factor(runs)
    if base not in found:
        raise InputError(f"no run is named {base}_seed...; choose `base` from {', '.join(found)}")
    for factor, seeds in found.items():
        if missing := seeds.keys() ^ found[base].keys():
            raise InputError(f"{factor}: seed {min(missing)} is missing in it or in {base}; train both")
    common = common_files([contents.predicted for seeds in found.values() for contents in seeds.values()])
    digests = list(common.names)
    effects = []
    for factor, seeds in found.items():
        for rows, chosen in (("val", digests[:1]), ("tests", digests[1:])):
            if chosen:
                first, second = (
                    [_joined(contents[seed], chosen) for seed in sorted(seeds)] for contents in (found[base], seeds)
                )
                rates = [
                    accuracy(each.y, each.logit, tie=each.tie, weight=each.weight)
                    for each in second
                    if each.y is not None
                ]
                mean = float(np.mean(rates))
                effects.append(Effect(factor, rows, mean, accuracy_difference(first, second)))
    return effects


def ablation_text(effects: Sequence[Effect]) -> str:
    """The effects as a Markdown table, in percentage points."""
    lines = [table_line(_HEADINGS), f"|{' --- |' * len(_HEADINGS)}"]
    for effect in effects:
        estimate, by_seed = effect.difference.estimate, effect.difference.by_seed
        cells = (
            markdown(effect.factor),
            f"{effect.rows}, n = {estimate.n:,}",
            f"{effect.accuracy:.2%}",
            f"{100 * estimate.value:+.2f}",
            f"{100 * estimate.low:+.2f} to {100 * estimate.high:+.2f}",
            ", ".join(f"{100 * each:+.2f}" for each in by_seed),
        )
        lines.append(table_line(cells))
    over = sorted({"rows" if each.difference.estimate.images is None else "images" for each in effects}, reverse=True)
    note = (
        f"Intervals: paired bootstrap over {' or '.join(over) or 'rows'}, for these runs."
        " The last column shows the effect of the seed."
    )
    return "\n".join([*lines, "", note])


def write_ablation(effects: Sequence[Effect], out: Path) -> list[Path]:
    """Write ``ablation.md`` and ``ablation.json`` into a folder.

    Returns:
        Paths of the files.

    Raises:
        InputError: A file cannot be written.
    """
    text, data = Path(out) / "ablation.md", Path(out) / "ablation.json"
    write_text(text, ablation_text(effects) + "\n")
    write_json(data, [_record(effect) for effect in effects])
    return [text, data]


def _record(effect: Effect) -> dict[str, Any]:
    values = asdict(effect)
    values["difference"]["estimate"] = effect.difference.estimate.record()
    return values


def _joined(contents: RunContents, digests: Sequence[str]) -> Predictions:
    """The predictions on several files as one."""
    return joined([contents.predictions[contents.predicted.require(digest, digest).key] for digest in digests])
