"""One self-contained page, ``report.html``, made from a run folder: what was measured, on which rows, how surely."""

import json
from collections.abc import Mapping
from pathlib import Path

import jinja2
import numpy as np

from twinrank.core.files import require_ending, write_text
from twinrank.reporting import formats, sections
from twinrank.reporting.contents import read_run
from twinrank.reporting.mistakes import Pictures, most_confident_mistakes
from twinrank.reporting.published import FOOTNOTES, with_row
from twinrank.runs import teacher_folders


def write_report(
    run: Path,
    out: Path | None = None,
    *,
    pictures: Mapping[str, Pictures] | None = None,
    digits: Mapping[str, np.ndarray] | None = None,
    on_benchmark: bool = True,
    figures: Path | None = None,
) -> Path:
    """Write the report of a run. Nothing is trained or predicted; every number comes from the run folder.

    Args:
        run: run folder; whatever is not in it yet is left out of the page.
        out: the page; ``report.html`` in the run folder if None.
        pictures: by stem of the predictions, the pairs of images of which the most confident mistakes are shown.
        digits: by stem, true digits, integer (N, 2), by row of the predictions. They only draw and caption pictures.
        on_benchmark: show the run beside what is published on the benchmark.
        figures: folder for the figures as PNG files; None, the page alone.

    Returns:
        The path written.

    Raises:
        InputError: the run folder, the pictures or the digits are wrong, or the page cannot be written.
    """
    contents = read_run(run)
    digits = sections.checked_digits(contents, digits or {})
    headline = sections.headline(contents)
    ours = sections.our_standing(contents)
    curves = sections.learning_curves(contents)
    decisions = sections.decisions(contents, headline, digits) if headline else []
    levels = sections.latent_levels(contents, digits)
    page = template("report.html.j2").render(
        config=contents.config,
        config_text=json.dumps(contents.config, indent=2, ensure_ascii=False),
        teachers=teacher_folders(contents.config),
        headline=headline,
        records=list(contents.records.values()),
        uses=sections.uses(contents),
        seconds=sections.training_seconds(contents),
        processors=sections.processors(contents),
        curves=curves,
        history=sections.history_table(contents),
        decisions=decisions,
        levels=levels,
        mistakes={
            stem: most_confident_mistakes(contents.predictions[stem], images, digits.get(stem))
            for stem, images in sorted((pictures or {}).items(), key=lambda item: not item[0].startswith("test"))
            if stem in contents.predictions
        },
        on_benchmark=on_benchmark,
        ours=ours,
        standing=with_row(ours),
        footnotes=FOOTNOTES,
        steps=contents.steps,
    )
    path = Path(out) if out is not None else Path(run) / "report.html"
    require_ending(path, ".html", ".htm")
    write_text(path, page)
    if figures is not None:
        for drawing in (*curves, *decisions, *([levels[1]] if levels else [])):
            drawing.save(Path(figures))
    return path


def template(name: str) -> jinja2.Template:
    """A page to be filled in."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["formats"] = formats
    return environment.get_template(name)
