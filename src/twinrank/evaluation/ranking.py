"""Ways to decide the same rows, ranked, with how sure the ranking is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinrank.config import Track
from twinrank.errors import InputError
from twinrank.evaluation.compare import McNemar, detectable_difference, holm, mcnemar
from twinrank.evaluation.metrics import Estimate, accuracy, scores
from twinrank.evaluation.metrics_record import POOLED

Kind = Literal["model", "ensemble"]
_DECISIVE = "test_private"
_LEVEL = 0.05
_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Entrant:
    """A way to decide pairs.

    Attributes:
        name: Name of the entrant.
        kind: "model" for one network, or one for each fold; "ensemble" for an ensemble of such.
        track: Track of the networks, by what they were trained on.
        parameters: Number of parameters of all its networks.
        seconds: Duration of their training.
        milliseconds: Duration of a pair; None where it was not measured.
        logits: float (N,) by stem of the file, of rows that it was not fitted on.
    """

    name: str
    kind: Kind
    track: Track
    parameters: int
    seconds: float
    milliseconds: float | None
    logits: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Row:
    """An entrant's place.

    Attributes:
        entrant: Entrant of this place.
        metrics: Estimates by name, by file key.
        against_first: Rows that the first alone decides rightly, that this alone does, and p; None for the first.
        adjusted: The same p, adjusted for all of them (Holm).
        tied: Whether it is the first, or does not differ from it at 5%.
        against_best_model: The same against the best single model by the file that ranks.
    """

    entrant: Entrant
    metrics: dict[str, dict[str, Estimate]]
    against_first: McNemar | None
    adjusted: float | None
    tied: bool
    against_best_model: McNemar | None


@dataclass(frozen=True)
class Leaderboard:
    """The ranking.

    Attributes:
        rows: Places, the best first.
        ranked_on: stem of the file that ranks; never a test.
        compared_on: which rows the first is compared on with the others, in words.
        n: how many these are.
        best_model: Best single model by the file that ranks; None where there is none.
        decided_on: stem of the rows of ``against_best_model``.
        detectable: Smallest difference of accuracies to the first that these rows find with 80% power, for an
            entrant that disagrees with it as often as the middle one of them does; None with one entrant.
    """

    rows: tuple[Row, ...]
    ranked_on: str
    compared_on: str
    n: int
    best_model: str | None
    decided_on: str
    detectable: float | None


def rank(
    entrants: Sequence[Entrant], labels: Mapping[str, np.ndarray], ranked_on: str, draws: int = _DRAWS
) -> Leaderboard:
    """Rank entrants by their accuracy on one file, and compare the first with the others on the tests.

    Where there are no tests, they are compared on the file that ranks, which flatters the first.

    Args:
        entrants: with logits for every stem of ``labels``.
        labels: Labels by name of the file, int (N,). All files but ``ranked_on`` are tests.
        ranked_on: Name of the file that ranks.
        draws: Number of resamples of the bootstrap.

    Raises:
        InputError: There is no entrant, or an entrant has not decided all files.
    """
    if not entrants:
        raise InputError("nobody to rank; give one run or more")
    for each in entrants:
        if missing := [stem for stem in labels if stem not in each.logits]:
            raise InputError(f"{each.name}: has not been evaluated on {missing[0]}, as others have; evaluate it there")
    tests = [stem for stem in labels if stem != ranked_on]
    y = dict(labels)
    logits = {each.name: dict(each.logits) for each in entrants}
    if len(tests) > 1:
        y[POOLED] = np.concatenate([labels[stem] for stem in tests])
        for own in logits.values():
            own[POOLED] = np.concatenate([own[stem] for stem in tests])
    metrics = {stem: scores(y[stem], {name: own[stem] for name, own in logits.items()}, draws=draws) for stem in y}
    order = best_first(entrants, y[ranked_on], ranked_on)
    compared_on = POOLED if len(tests) > 1 else (tests[0] if tests else ranked_on)
    decided_on = _DECISIVE if _DECISIVE in tests else compared_on
    first = order[0]
    against_first = [
        mcnemar(y[compared_on], logits[first.name][compared_on], logits[each.name][compared_on]) for each in order[1:]
    ]
    adjusted = holm([test.p for test in against_first])
    best_model = next((each.name for each in order if each.kind == "model"), None)
    rows = []
    for place, each in enumerate(order):
        test = None if best_model is None else logits[best_model][decided_on]
        rows.append(
            Row(
                each,
                {stem: metrics[stem][each.name] for stem in y},
                against_first[place - 1] if place else None,
                adjusted[place - 1] if place else None,
                not place or adjusted[place - 1] >= _LEVEL,
                None if test is None else mcnemar(y[decided_on], test, logits[each.name][decided_on]),
            )
        )
    n = len(y[compared_on])
    detectable = None
    if against_first:
        discordant = np.median([test.first_alone + test.second_alone for test in against_first]) / n
        detectable = detectable_difference(n, float(discordant))
    words = " + ".join(tests) if tests else ranked_on
    return Leaderboard(tuple(rows), ranked_on, words, n, best_model, decided_on, detectable)


def best_first(entrants: Sequence[Entrant], y: np.ndarray, stem: str) -> list[Entrant]:
    """Entrants by their accuracy on one file, among equals the one with fewer parameters first.

    Args:
        entrants: with logits for the stem.
        y: int (N,), labels.
        stem: of the file.
    """
    return sorted(entrants, key=lambda each: (-accuracy(y, each.logits[stem]), each.parameters))
