"""The wrong decisions with the highest confidence, with their pictures."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from twinrank.core.messages import quoted
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.thumbnails import data_uri

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Mistake:
    """A pair that was decided wrongly.

    Attributes:
        id: Row id.
        label: 1 if the left image ranks higher.
        confidence: Predicted probability of the wrong decision.
        left: Left image, as a data URI.
        right: Right image, as a data URI.
        digits: True digits, left and right; None where they are unknown.
        names: Names of both images; None where they have only numbers.
        votes: Votes in words, such as "75% of 4 votes"; empty for a single vote.
    """

    id: str
    label: int
    confidence: float
    left: str
    right: str
    digits: tuple[int, int] | None
    names: tuple[str, str] | None
    votes: str


def most_confident_mistakes(predictions: Predictions, pictures: Judgements, digits: np.ndarray | None) -> list[Mistake]:
    """The wrong decisions with the largest absolute logits, surest first, each pair of images once.

    Ties have no right decision.

    Args:
        predictions: Predictions with labels.
        pictures: Pairs with at least the rows that are predicted wrongly, in any order.
        digits: True digits by row of ``predictions``, uint8 (N, 2), or None.

    Raises:
        InputError: A row that is predicted wrongly has no picture.
    """
    if predictions.y is None:
        return []
    y, logit = predictions.y, predictions.logit
    wrong = np.flatnonzero((y != 0.5) & ((logit > 0) != (y > 0.5)))
    place = {str(row): position for position, row in enumerate(pictures.row_ids)}
    mistakes, shown = [], set()
    for row in wrong[np.argsort(-np.abs(logit[wrong]), kind="stable")]:
        if len(mistakes) == _MOST_SHOWN:
            break
        name = str(predictions.id[row])
        if name not in place:
            raise InputError(
                f"row id {quoted(name)} has a prediction but no picture; give the pictures of the same file"
            )
        sides = (int(pictures.left[place[name]]), int(pictures.right[place[name]]))
        if frozenset(sides) in shown:
            continue
        shown.add(frozenset(sides))
        left, right = (data_uri(pictures.images.take(np.array([side]))[0]) for side in sides)
        mistakes.append(
            Mistake(
                id=name,
                label=int(y[row] > 0.5),
                confidence=float(expit(np.abs(np.float64(logit[row])))),
                left=left,
                right=right,
                digits=None if digits is None else (int(digits[row][0]), int(digits[row][1])),
                names=None
                if pictures.images.names is None
                else (pictures.images.name(sides[0]), pictures.images.name(sides[1])),
                votes=_votes(float(y[row]), pictures, place[name]),
            )
        )
    return mistakes


def _votes(share: float, pictures: Judgements, row: int) -> str:
    """The votes for the winner, in words; empty where all of one vote or of unknown votes are for it."""
    count = 1.0 if pictures.weight is None else float(pictures.weight[row])
    winning = max(share, 1 - share)
    if count == 1 and winning == 1:
        return ""
    return f"{winning:.0%} of the votes" if count == 1 else f"{winning:.0%} of {count:,.4g} votes"
