"""The page beside a ranking: what people said of the images, and whether more of it would help."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinrank.core.context import Context
from twinrank.core.provenance import provenance
from twinrank.evaluation.agreement import best_known_agreement
from twinrank.evaluation.learning_curve import score_curve
from twinrank.reporting.ranking_page import Ranking, write_ranking_page

if TYPE_CHECKING:
    # That module writes a page for each ranking.
    from twinrank.workflows.rank import ScoredImages


def write_page(scored: "ScoredImages", runs: Sequence[Path], out: Path, context: Context = Context()) -> Path:
    """Write the page of a ranking.

    The learning curve is about images that training did not use: judgements of others may have been fitted.

    Args:
        scored: Images with scores.
        runs: Run folders that scored them.
        out: Path of the page.
        context: The command.

    Raises:
        InputError: The page cannot be written.
    """
    about = {"network": " and ".join(run.resolve().name for run in runs), "images": str(scored.images.path)}
    if scored.judgements is not None:
        about["judgements"] = str(scored.judgements.path)
    made = provenance(context.command)
    ranking = Ranking(
        title=scored.images.path.resolve().name,
        names=scored.names,
        scores=scored.scores,
        picture=lambda image: scored.images.take(np.array([image]))[0],
        network=scored.network,
        judgements=scored.comparisons,
        notes=scored.notes,
        about=about,
        version=made["version"] or "",
        command=context.command,
        **_told_by_judgements(scored),
    )
    return write_ranking_page(ranking, out)


def _told_by_judgements(scored: "ScoredImages") -> dict[str, Any]:
    """Agreement, ceiling and learning curve, as far as the judgements tell them."""
    rows, told = scored.comparisons, {}
    if rows is None:
        return told
    images = np.stack([rows.left, rows.right], 1)
    found = best_known_agreement(rows.y, images, tie=rows.tie, weight=rows.weight, rater=rows.rater)
    if found is not None:
        told |= {"agreement": found.agreement, "ceiling": found.ceiling}
        told |= {"own": found.own, "with_ties": found.with_ties}
    unused = rows.select(~(scored.used[rows.left] | scored.used[rows.right]))
    scores = scored.scores
    if (curve := score_curve(scored.network, scores.prior.tau, unused, scores.judging)) is not None:
        told |= {"curve": curve, "not_in_curve": len(rows) - len(unused)}
    return told
