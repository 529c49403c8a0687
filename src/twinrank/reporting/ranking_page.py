"""The page of a ranking: the images sorted, how sure that is, who judged, and what more votes would give."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from twinrank.core.messages import counted
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.judging import RaterRecord
from twinrank.evaluation.learning_curve import LearningCurve
from twinrank.evaluation.scores import ScorePosterior
from twinrank.evaluation.standings import closest_calls, disagreements
from twinrank.reporting import ranking_plots
from twinrank.reporting.formats import plain
from twinrank.reporting.page import write_page
from twinrank.reporting.sections import Drawing, raters
from twinrank.reporting.template import template
from twinrank.reporting.thumbnails import data_uri

ROWS_A_PAGE = 25
_AT_A_GLANCE = 8
_MOST_PICTURES = 1000
"""Most images with a picture in the list; further ones have their name and numbers alone."""
_SMALL, _LARGE = 96, 160
"""Longest sides of pictures in the list and elsewhere, in pixels."""
_DECIMALS = 1000
"""Factor of the scores in the data of the list, which are whole numbers."""
_HARDLY = 0.005
"""Gain in log-loss by which more votes would hardly help, in nats."""
_STATIC = Path(__file__).parent / "templates"


@dataclass(frozen=True, eq=False)
class Ranking:
    """A ranking of M images, with all that its page shows.

    Attributes:
        title: Name of the ranking, such as that of the run.
        names: Names of the images, M of them.
        scores: Scores with their intervals, and places.
        picture: Pixels (C, H, W) of an image by its number; called for those that the page shows.
        network: Scores of the network alone on the same scale, float (M,).
        judgements: Judgements that sharpened the scores; None without.
        agreement: Share of pairs on which two votes agree; None where none was judged twice.
        ceiling: Bound that the raters' noise puts on the accuracy of any predictor; None where unknown.
        own: Whether these two are about votes of one rater, who judged a pair again.
        with_ties: The agreement where a tie is an outcome of its own; None where no such pair has a tie.
        curve: Learning curve over the number of judgements; None without.
        not_in_curve: Number of judgements that the curve leaves out, since training used an image of them.
        notes: Warnings, a line each.
        about: Facts for the head of the page, by term.
        version: Version of twinrank.
        command: Command that made the ranking.
    """

    title: str
    names: Sequence[str]
    scores: ScorePosterior
    picture: Callable[[int], np.ndarray]
    network: np.ndarray
    judgements: Comparisons | None = None
    agreement: Estimate | None = None
    ceiling: Estimate | None = None
    own: bool = False
    with_ties: Estimate | None = None
    curve: LearningCurve | None = None
    not_in_curve: int = 0
    notes: Sequence[str] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    command: str = ""

    def __len__(self) -> int:
        return len(self.names)


def write_ranking_page(ranking: Ranking, out: Path) -> Path:
    """Write the page of a ranking, one file that needs no other and no network connection.

    Its size grows with the names; pictures are small, and at most about a thousand.

    Args:
        ranking: Ranking with all that its page shows.
        out: Path of the page.

    Raises:
        InputError: The name does not end in .html, or the file cannot be written.
    """
    view = _View(ranking)
    write_page(
        out,
        template("ranking.html.j2").render(
            ranking=ranking,
            view=view,
            script=_script(),
            policy=_policy(),
            settled=_typical_width(ranking.scores),
            scores=Drawing("All scores with their 95% intervals", "", ranking_plots.scores(view.sorted)),
            verdict=verdict,
            method=method,
            columns=columns,
            curve=None
            if ranking.curve is None
            else Drawing(
                "Held-out judgements that the scores predict", "", ranking_plots.learning_curve(ranking.curve)
            ),
        ),
    )
    return out


class Row(NamedTuple):
    """An image of the list: everything that its line shows."""

    number: int
    place: int
    name: str
    score: str
    interval: str
    places: str
    comparisons: int
    style: str
    picture: str


class Moved(NamedTuple):
    """An image that judgements moved away from its network's score."""

    row: Row
    before: str
    place_before: int


