"""From judgements to a network and a ranking, without an option."""

import os
from collections.abc import Mapping
from typing import Any

from twinrank.api.values import as_path, source
from twinrank.workflows.fit import Fitted
from twinrank.workflows.fit import fit as fit_judgements

__all__ = ["fit"]


def fit(
    judgements: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "runs/fit",
    minutes: float = 15.0,
    groups: str | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    **reading: Any,
) -> Fitted:
    """Fit what suits judgements, and rank all images. It needs the extra ``backbones``.

    >>> fitted = tr.fit("votes.csv", "photos")  # doctest: +SKIP
    >>> print(*fitted.found["said"], sep="\\n")  # doctest: +SKIP
    >>> fitted.ranking.names[fitted.ranking.scores.mean.argmax()]  # doctest: +SKIP

    Args:
        judgements: Table of judgements, or a folder with one; or pairs of arrays, such as an NPZ file.
        images: Folder of the images that the table names; that of the table by default.
        out: Folder of everything that is made: model, ranking, report.
        minutes: Time for trying several ways; heads that are tried first are always finished.
        groups: Column of groups of images, such as patients or places, which are held out whole; or two, separated by a
            comma. "none" holds out images, also where they lie in several folders.
        columns: Columns of the table where their names do not tell, such as ``{"left": "photo_1"}``.
        seed: Seed of all random numbers.
        reading: How image files become pixels, where that is not tried: ``size``, ``fit``, ``background``, ``range``,
            ``page``, see :class:`twinrank.data.images.reading.Reading`.

    Returns:
        ``model``, the run folder, and ``ranking``, what :func:`rank` gives; None of arrays whose images occur once
        each. ``found`` has what ``fit.json`` has: figures of the test and of other held-out images, and sentences,
        ``said``.

    Raises:
        InputError: The table or the images are refused, or there are too few judgements.
    """
    values = {"minutes": minutes, "seed": seed, "groups": groups}
    given = source(images, columns, **reading)
    return fit_judgements(as_path(judgements, "judgements"), as_path(out, "out"), given, **values)
