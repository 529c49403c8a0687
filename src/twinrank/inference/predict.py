"""Predictions of a network for pairs."""

import copy
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from twinrank.core.device import on_device
from twinrank.data.batch_sizes import rows_a_batch, rows_a_chunk
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.blocks import PAIRS_A_BLOCK, filled, image_blocks, is_steady
from twinrank.inference.features import frozen_features
from twinrank.inference.predictor import Pairwise
from twinrank.models.comparators import LatentOrder
from twinrank.models.siamese import SiameseNet

_PAIRS_A_BATCH = 500


def predict_logits(model: SiameseNet, data: Judgements) -> np.ndarray:
    """Logits of every pair, float32 (N,), positive where left is predicted to rank higher.

    Args:
        model: Network in evaluation mode, on the device to use.
        data: N pairs.
    """
    with torch.inference_mode():
        return _joined(data, (model.comparator(*features) for features in _features(model, data)))


def predict(model: SiameseNet, data: Judgements) -> Predictions:
    """Logits of every pair with their row ids, labels and, if the network has any, latent levels, lowest first.

    Arguments as :func:`predict_logits`.
    """
    if not isinstance(model.comparator, LatentOrder):
        return Predictions(data.row_ids, predict_logits(model, data), data.y)
    with torch.inference_mode():
        sides = [tuple(map(model.comparator.posterior, features)) for features in _features(model, data)]
        # Batch by batch, as predict_logits does it: so both agree to the bit.
        logit = _joined(data, (model.comparator.compare(*posteriors) for posteriors in sides))
        ranking = model.comparator.ranking()
        levels_a, levels_b = (_joined(data, (part[:, ranking] for part in side)) for side in zip(*sides, strict=True))
    return Predictions(data.row_ids, logit, data.y, levels_a, levels_b)


def pairwise_logits(model: SiameseNet, images: np.ndarray) -> Pairwise:
    """Logits of all ordered pairs of some images, each of which goes through the tower once.

    Both orders of a pair are compared, at the same place of a batch. So the logits of an antisymmetric network are
    antisymmetric to the bit, and those of another network are not.

    Args:
        model: Network in evaluation mode, on the device to use.
        images: Images, uint8, or float32 in [0, 1], (M, C, H, W).
    """
    device = next(model.parameters()).device
    levels = None
    compare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = model.comparator
    with torch.inference_mode():
        compared = image_features(model, ImageStore.from_arrays(images)).float()
        if isinstance(model.comparator, LatentOrder):
            compare, compared = model.comparator.compare, model.comparator.posterior(compared)
            levels = compared[:, model.comparator.ranking()].cpu().numpy()
        logit = torch.zeros(len(images), len(images), device=device)
        for first, second in torch.triu_indices(len(logit), len(logit), 1, device=device).split(_PAIRS_A_BATCH, 1):
            logit[first, second] = compare(compared[first], compared[second])
            logit[second, first] = compare(compared[second], compared[first])
    return Pairwise(logit.cpu().numpy(), levels)


def image_features(model: SiameseNet, images: ImageStore, chosen: np.ndarray | None = None) -> torch.Tensor:
    """Features of images, float32 (M, F), on the device of the network; each image goes through the tower once.

    Those of a frozen tower are float16, see :func:`twinrank.inference.features.frozen_features`.

    Args:
        model: Network in evaluation mode, on the device to use.
        images: Store of images.
        chosen: Numbers of images, int (M,); None is all.
    """
    device = next(model.parameters()).device
    if model.freeze == "all":
        return torch.from_numpy(frozen_features(model, images, chosen)).to(device)
    chosen, rows = np.arange(len(images)) if chosen is None else chosen, _rows_a_batch(images, device)
    if is_steady():
        # Images without their margins go through the tower by size, so here each goes alone.
        blocks = image_blocks(chosen, *images.shape[1:], alone=model.trim)
        model = copy.copy(model)
        model.views_at_once = True
    else:
        blocks = (chosen[start : start + rows] for start in range(0, len(chosen), rows))
    with torch.inference_mode():
        features = [model.embed_batch(on_device(images.take(block), device)).features for block in blocks]
        return torch.cat(features)[: len(chosen)]


def _features(model: SiameseNet, data: Judgements) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Features of left and right images, some pairs at a time; the last block may be filled with its last pair."""
    device, steady = next(model.parameters()).device, is_steady()
    if data.shared or model.freeze == "all" or steady:
        used, places = np.unique(np.concatenate([data.left, data.right]), return_inverse=True)
        features = image_features(model, data.images, used)
        sides = places.reshape(2, -1)
        sides = torch.from_numpy(filled(sides, PAIRS_A_BLOCK) if steady else sides).to(device)
        for left, right in sides.split(PAIRS_A_BLOCK if steady else _PAIRS_A_BATCH, 1):
            yield features[left].float(), features[right].float()
        return
    rows = _rows_a_batch(data.images, device)
    for start in range(0, len(data), rows):
        xa, xb = (on_device(data.images.take(side[start : start + rows]), device) for side in (data.left, data.right))
        left, right = model.embed(xa, xb)
        yield left.features, right.features


def _rows_a_batch(images: ImageStore, device: torch.device) -> int:
    """Number of pairs that go through a network together: few fill the caches of a CPU, and many a GPU."""
    return (rows_a_chunk if device.type == "cuda" else rows_a_batch)(*images.shape[1:])


def _joined(data: Judgements, parts: Iterable[torch.Tensor]) -> np.ndarray:
    """One row for each pair, from the parts of :func:`_features`."""
    return torch.cat(list(parts))[: len(data)].cpu().numpy()
