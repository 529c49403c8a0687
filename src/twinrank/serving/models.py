"""The networks that a server has, and what each of them can do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from twinrank.core.randomness import numpy_generator
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.vote_calibration import probability_of_left
from twinrank.inference.blocks import IMAGES_A_BLOCK, small, steady_blocks
from twinrank.inference.form import ImageForm
from twinrank.inference.predictor import Predictor
from twinrank.runs import FITTED, fitted_run

_SIZES = (2, 4, 8, 16, 24, IMAGES_A_BLOCK, 48, 64, 96, 128)
"""Images of a block, as far as a network gives the same bits in it."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N pairs.

    Attributes:
        probability: Probabilities that left ranks higher where a side is decided for, float64 (N,).
        logit: Their logits, float64 (N,).
        tie: Probabilities of ties, float64 (N,); None where ties are not modelled.
        levels: Probabilities of the latent levels of both images, lowest first, float64 (N, 2, K), or None.
    """

    probability: np.ndarray
    logit: np.ndarray
    tie: np.ndarray | None
    levels: np.ndarray | None

    def equals(self, other: "Prediction") -> bool:
        """Whether another one has the same bits."""
        same = np.array_equal(self.logit, other.logit)
        return same and (self.levels is None or other.levels is None or np.array_equal(self.levels, other.levels))

    def rows(self, rows: slice) -> "Prediction":
        """Those of some pairs."""
        tie, levels = (None if each is None else each[rows] for each in (self.tie, self.levels))
        return Prediction(self.probability[rows], self.logit[rows], tie, levels)


class Served(Protocol):
    """What a server needs of a model: a :class:`Model`, or one in another process."""

    @property
    def name(self) -> str:
        """Name that requests choose it by."""
        ...

    @property
    def form(self) -> ImageForm:
        """Form of the images that it takes."""
        ...

    @property
    def scores(self) -> bool:
        """Whether it scores single images."""
        ...

    def compare(self, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> Prediction:
        """See :meth:`Model.compare`."""
        ...

    def score(self, images: np.ndarray) -> np.ndarray:
        """See :meth:`Model.score`."""
        ...

    def described(self) -> dict[str, Any]:
        """See :meth:`Model.described`."""
        ...


class Model:
    """A predictor with a name.

    Args:
        name: Name that requests choose it by.
        predictor: Predictor.

    Attributes:
        name: Name.
        form: Form of the images that it takes.
        ties: Whether it models ties.
        levels: Number of its latent levels; 0 for none.
        scores: Whether it scores single images.
    """

    def __init__(self, name: str, predictor: Predictor) -> None:
        self.name = name
        self.form: ImageForm = replace(predictor.form, name=f"the model {name!r}")
        self._predictor = predictor
        self._identity = predictor.identity()
        # The first prediction also takes the time that a first one takes.
        self._sizes: tuple[int, ...] = (IMAGES_A_BLOCK,)
        many = small(*self.form.shape[1:])
        tried = numpy_generator(0, "serving").integers(0, 256, (64 if many else 2, *self.form.shape), np.uint8)
        found = self._tried(tried)
        if many:
            self._sizes = tuple(size for size in _SIZES if self._tried(tried, size).equals(found))
        self.ties = found.tie is not None
        self.levels = 0 if found.levels is None else found.levels.shape[2]
        try:
            self.score(tried[:2])
            self.scores = True
        except InputError:
            self.scores = False

    def _tried(self, images: np.ndarray, size: int = IMAGES_A_BLOCK) -> Prediction:
        """Predictions for pairs of the images at hand, in blocks of one size."""
        self._sizes = (size,)
        left, right = np.arange(len(images)).reshape(-1, 2).T
        return self.compare(images, left, right)

    def compare(self, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> Prediction:
        """Predictions for pairs of some images. Those for a pair do not depend on the others, to the bit.

        Args:
            images: M different images, uint8 (M, C, H, W).
            left: Numbers of the left images, int64 (N,).
            right: Numbers of the right images, int64 (N,).
        """
        where = Path("request")
        data = Judgements(ImageStore.from_arrays(images, name="request"), left, right, None, None, where, "")
        with steady_blocks(self._sizes):
            logit, levels = self._predictor.logits_and_levels(data)
        calibrated = self._predictor.calibrated(logit)
        z = np.asarray(logit if calibrated is None else calibrated, np.float64)
        posterior = None if levels is None else np.exp(np.asarray(levels, np.float64))
        return Prediction(probability_of_left(z), z, self._predictor.ties(logit), posterior)

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores of images, float64 (M,), a higher one for an image that ranks higher.

        Args:
            images: Images, uint8 (M, C, H, W).

        Raises:
            InputError: The predictor compares pairs only.
        """
        with steady_blocks():
            return self._predictor.scores(ImageStore.from_arrays(images, name="request"))

    def described(self) -> dict[str, Any]:
        """What clients may know of it, as JSON values."""
        channels, height, width = self.form.shape
        return {
            "name": self.name,
            "network": self._identity["model"],
            "channels": channels,
            "height": height,
            "width": width,
            "any_size": self.form.resized,
            "drawn": self.form.drawn,
            "question": self.form.question,
            "levels": self.levels,
            "ties": self.ties,
            "scores": self.scores,
        }


def names_of(paths: Sequence[Sequence[Path]]) -> list[str]:
    """Names of models: each the end of its path that no other has, and the names of several joined by ``+``.

    >>> names_of([[Path("a/fit")], [Path("b/fit")], [Path("c/model.onnx"), Path("d/first")]])
    ['a/fit', 'b/fit', 'c/model.onnx+d/first']

    Args:
        paths: Folders or files of each model.

    Raises:
        InputError: A model is there twice.
    """
    resolved = [[_meant(path.resolve()).parts for path in each] for each in paths]
    longest = max(len(parts) for each in resolved for parts in each)
    names: list[str] = []
    for length in range(1, longest + 1):
        names = ["+".join("/".join(parts[-length:]) for parts in each) for each in resolved]
        if len({*names}) == len(names):
            return names
    last = next(number for number, name in enumerate(names) if name in names[:number])
    first, again = (",".join(map(str, paths[number])) for number in (names.index(names[last]), last))
    what = "is named twice" if again == first else f"the same model as {first}"
    raise InputError(f"{again}: {what}; name each model once")


def _meant(path: Path) -> Path:
    """The folder that people know: that of ``twinrank fit`` instead of the model in it."""
    return path.parent if path.name == FITTED and fitted_run(path.parent) == path else path
