"""Labels and probabilities of pairs that have none, from a predictor."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.special import expit

from twinrank.benchmark.submission import write_in_parts
from twinrank.core.context import Context
from twinrank.core.files import require_ending
from twinrank.core.messages import counted
from twinrank.data.inputs import require_other_files, require_own_columns
from twinrank.data.judgements import Judgements
from twinrank.data.overlap import seen_images
from twinrank.data.source import Source
from twinrank.evaluation.vote_calibration import probability_of_left
from twinrank.inference.form import ImageForm

COLUMNS = ("id", "label", "probability", "tie", "logit", "left", "right")
"""All columns that predictions may have."""


class Labeller(Protocol):
    """The part of a :class:`twinrank.inference.predictor.Predictor` that predictions of a file need."""

    @property
    def form(self) -> ImageForm:
        """The form of the images that it takes."""
        ...

    def logits(self, data: Judgements) -> np.ndarray:
        """Logits of pairs, float (N,)."""
        ...

    def ties(self, logit: np.ndarray) -> np.ndarray | None:
        """Probabilities of ties at logits, float (N,), or None."""
        ...

    def calibrated(self, logit: np.ndarray) -> np.ndarray | None:
        """Logits of probabilities, float64 (N,), or None where they are the logits themselves."""
        ...


def write_predictions(
    predictor: Labeller,
    file: Path,
    out: Path,
    *,
    probabilities: bool = False,
    source: Source | None = None,
    used: np.ndarray | None = None,
    context: Context = Context(),
    progress: Callable[[int, int], None] = lambda done, pairs: None,
) -> int:
    """Write what is predicted for a file as a CSV, chunk by chunk. Memory is that of the ids.

    The columns are ``id`` and ``label``, a submission to the benchmark. With ``probabilities`` there are also
    ``probability``, that left ranks higher where a side is decided for; ``tie``, that neither does, if the predictor
    models ties; and ``logit``, that of ``probability``. Where a table names the images, their names follow, as ``left``
    and ``right``.

    Args:
        predictor: Predictor; it gets the chunks of :func:`twinrank.data.stream.stream_pairs`.
        file: Pairs; neither labels nor ids are needed.
        out: CSV. It is written atomically, so nothing is left behind if a late chunk is refused.
        probabilities: Whether there are more columns than a submission has.
        source: Where the images of a table are.
        used: Hashes of the images that training used, uint64 (K,); a line says how many pairs are of these.
        context: Listeners.
        progress: Function that gets the number of pairs done, and of all pairs.

    Returns:
        Number of rows.

    Raises:
        InputError: The file or its images are refused, or ``out`` is no CSV, holds the pairs or cannot be written.
    """
    require_ending(out, ".csv")
    require_other_files([out], file, predictor.form.source(source))
    require_own_columns(Path(out), COLUMNS)
    known = 0
    with predictor.form.stream(file, source, context) as stream:

        def predicted() -> Iterator[dict[str, list[object]]]:
            nonlocal known
            done = 0
            for chunk in stream.chunks:
                logit = predictor.logits(chunk)
                known += 0 if used is None else int(seen_images(chunk, used).all(1).sum())
                columns = {"id": chunk.row_ids, "label": (logit > 0).astype(int)}
                if probabilities:
                    columns |= _probabilities(predictor, logit) | _names(chunk)
                yield {name: column.tolist() for name, column in columns.items()}
                done += len(chunk)
                progress(done, stream.pairs)

        parts = predicted()
        # The first part knows the columns.
        first = next(parts)
        write_in_parts(Path(out), ([*part.values()] for part in chain([first], parts)), [*first])
    if known:
        context.say(_used_in_training(file, known, stream.pairs))
    return stream.pairs


def _used_in_training(file: Path, known: int, pairs: int) -> str:
    return (
        f"{file}: training used both images of {known:,} of {counted(pairs, 'pair', 'pairs')}; where it used the"
        " judgement, too, the prediction is surer than it should be"
    )


def _probabilities(predictor: Labeller, logit: np.ndarray) -> dict[str, np.ndarray]:
    """The columns that a submission has not: probability, that of a tie if ties are modelled, and logit."""
    tie, calibrated = predictor.ties(logit), predictor.calibrated(logit)
    if calibrated is None:
        calibrated = np.asarray(logit, np.float64)
        left = expit(calibrated)
    else:
        left = probability_of_left(calibrated)
    return {"probability": left, **({} if tie is None else {"tie": tie}), "logit": calibrated}


def _names(chunk: Judgements) -> dict[str, np.ndarray]:
    """The names of both images, where a table names them."""
    if chunk.source is None or chunk.images.names is None:
        return {}
    return {"left": chunk.images.names[chunk.left], "right": chunk.images.names[chunk.right]}
