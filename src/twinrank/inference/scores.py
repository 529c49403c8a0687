"""The score of each image: one number, by which images are ranked."""

import numpy as np
import torch

from twinrank.data.images.store import ImageStore
from twinrank.evaluation.level_scores import level_scores
from twinrank.inference.predict import image_features
from twinrank.models.comparators import LatentOrder, Scored
from twinrank.models.siamese import SiameseNet

_COMPARED, _SCORED = 4_096, 16_384
"""Pairs that are compared, and images that are scored at a time."""
PANEL = 64
"""Images of a panel."""


def image_scores(model: SiameseNet, images: ImageStore, panel: torch.Tensor | None) -> np.ndarray:
    """Scores of images, float64 (M,), before they are scaled. Each image goes through the tower once.

    Most heads of pretrained networks give scores themselves. A network with latent levels scores an image by its
    level, see :func:`twinrank.evaluation.level_scores.level_scores`. Any other network scores it by its mean logit
    against a panel of images.

    Args:
        model: Network in evaluation mode, on the device to use.
        images: M images.
        panel: Features of the panel, float32 (P, F); not needed with :func:`scores_by_itself`.
    """
    features = image_features(model, images)
    if isinstance(model.comparator, Scored):
        with torch.inference_mode():
            parts = [model.comparator.score(some.float()) for some in features.split(_SCORED)]
            return torch.cat(parts).double().cpu().numpy()
    features = features.float()
    if isinstance(model.comparator, LatentOrder):
        with torch.inference_mode():
            posterior = model.comparator.posterior(features)[:, model.comparator.ranking()].exp()
        return level_scores(posterior.cpu().numpy())
    assert panel is not None
    panel = panel.to(features.device)
    means = []
    with torch.inference_mode():
        for some in features.split(max(1, _COMPARED // len(panel))):
            left = some.repeat_interleave(len(panel), 0)
            logits = model.comparator(left, panel.repeat(len(some), 1))
            means.append(logits.view(len(some), len(panel)).double().mean(1))
    return torch.cat(means).cpu().numpy()


def scores_by_itself(model: SiameseNet) -> bool:
    """Whether a network scores an image without a panel of others."""
    return isinstance(model.comparator, LatentOrder | Scored)


def panel_of(model: SiameseNet, images: ImageStore, generator: np.random.Generator) -> torch.Tensor:
    """Features of a panel of images taken at random, float32 (P, F).

    Args:
        model: Network in evaluation mode, on the device to use.
        images: Images, at most :data:`PANEL` of which are taken.
        generator: Generator of the choice.
    """
    chosen = np.sort(generator.choice(len(images), min(PANEL, len(images)), replace=False))
    return image_features(model, images, chosen).float()
