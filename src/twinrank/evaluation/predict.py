"""What a network says about pairs."""

from collections.abc import Iterator

import numpy as np
import torch

from twinrank.data.pairs import PairData
from twinrank.evaluation.predictions import Predictions
from twinrank.models.comparators import LatentOrder
from twinrank.models.siamese import SiameseNet

_PIXELS_A_BATCH = 500 * 28 * 28


def predict_logits(model: SiameseNet, data: PairData) -> np.ndarray:
    """Logits of every pair, float32 (N,), positive where the left image is held to rank higher.

    Args:
        model: in evaluation mode, on the device to use.
        data: N pairs.
    """
    with torch.inference_mode():
        return _joined(model.comparator(*features) for features in _features(model, data))


def predict(model: SiameseNet, data: PairData) -> Predictions:
    """Logits of every pair with their row ids, labels and, if the network has any, latent levels, lowest first.

    Arguments as :func:`predict_logits`.
    """
    if not isinstance(model.comparator, LatentOrder):
        return Predictions(data.row_ids, predict_logits(model, data), data.y)
    with torch.inference_mode():
        sides = zip(*_features(model, data), strict=True)
        levels_a, levels_b = (torch.cat([model.comparator.posterior(part) for part in side]) for side in sides)
        logit = model.comparator.compare(levels_a, levels_b)
        ranking = model.comparator.ranking()
        ranked_a, ranked_b = (side[:, ranking].cpu().numpy() for side in (levels_a, levels_b))
    return Predictions(data.row_ids, logit.cpu().numpy(), data.y, ranked_a, ranked_b)


def _features(model: SiameseNet, data: PairData) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    device = next(model.parameters()).device
    rows = max(1, _PIXELS_A_BATCH // data.xa[0, 0].size)
    for start in range(0, len(data), rows):
        xa, xb = (torch.from_numpy(side[start : start + rows]).to(device) for side in (data.xa, data.xb))
        left, right = model.embed(xa, xb)
        yield left.features, right.features


def _joined(parts: Iterator[torch.Tensor]) -> np.ndarray:
    return torch.cat(list(parts)).cpu().numpy()
