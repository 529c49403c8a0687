"""From judgements to a network and a ranking, without an option."""

import os
from collections.abc import Mapping

from twinrank.api.values import as_path
from twinrank.data.source import Source
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

    Returns:
        ``model``, the run folder, and ``ranking``, what :func:`rank` gives; None of arrays whose images occur once
        each. ``found`` has what ``fit.json`` has: figures of the test and of other held-out images, and sentences,
        ``said``.

    Raises:
        InputError: The table or the images are refused, or there are too few judgements.
    """
    where = None if images is None else as_path(images, "images")
    values = {"minutes": minutes, "seed": seed, "groups": groups}
    source = Source(where, columns or {})
    return fit_judgements(as_path(judgements, "judgements"), as_path(out, "out"), source, **values)