class _View:
    """The parts of a page of a ranking, worked out from its arrays."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking, scores = ranking, ranking.scores
        self.order = np.argsort(scores.rank, kind="stable")
        self.place = np.argsort(self.order) + 1
        self.sorted = np.stack([scores.mean, scores.low, scores.high])[:, self.order]
        low, high = float(scores.low.min()), float(scores.high.max())
        room = 0.02 * (high - low) or 1.0
        self.axis = low - room, high + room
        self._drawn = cache(lambda number, side: data_uri(ranking.picture(number), side))

    @property
    def ticks(self) -> list[tuple[str, str]]:
        """Round scores of the axis, and their places in percent."""
        values = MaxNLocator(5).tick_values(*self.axis)
        return [
            (number(value, 0 if value == round(value) else 1), self._percent(value))
            for value in values
            if self.axis[0] <= value <= self.axis[1]
        ]

    def row(self, image: int, side: int = _LARGE) -> Row:
        """The line of an image."""
        scores = self.ranking.scores
        low, mean, high = (float(each[image]) for each in (scores.low, scores.mean, scores.high))
        first, last = int(scores.rank_low[image]), int(scores.rank_high[image])
        return Row(
            image,
            int(self.place[image]),
            str(self.ranking.names[image]),
            number(mean),
            f"{number(low)} to {number(high)}",
            f"{first:,}–{last:,}",
            round(float(scores.comparisons[image])),
            f"--l:{self._percent(low)};--m:{self._percent(mean)};--h:{self._percent(high)}",
            self._drawn(int(image), side),
        )

    @property
    def glance(self) -> dict[str, list[Row]]:
        """The highest images, evenly spaced ones and the lowest, by heading."""
        count = len(self.ranking)
        if count <= 3 * _AT_A_GLANCE:
            return {"": [self.row(image) for image in self.order]}
        middle = np.linspace(_AT_A_GLANCE, count - _AT_A_GLANCE - 1, _AT_A_GLANCE + 2)[1:-1].round().astype(int)
        parts = {
            "Highest": self.order[:_AT_A_GLANCE],
            "Evenly spaced between": self.order[middle],
            "Lowest": self.order[-_AT_A_GLANCE:],
        }
        return {heading: [self.row(image) for image in images] for heading, images in parts.items()}

    @property
    def first(self) -> list[Row]:
        """The first page of the list."""
        return [self.row(image, _SMALL) for image in self.order[:ROWS_A_PAGE]]

    @property
    def data(self) -> Markup:
        """All images in their order, as JSON that may stand in a page."""
        scores, order = self.ranking.scores, self.order
        values = {
            "pageSize": ROWS_A_PAGE,
            "axis": [round(_DECIMALS * end) for end in self.axis],
            "decimals": _DECIMALS,
            "names": [plain(self.ranking.names[image]) for image in order],
            **{
                key: np.rint(_DECIMALS * np.asarray(getattr(scores, key), np.float64)[order]).astype(int).tolist()
                for key in ("low", "mean", "high")
            },
            "best": np.asarray(scores.rank_low)[order].astype(int).tolist(),
            "last": np.asarray(scores.rank_high)[order].astype(int).tolist(),
            "comparisons": np.rint(np.asarray(scores.comparisons, np.float64)[order]).astype(int).tolist(),
            "pictures": {str(place): self._drawn(int(order[place]), _SMALL) for place in self._with_pictures},
        }
        text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
        return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))

    @property
    def _with_pictures(self) -> list[int]:
        """Places, from 0, that have a picture in the list: all, or both ends and evenly spaced ones."""
        count = len(self.ranking)
        if count <= _MOST_PICTURES:
            return list(range(count))
        end = _MOST_PICTURES // 4
        between = np.linspace(end, count - end - 1, _MOST_PICTURES - 2 * end).round().astype(int)
        return [*range(end), *between.tolist(), *range(count - end, count)]

    @property
    def pictures(self) -> int:
        """Number of images of the list that have a picture."""
        return len(self._with_pictures)

    @property
    def close(self) -> list[tuple[Row, Row, str, str]]:
        """The closest calls: upper image, lower image, bound on their difference, and how sure their order is."""
        return [
            (self.row(call.upper), self.row(call.lower), number(call.within), f"{call.sure:.0%}")
            for call in closest_calls(self.ranking.scores)
        ]

    @property
    def disputed(self) -> list[tuple[Row, Row, str, str]]:
        """The chosen image, the other one, the votes in words, and the network's probability for the other."""
        if (judgements := self.ranking.judgements) is None:
            return []
        return [
            (
                self.row(each.chosen),
                self.row(each.other),
                f"{each.votes:,.4g} of {each.of:,.4g}",
                f"{each.predicted:.0%}",
            )
            for each in disagreements(judgements, self.ranking.network)
        ]

    @property
    def moved(self) -> list[Moved]:
        """The images that judgements moved furthest from the network's score."""
        scores, network = self.ranking.scores, self.ranking.network
        judged = np.flatnonzero(np.asarray(scores.comparisons) > 0)
        furthest = judged[np.argsort(-np.abs(scores.mean - network)[judged], kind="stable")][:_AT_A_GLANCE]
        before = np.argsort(np.argsort(-network, kind="stable")) + 1
        return [Moved(self.row(image), number(float(network[image])), int(before[image])) for image in furthest]

    @property
    def raters(self) -> list[RaterRecord]:
        """Raters by the number of their judgements."""
        return raters(self.ranking.scores.judging)

    def _percent(self, score: float) -> str:
        low, high = self.axis
        return f"{100 * (score - low) / (high - low):.2f}%"


