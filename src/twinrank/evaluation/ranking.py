"""Ways to decide the same rows, ranked, with tests of the differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinrank.config import Track
from twinrank.errors import InputError
from twinrank.evaluation.compare import PairedTest, detectable_difference, holm, paired_tests
from twinrank.evaluation.labelled_rows import LabelledRows, joined
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
        logits: Logits, float (N,) by name of the file, of rows that it was not fitted on.
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
        against_first: Test against the first entrant; None for that one.
        adjusted: Its p, adjusted for all entrants (Holm).
        tied: Whether it is the first, or does not differ from it at 5%.
        against_best_model: Test against the best single model by the file that ranks; None where there is none.
    """

    entrant: Entrant
    metrics: dict[str, dict[str, Estimate]]
    against_first: PairedTest | None
    adjusted: float | None
    tied: bool
    against_best_model: PairedTest | None


@dataclass(frozen=True)
class Leaderboard:
    """The ranking.

    Attributes:
        rows: Places, the best first.
        ranked_on: Name of the file that ranks; never a test.
        compared_on: Rows on which the first is compared with the others, in words.
        n: Number of these rows.
        best_model: Best single model by the file that ranks; None where there is none.
        decided_on: Name of the file of ``against_best_model``.
        detectable: Smallest difference of accuracies to the first that these rows find with 80% power; None with one
            entrant. It is that of an entrant that disagrees with the first as often as the median one does.
    """

    rows: tuple[Row, ...]
    ranked_on: str
    compared_on: str
    n: int
    best_model: str | None
    decided_on: str
    detectable: float | None


def rank(entrants: Sequence[Entrant], labels: Mapping[str, LabelledRows], ranked_on: str) -> Leaderboard:
    """Rank entrants by their accuracy on one file, and compare the first with the others on the tests.

    Where there are no tests, they are compared on the file that ranks, which flatters the first.

    Args:
        entrants: Entrants with logits for every file of ``labels``.
        labels: Labelled rows by name of the file. All files but ``ranked_on`` are tests.
        ranked_on: Name of the file that ranks.

    Raises:
        InputError: There is no entrant, or an entrant has not decided all files.
    """
    if not entrants:
        raise InputError("nobody to rank; give one run or more")
    for each in entrants:
        if missing := [stem for stem in labels if stem not in each.logits]:
            raise InputError(f"{each.name}: has not been evaluated on {missing[0]}, as others have; evaluate it there")
    tests = [stem for stem in labels if stem != ranked_on]
    files = dict(labels)
    logits = {each.name: dict(each.logits) for each in entrants}
    if len(tests) > 1:
        files[POOLED] = joined([labels[stem] for stem in tests])
        for own in logits.values():
            own[POOLED] = np.concatenate([own[stem] for stem in tests])
    metrics = {
        stem: scores(rows.y, {name: own[stem] for name, own in logits.items()}, **rows.judged, draws=_DRAWS)
        for stem, rows in files.items()
    }
    order = best_first(entrants, files[ranked_on], ranked_on)
    compared_on = POOLED if len(tests) > 1 else (tests[0] if tests else ranked_on)
    decided_on = _DECISIVE if _DECISIVE in tests else compared_on
    first = order[0]
    others = [logits[each.name][compared_on] for each in order[1:]]
    compared, decisive = files[compared_on], files[decided_on]
    against_first = paired_tests(compared.y, logits[first.name][compared_on], others, **compared.judged)
    adjusted = holm([test.p for test in against_first])
    best_model = next((each.name for each in order if each.kind == "model"), None)
    against_best: Sequence[PairedTest | None] = [None] * len(order)
    if best_model is not None:
        reference = logits[best_model][decided_on]
        each_logit = [logits[each.name][decided_on] for each in order]
        against_best = paired_tests(decisive.y, reference, each_logit, **decisive.judged)
    rows = tuple(
        Row(
            each,
            {stem: metrics[stem][each.name] for stem in files},
            against_first[place - 1] if place else None,
            adjusted[place - 1] if place else None,
            not place or adjusted[place - 1] >= _LEVEL,
            against_best[place],
        )
        for place, each in enumerate(order)
    )
    n, detectable = len(compared.y), _detectable(against_first, len(compared.y))
    words = " + ".join(tests) if tests else ranked_on
    return Leaderboard(rows, ranked_on, words, n, best_model, decided_on, detectable)


def _detectable(against_first: Sequence[PairedTest], n: int) -> float | None:
    """See :class:`Leaderboard`."""
    if not against_first:
        return None
    discordant = np.median([test.first_alone + test.second_alone for test in against_first]) / n
    counted = against_first[0].test == "exact McNemar"
    error = np.sqrt(discordant / n) if counted else np.median([test.error for test in against_first])
    return detectable_difference(float(error))


def best_first(entrants: Sequence[Entrant], rows: LabelledRows, stem: str) -> list[Entrant]:
    """Entrants by their accuracy on one file, among equals the one with fewer parameters first.

    Args:
        entrants: Entrants with logits for the file.
        rows: Labelled rows of the file.
        stem: Name of the file.
    """
    return sorted(entrants, key=lambda each: (-accuracy(rows.y, each.logits[stem], **rows.votes), each.parameters))
