"""Latent orders of all folds, fitted at once."""

import numpy as np
import torch

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.linear_scores import FoldMasks
from twinrank.models.comparators import LatentOrder
from twinrank.training.latent_order import LatentScores, fit_latent_order

IMAGES, FOLDS = 30, 3


def _fitted(features: np.ndarray, rows: Comparisons, folds: FoldMasks) -> tuple[LatentOrder, LatentScores]:
    torch.manual_seed(0)
    order = LatentOrder(features.shape[1], levels=4, standardised=True)
    scale = np.ones(features.shape[1])
    return order, fit_latent_order(order, lambda x: x, scale, features, np.arange(5), rows, folds, Judging(), 0)


def test_orders_learn_from_their_own_judgements_alone() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(IMAGES, 6)).astype(np.float32)
    left, step = random.integers(0, IMAGES, 400), random.integers(1, IMAGES, 400)
    right = (left + step) % IMAGES
    part = np.arange(IMAGES) % FOLDS
    # A fold leaves out a third of the images; judgements across parts are predicted by one that saw neither.
    fitted = np.stack([(part[left] != fold) & (part[right] != fold) for fold in range(FOLDS)])
    rows = Comparisons(left, right, (features[left, 0] > features[right, 0]).astype(np.float64))
    order, found = _fitted(features, rows, FoldMasks(part[left], fitted))
    logit = order(torch.from_numpy(features[left]), torch.from_numpy(features[right])).detach().numpy()
    assert ((logit > 0) == (rows.y > 0.5)).mean() > 0.9
    within = part[left] == part[right]
    assert ((found.out_of_fold > 0) == (rows.y > 0.5))[within].mean() > 0.8
    assert np.corrcoef(found.unseen, features[:, 0])[0, 1] > 0.8
    # The others are not there, and the first one is as it was.
    alone, known = FoldMasks(np.zeros(400, np.int64), fitted[:1]), part[left] == 0
    _, first = _fitted(features, rows, alone)
    np.testing.assert_allclose(first.out_of_fold[known], found.out_of_fold[known], rtol=1e-3, atol=1e-3)
    assert np.isfinite(first.unseen).sum() == (part == 0).sum()
