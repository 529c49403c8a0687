"""Predictions of all pairs of some images, compared with one ranking."""

from pathlib import Path
from typing import Any, NamedTuple

from twinrank.core.context import Context
from twinrank.data.pool import Pool, pool_of
from twinrank.data.source import Source
from twinrank.evaluation.order import OrderReport, images_in_words, order_report
from twinrank.inference.predictor import Predictor, described


class Ordered(NamedTuple):
    """How close to one ranking the decisions about all pairs of some images are.

    Attributes:
        pool: Images.
        report: Report on the decisions about them.
        meta: File of the images and the predictor of the decisions, as in
            :attr:`twinrank.evaluation.predictions.Predictions.meta`.
    """

    pool: Pool
    report: OrderReport
    meta: dict[str, Any]

    @property
    def rows(self) -> str:
        """The images in words, and how training used their file."""
        return images_in_words(self.meta | {"images": len(self.pool)})


def order(
    predictor: Predictor,
    file: Path,
    number: int,
    seed: int = 0,
    source: Source | None = None,
    context: Context = Context(),
) -> Ordered:
    """Predict all pairs of some images of a file, and compare the decisions with one ranking.

    Args:
        predictor: Predictor of the decisions.
        file: Pair file; its labels are not used.
        number: Number of images, taken at random.
        seed: Seed of that choice and of the resamples of the intervals.
        source: Where the images of a table are.
        context: Listeners.

    Raises:
        InputError: The file is refused, holds fewer different images, or they do not fit the predictor.
    """
    pool = pool_of(predictor.form.load(Path(file), None, source, context), number, seed)
    report = order_report(predictor.tournament(pool), seed=seed)
    meta = {"data": {"path": str(pool.path), "sha256": pool.sha256}, "seed": seed}
    return Ordered(pool, report, meta | described(predictor, pool.sha256))
