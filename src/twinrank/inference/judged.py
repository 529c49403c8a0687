"""Judgements as comparisons of the images of one store."""

import numpy as np

from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons


def as_comparisons(judgements: Judgements, images: ImageStore | None = None) -> Comparisons:
    """Judgements as arrays, with the numbers of the images in a store.

    An image is found by its pixels. Of several with the same pixels it is the one with the same name, else the first.
    Left out are judgements of an image that the store does not have, and of two images with the same pixels.

    Args:
        judgements: Labelled judgements.
        images: Store; None for that of the judgements.

    Raises:
        InputError: The judgements have no outcomes.
    """
    if judgements.y is None:
        raise InputError(f"{judgements.path}: has no outcomes; give judgements with labels, winners or votes")
    place = np.arange(len(judgements.images)) if images is None else _places(judgements.images, images)
    left, right = place[judgements.left], place[judgements.right]
    kept = (left >= 0) & (right >= 0) & (left != right)
    optional = judgements.tie, judgements.weight, judgements.rater
    tie, weight, rater = (None if each is None else each[kept] for each in optional)
    return Comparisons(left[kept], right[kept], judgements.y[kept], tie, weight, rater)


def _places(judged: ImageStore, images: ImageStore) -> np.ndarray:
    """Number in ``images`` of each judged image, int64; -1 where it is not there."""
    hashes, first = np.unique(images.hashes, return_index=True)
    at = np.minimum(np.searchsorted(hashes, judged.hashes), len(hashes) - 1)
    place = np.where(hashes[at] == judged.hashes, first[at], -1)
    if judged.names is None or images.names is None:
        return place
    by_name = {name: number for number, name in enumerate(images.names.tolist())}
    named = np.array([by_name.get(name, -1) for name in judged.names.tolist()])
    same = (named >= 0) & (images.hashes[named] == judged.hashes)
    return np.where(same, named, place)
