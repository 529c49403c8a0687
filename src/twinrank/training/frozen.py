"""What a training has from a frozen tower: features in place of images, and how its head standardises them."""

from collections.abc import Callable

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.data.augmentation.augment import Augmentation
from twinrank.data.images.store import ImageStore
from twinrank.inference.features import frozen_features
from twinrank.models.comparators import LatentOrder, MLPScore
from twinrank.models.siamese import SiameseNet
from twinrank.training.objectives import needs_auxiliary

_STANDARDISED_ON = 1_000
"""Images at most whose features give mean and deviation where the tower is trained, too."""


def frozen_images(
    model: SiameseNet, images: ImageStore, config: TrainConfig, progress: Callable[[str, int, int], None]
) -> np.ndarray | None:
    """Features of all images, float32 (M, F), where training sees no others; else None.

    A new head that standardises features gets their mean and deviation.

    Args:
        model: Network on the device to use.
        images: M images that are fitted.
        config: Training values.
        progress: Listener for images whose features are computed.
    """
    standardised = model.comparator.standardised if isinstance(model.comparator, LatentOrder | MLPScore) else None
    new = standardised is not None and not standardised.known
    changed = config.fresh or config.crop > 0 or bool(Augmentation(config))
    fixed = config.freeze == "all" and not changed and not needs_auxiliary(config, model)
    if not new and not fixed:
        return None
    every = 1 if fixed else max(1, len(images) // _STANDARDISED_ON)
    features = frozen_features(model.eval(), images, np.arange(len(images))[::every], progress)
    if new and standardised is not None:
        standardised.fit([torch.from_numpy(features)])
    return features.astype(np.float32) if fixed else None
