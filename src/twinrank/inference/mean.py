"""The mean of several predictors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import log_softmax

from twinrank.config import PAIRS_ONLY
from twinrank.core.run_records import FileUse
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm
from twinrank.inference.predictor import Predictor


class MeanPredictor:
    """The mean of some predictors' logits, and of their log-posteriors where all have as many levels.

    It is a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        predictors: Two or more predictors.

    Raises:
        InputError: They read image files in different ways.

    Attributes:
        predictors: These predictors.
    """

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        self.predictors = predictors
        _require_read_alike([predictor.form for predictor in predictors])

    @property
    def form(self) -> ImageForm:
        """See :class:`twinrank.inference.predictor.Predictor`; all take the same images, or refuse them."""
        forms = [predictor.form for predictor in self.predictors]
        of_files = [form for form in forms if form.reading is not None]
        alike = len({form.question for form in forms}) == 1
        return replace(
            (of_files or forms)[0],
            resized=bool(of_files) and all(form.resized for form in of_files),
            question=forms[0].question if alike else None,
        )

    def logits(self, data: Judgements) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return _mean([predictor.logits(data) for predictor in self.predictors])

    def logits_and_levels(self, data: Judgements) -> tuple[np.ndarray, np.ndarray | None]:
        """See :class:`twinrank.inference.predictor.Predictor`; the n-th levels of all predictors count as the same."""
        logits, each_levels = zip(*(each.logits_and_levels(data) for each in self.predictors), strict=True)
        levels = [each for each in each_levels if each is not None]
        if len(levels) < len(each_levels) or len({each.shape for each in levels}) > 1:
            return _mean(logits), None
        return _mean(logits), log_softmax(_mean(levels), axis=2)

    def image_features(self, images: ImageStore, chosen: np.ndarray) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`; those of all predictors, side by side."""
        return np.concatenate([predictor.image_features(images, chosen) for predictor in self.predictors], 1)

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return _mean([predictor.tournament(pool) for predictor in self.predictors])

    def scores(self, images: ImageStore) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return _mean([predictor.scores(images) for predictor in self.predictors])

    def ties(self, logit: np.ndarray) -> np.ndarray | None:
        """See :class:`twinrank.inference.predictor.Predictor`; the mean of those that model ties."""
        ties = [tie for each in self.predictors if (tie := each.ties(logit)) is not None]
        return _mean(ties) if ties else None

    def calibrated(self, logit: np.ndarray) -> np.ndarray | None:
        """See :class:`twinrank.inference.predictor.Predictor`; the mean of all, None where one of them has none."""
        each = [calibrated for one in self.predictors if (calibrated := one.calibrated(logit)) is not None]
        return _mean(each) if len(each) == len(self.predictors) else None

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        used: dict[str, tuple[FileUse, ...]] = {}
        for predictor in self.predictors:
            for digest, uses in predictor.used_in_training.items():
                used[digest] = tuple(dict.fromkeys([*used.get(digest, ()), *uses]))
        return used

    @property
    def track(self) -> str:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return next((each.track for each in self.predictors if each.track != PAIRS_ONLY), PAIRS_ONLY)

    def identity(self) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        members = [predictor.identity() for predictor in self.predictors]
        return {"model": f"mean of {', '.join(member['model'] for member in members)}", "members": members}


def _require_read_alike(forms: Sequence[ImageForm]) -> None:
    first: tuple[ImageForm, Reading] | None = None
    for form in forms:
        if form.reading is None:
            continue
        first = first or (form, form.reading)
        if differs := form.reading.difference(first[1], form.resized or first[0].resized):
            raise InputError(
                f"{form.name}: its training read images with {differs}, as that of {first[0].name}; name networks that"
                " read images alike"
            )


def _mean(each: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(each).mean(0, dtype=np.float64)
