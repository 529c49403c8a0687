"""Labels of pairs that have none, as a submission, from a predictor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from twinrank.benchmark.submission import write_in_parts
from twinrank.core.files import require_ending
from twinrank.data.judgements import Judgements, stream_pairs
from twinrank.errors import InputError


def write_labels(
    predict: Callable[[Judgements], np.ndarray],
    file: Path,
    out: Path,
    progress: Callable[[int, int], None] = lambda done, pairs: None,
) -> int:
    """Write the labels that are predicted for a file as a submission ``id,label``, chunk by chunk.

    Memory is that of the ids.

    Args:
        predict: :meth:`Predictor.logits`, which gets the chunks of :func:`twinrank.data.judgements.stream_pairs`.
        file: Pairs; neither labels nor ids are needed.
        out: CSV. It is written atomically, so nothing is left behind if a late chunk is refused.
        progress: Function that gets the number of pairs done, and of all pairs.

    Returns:
        Number of rows.

    Raises:
        InputError: The file or its images are refused, or ``out`` is no CSV, holds the pairs or cannot be written.
    """
    require_ending(out, ".csv")
    with stream_pairs(file) as stream:
        if Path(out).exists() and any(map(Path(out).samefile, stream.files)):
            raise InputError(f"{out}: holds the pairs themselves; choose another name with `out`")

        def labelled() -> Iterator[tuple[list[str], list[int]]]:
            done = 0
            for chunk in stream.chunks:
                yield chunk.row_ids.tolist(), (predict(chunk) > 0).astype(int).tolist()
                done += len(chunk)
                progress(done, stream.pairs)

        write_in_parts(Path(out), labelled())
    return stream.pairs
