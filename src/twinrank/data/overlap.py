"""Images that training used, in other files; and what a reader of a run's results must know of its files."""

import numpy as np

from twinrank.core.run_records import sharing_in_words
from twinrank.data.balance import label_imbalance
from twinrank.data.judgements import Judgements


def images_in_rows(data: Judgements) -> np.ndarray:
    """Hashes of the images that rows have, each once, sorted, uint64 (K,); without images of one value throughout.

    Args:
        data: Judgements.
    """
    found, used = data.images.fingerprints, np.unique(np.concatenate([data.left, data.right]))
    return np.unique(found.hashes[used[~found.uniform[used]]])


def seen_images(data: Judgements, hashes: np.ndarray) -> np.ndarray:
    """Which images training used, bool (N, 2), left and right.

    Args:
        data: N judgements.
        hashes: Hashes of the images of training, uint64 (K,), see :func:`images_in_rows`.
    """
    found, sides = data.images.fingerprints, np.stack([data.left, data.right], 1)
    return (np.isin(found.hashes, hashes) & ~found.uniform)[sides]


def training_warnings(train: Judgements, val: Judgements | None, antisymmetric: bool) -> list[str]:
    """What a reader of the results of a training must know of its files, a line each; empty where all is well.

    Args:
        train: Labelled pairs that are fitted.
        val: Labelled pairs that choose the epoch, or None.
        antisymmetric: Whether the network takes both sides alike. One that does not learns which side wins more often.
    """
    lines = []
    if val is not None and (seen := seen_images(val, images_in_rows(train))).any():
        images = len(np.unique(val.image_codes[seen]))
        lines.append(sharing_in_words(val.path, images, int(seen.any(1).sum()), len(val)))
    decided = np.empty(0) if train.y is None else train.y[train.decided] > 0.5
    if not antisymmetric and len(decided) and (imbalance := label_imbalance(decided)):
        lines.append(
            f"{train.path}: {imbalance}, and this network sees sides, so it learns which side wins;"
            " use an antisymmetric network, or swap sides"
        )
    return lines