def columns(pictures: Sequence[object]) -> str:
    """The numbers of pictures in a row of a wide and of a narrow page, as CSS: rows that are as equal as possible.

    >>> columns(range(8)), columns(range(10))
    ('--wide:8;--narrow:4', '--wide:5;--narrow:4')

    Args:
        pictures: What is shown.
    """
    count = max(1, len(pictures))
    wide, narrow = (-(-count // -(-count // most)) for most in (_AT_A_GLANCE, _AT_A_GLANCE // 2))
    return f"--wide:{wide};--narrow:{narrow}"


def verdict(curve: LearningCurve) -> str:
    """What a learning curve says about more judgements."""
    half, whole = curve.points[-2:]
    between = f"{number(-curve.gain.high, 4)} to {number(-curve.gain.low, 4)}"
    first = (
        f"From {half.judgements:,} to {whole.judgements:,} judgements the log-loss on held-out judgements"
        f" changed by {number(-curve.gain.value, 4)}"
    )
    shares = f"The share decided rightly went from {half.accuracy.value:.1%} to {whole.accuracy.value:.1%}."
    if curve.gain.low > 0:
        advice = "More votes still help; the next doubling usually gains less than this one."
    elif curve.gain.high < _HARDLY:
        advice = "More votes of this kind would hardly help."
    else:
        advice = "These judgements are too few to say whether more would help."
    return f"{first} ({between}). {shares} {advice}"


def method(curve: LearningCurve, left_out: int = 0) -> str:
    """How a learning curve was measured.

    Args:
        curve: Learning curve.
        left_out: Number of judgements of images that training used.
    """
    rows = curve.points[0].log_loss.n
    held_out = (
        f"Each of five parts of the judged pairs was held out once, {counted(rows, 'judgement', 'judgements')} in all"
        if curve.folds > 1
        else counted(rows, "judgement of pairs drawn at random was", "judgements of pairs drawn at random were")
        + " held out"
    )
    return (
        f"{held_out}. Scores are made from some of the other judgements and the network's scores; the network is not"
        f" trained again. Pairs are held out, images are not. Intervals resample images.{_left_out(left_out)}"
    )


def _left_out(judgements: int) -> str:
    if not judgements:
        return ""
    are = "1 judgement is" if judgements == 1 else f"{judgements:,} judgements are"
    return f" Another {are} left out: training used an image of theirs, so the network may know the outcome."


def number(value: float, decimals: int = 2) -> str:
    """A number with a true minus sign."""
    return f"{value:.{decimals}f}".replace("-", "−")


def _typical_width(scores: ScorePosterior) -> int:
    """Median number of places in the 95% intervals of the places."""
    return int(np.median(np.asarray(scores.rank_high) - np.asarray(scores.rank_low) + 1))


@cache
def _script() -> Markup:
    return Markup((_STATIC / "ranking.js").read_text(encoding="utf-8"))


@cache
def _policy() -> str:
    """Content security policy: the page loads nothing, and runs no script but its own."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
