"""The head of a frozen network, fitted to judgements with a cross-validation over images."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.core.device import keep_freed
from twinrank.core.randomness import numpy_generator
from twinrank.core.steps import peak_memory
from twinrank.data.folds import Folds, assign_folds
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation import metrics
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.linear_scores import FoldMasks, fit_linear_scores, log_loss_of, stacked
from twinrank.inference.features import frozen_features
from twinrank.inference.out_of_fold import OutOfFold
from twinrank.models.comparators import LEAST_DEVIATION, LinearScore, MixedHead
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import save_weights
from twinrank.runs import RunFolder
from twinrank.training.hooks import Hooks
from twinrank.training.latent_order import fit_latent_order

_IMAGES_AT_ONCE, _LARGE = 8_192, 1 << 26
"""Images that are standardised at a time; and bytes of a block of memory that is given back once it is free."""
_FOLDS = 13, 7
"""Of cross-validation. Where images recur, a fold leaves out 4 of 13 parts of the images, or 3 of 7 if they are few."""


def fit_head(
    run: RunFolder,
    model: SiameseNet,
    description: dict[str, Any],
    pairs: Judgements,
    config: TrainConfig,
    hooks: Hooks,
) -> None:
    """Fit the head, and write weights, a history of one entry, and the out-of-fold predictions.

    The ridge of each block of features, one for each map of the backbone and one for all, is chosen by
    cross-validation over images. A mixed head has a latent order besides. The weights of both are fitted to their
    out-of-fold logits. The metrics of the entry are those of the out-of-fold predictions.

    Args:
        run: Run folder.
        model: Network with a frozen tower and a :class:`LinearScore` or a :class:`MixedHead`, on the device to use.
        description: Values of a :class:`twinrank.models.weights.Description`.
        pairs: Judgements to fit.
        config: Training values.
        hooks: Calls to the outside.

    Raises:
        InputError: There are too few images, or a file cannot be written.
    """
    hooks.epoch_started(1)
    started = time.perf_counter()
    features = frozen_features(model.eval(), pairs.images, progress=hooks.progress)
    computed = time.perf_counter() - started
    keep_freed(_LARGE)
    assert pairs.y is not None
    rows = Comparisons(pairs.left, pairs.right, pairs.y, pairs.tie, pairs.weight, pairs.rater)
    folds = _folds(pairs, config.seed)
    masks = FoldMasks(folds.fold, np.stack([folds.apart(fold) for fold in range(folds.count)]))
    head = model.comparator
    if isinstance(head, MixedHead):
        fitted = _fit_mixed(head, model, features, rows, masks, config.seed)
    else:
        assert isinstance(head, LinearScore)
        fitted, _ = _fit_linear(head, model, features, rows, masks, config.seed)
    entry = _entry(pairs, fitted, time.perf_counter() - started, len(features) / computed)
    OutOfFold.of(pairs.row_ids, fitted.out_of_fold, pairs.images.hashes, fitted.unseen).save(run.out_of_fold)
    run.write_history([entry])
    save_weights(run.weights, model, description)
    hooks.epoch_ended(entry, True)


class _Fitted(NamedTuple):
    """What a cross-validation predicts, as :class:`twinrank.evaluation.linear_scores.LinearScores` has it."""

    out_of_fold: np.ndarray
    unseen: np.ndarray
    judging: Judging
    log_loss: float


def _fit_linear(
    head: LinearScore, model: SiameseNet, features: np.ndarray, rows: Comparisons, folds: FoldMasks, seed: int
) -> tuple[_Fitted, np.ndarray]:
    """A linear score that is fitted, and how much it may make of each of its inputs, float64 (F + squared,)."""
    places = [*model.blocks, slice(0, model.tower.features)]
    if head.squared:
        places += [slice(model.features, len(head.mean)), slice(model.tower.features, len(head.mean))]
    variance = np.zeros(len(head.mean))
    fitted = fit_linear_scores(_blocks(head, features, places), rows, folds, seed=seed)
    with torch.no_grad():
        for place, block in zip(places, fitted.blocks, strict=True):
            head.mean[place] = torch.from_numpy(block.mean)
            head.weight[place] += torch.from_numpy(block.weight)
            variance[place] += (block.share * block.spread) ** 2 / len(block.mean)
    return _Fitted(fitted.out_of_fold, fitted.unseen, fitted.judging, fitted.log_loss), np.sqrt(variance)


def _fit_mixed(
    head: MixedHead, model: SiameseNet, features: np.ndarray, rows: Comparisons, folds: FoldMasks, seed: int
) -> _Fitted:
    """A linear score, a latent order on the same inputs, and their weights."""
    linear, scale = _fit_linear(head.linear, model, features, rows, folds, seed)
    chosen = numpy_generator(seed, "panel").choice(len(features), len(head.panel))
    latent = fit_latent_order(
        head.latent, head.linear.inputs, scale, features, chosen, rows, folds, linear.judging, seed
    )
    each = np.stack([linear.out_of_fold, latent.out_of_fold], 1)
    shares = stacked(each, rows, linear.judging)
    with torch.no_grad():
        head.panel.copy_(latent.panel)
        head.shares.copy_(torch.from_numpy(shares))
    unseen = np.stack([linear.unseen, latent.unseen], 1) @ shares
    return _Fitted(each @ shares, unseen, linear.judging, log_loss_of(each @ shares, rows, linear.judging))


def _blocks(head: LinearScore, features: np.ndarray, places: Sequence[slice]) -> list[np.ndarray]:
    """Blocks of what the head weighs; it takes from the features how it standardises the last of them.

    Args:
        head: Head.
        features: Features of M images, float16 (M, F).
        places: Places of the blocks, each before or after the first of the features that are standardised.

    Returns:
        Views of the features, float16, and of what the last of them become, float32 (M, 2 squared).
    """
    if not head.squared:
        return [features[:, place] for place in places]
    plain, last = features.shape[1] - head.squared, features[:, -head.squared :]
    with torch.no_grad():
        head.centre.copy_(torch.from_numpy(last.mean(0, np.float64)))
        head.deviation.copy_(torch.from_numpy(last.std(0, np.float64).clip(LEAST_DEVIATION)))
        parts = torch.from_numpy(last).split(_IMAGES_AT_ONCE)
        standardised = np.empty((len(last), 2 * head.squared), np.float32)
        for some, part in zip(torch.from_numpy(standardised).split(_IMAGES_AT_ONCE), parts, strict=True):
            some.copy_(head.inputs(part.to(head.mean.device).float()))
    return [
        features[:, place] if place.stop <= plain else standardised[:, place.start - plain : place.stop - plain]
        for place in places
    ]


def _folds(pairs: Judgements, seed: int) -> Folds:
    for number in _FOLDS[:-1]:
        with suppress(InputError):
            return assign_folds(pairs, number, 0, seed)
    return assign_folds(pairs, _FOLDS[-1], 0, seed)


def _entry(pairs: Judgements, fitted: _Fitted, seconds: float, speed: float) -> dict[str, Any]:
    y, logit, votes = pairs.y, fitted.out_of_fold, {"tie": pairs.tie, "weight": pairs.weight}
    assert y is not None
    return {
        "epoch": 1,
        "seconds": round(seconds, 3),
        "learning_rate": 0.0,
        "train": {"loss": fitted.log_loss},
        "val": {
            "accuracy": metrics.accuracy(y, logit, **votes),
            "f1": metrics.macro_f1(y, logit, **votes),
            "log_loss": metrics.log_loss(y, logit, **votes, nu=fitted.judging.nu),
        },
        "images_per_second": round(speed, 1),
        "memory_mb": round(peak_memory() / 1e6, 1),
    }
