"""Images ranked by a network and by judgements, and the pairs to judge next."""

import os
from collections.abc import Sequence

from numpy.typing import ArrayLike

from twinrank.api.runs import Run
from twinrank.api.values import as_path, as_run
from twinrank.data.formats.image_arrays import checked_images
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.evaluation.next_pairs import NextPairs
from twinrank.evaluation.next_pairs import next_pairs as library_next_pairs
from twinrank.workflows.rank import ScoredImages, score_images

__all__ = ["next_pairs", "rank"]


def rank(
    run: str | os.PathLike[str] | Run | Sequence[str | os.PathLike[str] | Run],
    images: str | os.PathLike[str] | ArrayLike | ImageStore,
    judgements: str | os.PathLike[str] | Judgements | None = None,
    seed: int = 0,
) -> ScoredImages:
    """Score and rank images by a trained network, and by judgements of them if there are any.

    >>> images = tr.load_pairs("data/val.npz").xa[:20]
    >>> ranked = tr.rank("runs/first", images)
    >>> ranked.scores.mean.shape, sorted(ranked.scores.rank.tolist()) == list(range(1, 21))
    ((20,), True)

    Args:
        run: Run, or its folder; the scores of several are averaged.
        images: Folder of images, or an array, uint8 or float in [0, 1], (M, H, W) or (M, C, H, W).
        judgements: Judgements of these images: a path that :func:`load_pairs` reads, or what it gave. Names in a table
            are looked for in the folder of images. Those that training used count twice, so intervals are too narrow.
        seed: Seed of the random draws behind intervals.

    Returns:
        ``names`` of the images, (M,), and ``scores``: ``mean``, ``low``, ``high`` (95%), ``rank`` (1 is the highest),
        ``rank_low``, ``rank_high``, ``comparisons``, (M,) each. A difference of 1 is a log-odds of 1.

    Raises:
        InputError: A run, an image or the judgements are refused.
    """
    several = [run] if isinstance(run, str | os.PathLike | Run) else run
    if isinstance(images, str | os.PathLike):
        images = as_path(images, "images")
    elif not isinstance(images, ImageStore):
        images = ImageStore.from_arrays(checked_images(images), name="`images`")
    if judgements is not None and not isinstance(judgements, Judgements):
        judgements = as_path(judgements, "judgements")
    return score_images([as_run(each, "run") for each in several], images, judgements, seed=seed)


def next_pairs(
    scored: ScoredImages, count: int = 100, share_random: float = 0.1, per_image: int | None = None, seed: int = 0
) -> NextPairs:
    """Choose the pairs of ranked images to judge next: those that tell most about the scores.

    >>> ranked = tr.rank("runs/first", tr.load_pairs("data/val.npz").xa[:20])
    >>> chosen = tr.next_pairs(ranked, count=10, share_random=0.2)
    >>> len(chosen), int(chosen.random.sum())
    (10, 2)

    Args:
        scored: What :func:`rank` gave.
        count: Number P of pairs.
        share_random: Share of the pairs that is drawn at random. Only these measure accuracy honestly.
        per_image: Most pairs with one image; None for twice the average, at least 2.
        seed: Seed of the choice.

    Returns:
        ``left`` and ``right``, numbers of images, (P,); ``random``; ``gain`` in bits; the share of pairs that the
        ranking is expected to order rightly, ``right_now`` and ``right_after``; and whether it has ``settled``.

    Raises:
        InputError: There are fewer than two images, or a value is out of range.
    """
    return library_next_pairs(scored.scores, count, share_random, per_image, seed)
