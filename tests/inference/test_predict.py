from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from twinrank.data import batch_sizes
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.inference import predict as module
from twinrank.inference.predict import pairwise_logits, predict, predict_logits
from twinrank.models.registry import create_model
from twinrank.models.siamese import SiameseNet

IMAGES = 11
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("order_net", {"width": 4, "levels": 5}),
    ("compare_net", {}),
    ("compare_net", {"antisymmetric": False}),
    ("resnet_optimized", {"width_mult": 0.0625, "stem_stride": 2, "layers": (1, 1, 1), "feat_dim": 16}),
]


def images(seed: int) -> np.ndarray:
    """Coarse patterns, which differ for a tower."""
    coarse = np.random.default_rng(seed).integers(0, 256, (IMAGES, 1, 4, 4), np.uint8)
    return np.kron(coarse * (coarse > 80), np.ones((7, 7), np.uint8))


def network(name: str, options: dict[str, Any]) -> SiameseNet:
    torch.manual_seed(1)
    model = create_model(name, options=options)
    # Statistics as they are in use, not as they are at the start.
    for seed in range(30):
        model(*(torch.from_numpy(images(10 * seed + side)) for side in (1, 2)))
    return model.eval()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=lambda value: str(value))
def test_all_pairs_are_what_they_are_as_pairs(
    name: str, options: dict[str, Any], precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, pool = network(name, options), images(0)
    model.precision = precision
    left, right = (place.ravel() for place in np.indices((IMAGES, IMAGES)))
    pairs = Judgements.of_pairs(PairArrays(pool[left], pool[right], None, None), Path("pairs.npz"), "")
    expected = predict_logits(model, pairs).reshape(IMAGES, IMAGES)
    # Several batches of images and of pairs, the last ones smaller.
    monkeypatch.setattr(batch_sizes, "_PIXELS_A_BATCH", 4 * 28 * 28)
    monkeypatch.setattr(module, "_PAIRS_A_BATCH", 7)
    found = pairwise_logits(model, pool)
    assert (found.logit.dtype, found.logit.shape) == (np.float32, (IMAGES, IMAGES))
    assert not found.logit.diagonal().any()
    apart = ~np.eye(IMAGES, dtype=bool)
    # A kernel may round otherwise in a batch of another size.
    tolerance = (1e-4 if precision == "float32" else 0.05) * expected[apart].std()
    np.testing.assert_allclose(found.logit[apart], expected[apart], atol=tolerance)
    assert len(np.unique(found.logit[apart])) > IMAGES
    assert np.array_equal(found.logit, -found.logit.T) == model.antisymmetric
    if found.levels is not None:
        monkeypatch.undo()
        levels = predict(model, pairs).levels_a
        assert levels is not None
        np.testing.assert_allclose(found.levels, levels[::IMAGES], atol=0.01)
    assert (found.levels is not None) == (name == "order_net")


@pytest.mark.parametrize("views", [1, 5])
def test_each_view_of_an_image_goes_through_the_tower_once(views: int) -> None:
    model = network(*NETWORKS[0])
    model.views = views
    batches: list[int] = []
    model.tower.register_forward_hook(lambda tower, given, made: batches.append(len(given[0])))
    pairwise_logits(model, images(0))
    assert batches == views * [IMAGES]


def test_the_views_are_the_image_and_its_four_neighbours() -> None:
    model, shown = network("order_net", {"width": 4, "levels": 4}), images(0)
    assert model.views == 5
    with torch.inference_mode():
        averaged = model.embed_batch(torch.from_numpy(shown)).features
        model.views = 1
        padded = np.pad(shown, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect")
        height, width = shown.shape[2:]
        places = [(1, 1), (1, 0), (1, 2), (0, 1), (2, 1)]
        alone = [torch.from_numpy(padded[:, :, top : top + height, left : left + width]) for top, left in places]
        expected = torch.stack([model.embed_batch(view).features for view in alone]).mean(0)
    torch.testing.assert_close(averaged, expected)
