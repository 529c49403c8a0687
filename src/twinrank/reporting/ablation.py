"""What each factor is worth: runs that differ from a base in one thing, with the same seeds, compared row by row."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from twinrank.core.files import write_json, write_text
from twinrank.errors import InputError
from twinrank.evaluation.compare import Difference, accuracy_difference
from twinrank.evaluation.metrics import accuracy
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.contents import RunContents, read_by_factor
from twinrank.reporting.formats import table_line

_ROWS = {"val": ("val",), "tests": ("test_public", "test_private")}
_HEADINGS = ("factor", "rows", "accuracy", "difference, points", "95% interval", "by seed")


@dataclass(frozen=True)
class Effect:
    """What one factor does on some rows.

    Attributes:
        factor: its name.
        rows: "val", or "tests" for the test files together.
        accuracy: with the factor, the mean over seeds.
        difference: to the base.
    """

    factor: str
    rows: str
    accuracy: float
    difference: Difference


def read_ablation(runs: Sequence[Path], base: str = "base") -> list[Effect]:
    """The effect of each factor, in the order of the runs.

    Args:
        runs: evaluated run folders named ``FACTOR_seedSEED``.
        base: the factor that the others are compared with.

    Raises:
        InputError: a folder is given twice, a name is of another form, there is no base, a seed is missing, or a run
            has not been evaluated.
    """
    found = read_by_factor(runs)
    if base not in found:
        raise InputError(f"no run is named {base}_seed...; choose --base from {', '.join(found)}")
    effects = []
    for factor, seeds in found.items():
        if missing := seeds.keys() ^ found[base].keys():
            raise InputError(f"{factor}: seed {min(missing)} is not there of both it and {base}; train both")
        for rows, stems in _ROWS.items():
            first, second = (
                [_joined(contents[seed], stems) for seed in sorted(seeds)] for contents in (found[base], seeds)
            )
            mean = float(np.mean([accuracy(each.y, each.logit) for each in second if each.y is not None]))
            effects.append(Effect(factor, rows, mean, accuracy_difference(first, second)))
    return effects


def ablation_text(effects: Sequence[Effect]) -> str:
    """The effects as a Markdown table, in percentage points."""
    lines = [table_line(_HEADINGS), f"|{' --- |' * len(_HEADINGS)}"]
    for effect in effects:
        estimate, by_seed = effect.difference.estimate, effect.difference.by_seed
        cells = (
            effect.factor,
            f"{effect.rows}, n = {estimate.n:,}",
            f"{effect.accuracy:.2%}",
            f"{100 * estimate.value:+.2f}",
            f"{100 * estimate.low:+.2f} to {100 * estimate.high:+.2f}",
            ", ".join(f"{100 * each:+.2f}" for each in by_seed),
        )
        lines.append(table_line(cells))
    note = "Intervals: paired bootstrap over rows, for these very runs; the last column shows what a seed changes."
    return "\n".join([*lines, "", note])


def write_ablation(effects: Sequence[Effect], out: Path) -> list[Path]:
    """Write ``ablation.md`` and ``ablation.json`` into a folder.

    Returns:
        The paths written.

    Raises:
        InputError: a file cannot be written.
    """
    markdown, data = Path(out) / "ablation.md", Path(out) / "ablation.json"
    write_text(markdown, ablation_text(effects) + "\n")
    write_json(data, [asdict(effect) for effect in effects])
    return [markdown, data]


def _joined(contents: RunContents, stems: Sequence[str]) -> Predictions:
    """The predictions on several files as one; row ids get the file's stem."""
    parts = [contents.labelled(stem) for stem in stems]
    ids = np.concatenate([[f"{stem}/{each}" for each in part.id] for stem, part in zip(stems, parts, strict=True)])
    logit, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("logit", "y"))
    return Predictions(ids, logit, y)
