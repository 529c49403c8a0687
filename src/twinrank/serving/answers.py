"""From requests to responses: images are read, predicted for in batches, and put into words."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.errors import InputError
from twinrank.inference.spots import Spots
from twinrank.serving.batcher import Batcher
from twinrank.serving.images import ImageReader, as_png
from twinrank.serving.limits import Limits
from twinrank.serving.models import Prediction, Served
from twinrank.serving.schema import Comparison, Images, OnePair

_READERS = 2
_READ_AT_ONCE = 50_000
"""Characters of base64 that are read without a thread of their own, which would take longer."""
_FEW_SPOTS = 128 * 128
"""Pixels of images of which fewer and larger spots are covered, since each spot takes a comparison."""
_SPOTS_AT_A_TIME, _PIXELS_AT_A_TIME = 64, 1 << 21
"""Covered images of an explanation that wait together, and their pixels, so that other requests get between."""


class UnknownModel(InputError):
    """A request names a model that is not here."""


class Answers:
    """What a server says to a request.

    Args:
        models: Models, the default first.
        batcher: Thread of the networks.
        limits: Bounds.
    """

    def __init__(self, models: Sequence[Served], batcher: Batcher, limits: Limits) -> None:
        self._models = {model.name: model for model in models}
        self._batcher = batcher
        self._limits = limits
        self._readers = {model.name: ImageReader(model.form, limits.image_pixels) for model in models}
        self._threads = ThreadPoolExecutor(_READERS, "images")

    def close(self) -> None:
        """End the threads that read images."""
        self._threads.shutdown()

    async def compare(self, given: Comparison) -> dict[str, Any]:
        """Predictions for one pair or several."""
        model = self._model(given.model)
        if given.pairs is None:
            texts, places = [given.left or "", given.right or ""], ["left", "right"]
        else:
            texts = [text for pair in given.pairs for text in (pair.left, pair.right)]
            places = [f"pairs[{row}].{side}" for row in range(len(given.pairs)) for side in ("left", "right")]
        images = await self._images(texts, places, model, given.resize)
        found = await self._batcher.compare(model, images, np.arange(len(images)).reshape(-1, 2).T)
        rows = [_row(found, row, given.levels) for row in range(len(images) // 2)]
        return {"model": model.name, **rows[0]} if given.pairs is None else {"model": model.name, "pairs": rows}

    async def score(self, given: Images) -> dict[str, Any]:
        """Scores of images."""
        model, scores = await self._scores(given)
        return {"model": model.name, "scores": scores.tolist()}

    async def rank(self, given: Images) -> dict[str, Any]:
        """Images by their scores, the highest first; equal scores share a place."""
        model, scores = await self._scores(given)
        ranking = [
            {"place": 1 + int((scores > scores[image]).sum()), "image": image, "score": float(scores[image])}
            for image in np.argsort(-scores, kind="stable").tolist()
        ]
        return {"model": model.name, "ranking": ranking}

    async def explain(self, given: OnePair) -> dict[str, Any]:
        """What each spot of both images contributes to the logit."""
        model = self._model(given.model)
        pair = await self._images([given.left, given.right], ["left", "right"], model, given.resize)
        height, width = pair[0].shape[1:]
        spots = Spots.of(height, width, Path("request"), few=height * width > _FEW_SPOTS)
        at_a_time = max(1, min(_SPOTS_AT_A_TIME, _PIXELS_AT_A_TIME // (height * width)))
        whole = await self._batcher.compare(model, pair, np.array([[0], [1]]))
        maps: dict[str, Any] = {}
        for side, name in enumerate(("left", "right")):
            covered: list[float] = []
            for start in range(0, len(spots.places), at_a_time):
                some = spots.places[start : start + at_a_time]
                images = [*pair, *(spots.covered(pair[side], top, left) for top, left in some)]
                numbers = np.arange(2, len(images))
                sides = [np.full(len(some), 0), np.full(len(some), 1)]
                sides[side] = numbers
                found = await self._batcher.compare(model, images, np.stack(sides))
                covered += found.logit.tolist()
            grid = whole.logit[0] - np.array(covered).reshape(len(spots.tops), len(spots.lefts))
            maps |= {name: grid.tolist(), f"{name}_image": as_png(pair[side])}
        return {"model": model.name, "logit": float(whole.logit[0]), **maps}

    async def _scores(self, given: Images) -> tuple[Served, np.ndarray]:
        model = self._model(given.model)
        if not model.scores:
            raise InputError(f"model: {model.name!r} compares pairs and scores no images; use /compare")
        places = [f"images[{number}]" for number in range(len(given.images))]
        images = await self._images(given.images, places, model, given.resize)
        return model, await self._batcher.score(model, images)

    async def _images(
        self, texts: Sequence[str], places: Sequence[str], model: Served, resize: bool
    ) -> list[np.ndarray]:
        if len(texts) > self._limits.images:
            raise InputError(f"request: has {len(texts):,} images; send {self._limits.images:,} or fewer at a time")
        read = self._readers[model.name].read
        if sum(map(len, texts)) <= _READ_AT_ONCE:
            return read(texts, places, resize)
        return await asyncio.get_running_loop().run_in_executor(self._threads, read, texts, places, resize)

    def _model(self, name: str | None) -> Served:
        if name is None:
            return next(iter(self._models.values()))
        if name not in self._models:
            raise UnknownModel(f"model: there is no {name[:100]!r}; there is {', '.join(self._models)}")
        return self._models[name]


def _row(found: Prediction, row: int, levels: bool) -> dict[str, Any]:
    """The prediction for a pair, as JSON values."""
    values: dict[str, Any] = {"probability": float(found.probability[row]), "logit": float(found.logit[row])}
    if found.tie is not None:
        values["tie"] = float(found.tie[row])
    if levels and found.levels is not None:
        left, right = found.levels[row].tolist()
        values["levels"] = {"left": left, "right": right}
    return values
