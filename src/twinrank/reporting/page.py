"""One self-contained page, ``report.html``, made from a run folder: every measurement, its rows and its interval."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.files import require_ending, write_text
from twinrank.data.judgements import Judgements
from twinrank.evaluation.judging import Judging, RaterRecord
from twinrank.reporting import sections
from twinrank.reporting.contents import RunContents, read_run
from twinrank.reporting.mistakes import Mistake, most_confident_mistakes
from twinrank.reporting.published import FOOTNOTES, with_row
from twinrank.reporting.sections import Drawing
from twinrank.reporting.template import template
from twinrank.runs import RunFolder, teacher_folders


def write_report(
    run: Path,
    out: Path | None = None,
    *,
    pictures: Mapping[str, Judgements] | None = None,
    digits: Mapping[str, np.ndarray] | None = None,
    on_benchmark: bool = True,
    figures: Path | None = None,
    found: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a run. Nothing is trained or predicted; every number comes from the run folder.

    Args:
        run: Run folder; the page leaves out whatever is not in it yet.
        out: Path of the page; ``report.html`` in the run folder if None.
        pictures: Pairs of images by key of the predictions, for the most confident mistakes.
        digits: True digits by key, integer (N, 2), by row of the predictions. They only draw and caption pictures.
        on_benchmark: Whether to show the run beside published results on the benchmark.
        figures: Folder for the figures as PNG files; None writes the page alone.
        found: What ``twinrank fit`` found with this run: the content of ``fit.json``, ``name`` of the folder, and
            whether the images are ``ranked`` beside the page.

    Returns:
        Path of the page.

    Raises:
        InputError: The run folder, the pictures or the digits are wrong, or the page cannot be written.
    """
    contents = read_run(run)
    digits = sections.checked_digits(contents, digits or {})
    headline, levels = sections.headline(contents), sections.latent_levels(contents, digits)
    curves = sections.learning_curves(contents)
    decisions = sections.decisions(contents, headline, digits) if headline else []
    page = template("report.html.j2").render(
        _facts(contents),
        headline=headline,
        curves=curves,
        decisions=decisions,
        levels=levels,
        raters=_raters(Path(run)),
        mistakes=_mistakes(contents, pictures or {}, digits),
        digits=bool(digits),
        on_benchmark=on_benchmark,
        found=found,
    )
    path = Path(out) if out is not None else Path(run) / "report.html"
    write_page(path, page)
    save_drawings([*curves, *decisions, *([levels[1]] if levels else [])], figures)
    return path


def write_page(path: Path, page: str) -> None:
    """Write a page. Characters that UTF-8 does not have, as in names of bytes, become question marks.

    Raises:
        InputError: The name does not end in .html, or the file cannot be written.
    """
    require_ending(path, ".html", ".htm")
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def save_drawings(drawings: list[Drawing], folder: Path | None) -> None:
    """Write drawings as PNG files, if a folder is given.

    Raises:
        InputError: A file cannot be written.
    """
    if folder is not None:
        for drawing in drawings:
            drawing.save(Path(folder))


def _facts(contents: RunContents) -> dict[str, Any]:
    """Values of a run that the page shows without drawing them."""
    ours = sections.our_standing(contents)
    return {
        "config": contents.config,
        "config_text": json.dumps(contents.config, indent=2, ensure_ascii=False),
        "teachers": teacher_folders(contents.config),
        "evaluations": list(contents.metrics.values()),
        "warnings": sections.warnings(contents),
        "uses": sections.uses(contents),
        "seconds": sections.training_seconds(contents),
        "processors": sections.processors(contents),
        "history": sections.history_table(contents),
        "ours": ours,
        "standing": with_row(ours),
        "footnotes": FOOTNOTES,
        "steps": contents.steps,
    }


def _raters(run: Path) -> list[RaterRecord]:
    judging = RunFolder(run).judging
    return sections.raters(Judging.load(judging)) if judging.is_file() else []


def _mistakes(
    contents: RunContents, pictures: Mapping[str, Judgements], digits: Mapping[str, np.ndarray]
) -> dict[str, list[Mistake]]:
    """The most confident mistakes by file, those on the tests first."""
    known = [key for key in contents.predictions if key in pictures]
    known.sort(key=lambda key: contents.role(contents.predictions[key].data_sha256) != "test")
    return {key: most_confident_mistakes(contents.predictions[key], pictures[key], digits.get(key)) for key in known}
