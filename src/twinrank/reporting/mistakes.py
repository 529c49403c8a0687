"""The wrong decisions with the highest confidence, with their pictures."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.special import expit

from twinrank.core.messages import quoted
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.metrics import is_right
from twinrank.evaluation.predictions import Predictions

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Mistake:
    """A pair that was decided wrongly.

    Attributes:
        id: Row id.
        label: 1 if the left image ranks higher.
        confidence: Predicted probability of the wrong decision.
        left: Left image, as a PNG data URI.
        right: Right image, as a PNG data URI.
        digits: True digits, left and right; None where they are unknown.
    """

    id: str
    label: int
    confidence: float
    left: str
    right: str
    digits: tuple[int, int] | None


def most_confident_mistakes(predictions: Predictions, pictures: Judgements, digits: np.ndarray | None) -> list[Mistake]:
    """The wrong decisions with the largest absolute logits, surest first.

    Args:
        predictions: Predictions with labels.
        pictures: Pairs with at least the rows that are predicted wrongly, in any order.
        digits: True digits by row of ``predictions``, uint8 (N, 2), or None.

    Raises:
        InputError: A row that is predicted wrongly has no picture.
    """
    if predictions.y is None:
        return []
    wrong = np.flatnonzero(~is_right(predictions.y, predictions.logit))
    worst = wrong[np.argsort(-np.abs(predictions.logit[wrong]), kind="stable")][:_MOST_SHOWN]
    place = {str(row): position for position, row in enumerate(pictures.row_ids)}
    mistakes = []
    for row in worst:
        name = str(predictions.id[row])
        if name not in place:
            raise InputError(
                f"row id {quoted(name)} has a prediction but no picture; give the pictures of the same file"
            )
        mistakes.append(
            Mistake(
                id=name,
                label=int(predictions.y[row]),
                confidence=float(expit(np.abs(np.float64(predictions.logit[row])))),
                left=_png(pictures.xa[place[name]]),
                right=_png(pictures.xb[place[name]]),
                digits=None if digits is None else (int(digits[row][0]), int(digits[row][1])),
            )
        )
    return mistakes


def _png(image: np.ndarray) -> str:
    """An image, (C, H, W), as a data URI."""
    if image.dtype.kind == "f":
        image = np.clip(np.rint(image * 255), 0, 255)
    pixels = np.moveaxis(image.astype(np.uint8), 0, -1)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
