"""The look of every figure: colours, axes, and SVG for a page that follows its light or dark theme."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from twinrank.core.files import replacing, require_ending

INK = "#1f2430"
MUTED = "#5b6472"
GRID = "#d8dce2"
HEAT = "#0b559f"
ON_HEAT = "#fffffe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which differ for colour-blind readers. Series also differ in marker."""
MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", ":", "-.")
_ENDINGS = (".png", ".svg", ".pdf")
DOTS_AN_INCH = 200
"""Pixels of a PNG for an inch of a figure."""

_VARIABLES = {"ink": INK, "muted": MUTED, "grid": GRID, "heat": HEAT, "on-heat": ON_HEAT} | {
    f"series-{position}": colour for position, colour in enumerate(SERIES)
}


def blank_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of ``width`` x ``height`` inches with one axes, in the common look."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Give axes the common look: no box, quiet grid, 9-point text."""
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9, length=3)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(color=INK, size=9)
    axes.yaxis.label.set(color=INK, size=9)
    axes.title.set(color=INK, size=10)


def line_look(position: int) -> dict[str, Any]:
    """The look of a series' line: up to 24 lines differ in at least two of colour, marker and dashes."""
    turn, colour = divmod(position, len(SERIES))
    return {
        "color": SERIES[colour],
        "marker": MARKERS[(position + turn) % len(MARKERS)],
        "linestyle": _LINES[turn % len(_LINES)],
    }


def legend(axes: Axes, **options: Any) -> Legend:
    """A frameless legend. Its texts are literal, dollar signs included."""
    drawn = axes.legend(frameon=False, fontsize=9, labelcolor=INK, **options)
    for text in drawn.get_texts():
        text.set_parse_math(False)
    return drawn


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an ``<svg>`` element to be put into a page.

    Texts stay texts, in the page's font. Colours become ``var(--plot-ink, #1f2430)`` and so on. So a page can set them
    by theme, and the figure still looks right in a page that sets none.

    Args:
        figure: Figure to draw.
        name: Unique name in the page, a prefix of the ids in the element: letters, digits and hyphens.
        description: Text for readers who cannot see the figure.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), _any_alphabet():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for unwanted in (
        r"<metadata>.*?</metadata>",
        r"<style.*?</style>",
        r"font-family: [^;\"]*;?",
        r' transform="rotate\(-0 [^"]*"',
    ):
        svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<=\sid=")|(?<=url\(#)|(?<=href="#)', f"{name}-", svg)
    for variable, colour in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--plot-{variable}, {colour})")
    view = svg.split('viewBox="', 1)[1].split('"', 1)[0]
    return (
        f'<svg viewBox="{view}" style="stroke-linejoin: round; stroke-linecap: butt" role="img"'
        f' aria-label="{escape(description)}" xmlns:xlink="http://www.w3.org/1999/xlink">{svg[svg.index(">") + 1 :]}'
    )


def save_picture(figure: Figure, out: Path) -> Path:
    """Write a figure, on white.

    Raises:
        InputError: The ending is not .png, .svg or .pdf, or the file cannot be written.
    """
    out = Path(out)
    require_ending(out, *_ENDINGS)
    with replacing(out) as temporary, _any_alphabet():
        figure.savefig(temporary, format=out.suffix.lower()[1:], dpi=DOTS_AN_INCH, facecolor="white")
    return out


@contextmanager
def _any_alphabet() -> Iterator[None]:
    """Draw names in alphabets that the font does not have, as boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing", category=UserWarning)
        yield
