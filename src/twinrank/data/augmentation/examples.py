"""Examples of each augmentation, for a picture."""

from typing import Any

import numpy as np
import torch

from twinrank.config import TrainConfig
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import torch_generator
from twinrank.data.augmentation.augment import Augmentation
from twinrank.data.judgements import Judgements

_SHOWN = 8
_AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "shift 2": {"shift": 2},
    "rotate 10": {"rotate": 10.0},
    "translate 0.1": {"translate": 0.1},
    "crop_scale 0.9": {"crop_scale": 0.9},
    "randaugment 2": {"randaugment": 2},
    "cutout 1": {"cutout": 1},
    "lines 1": {"lines": 1},
    "brightness 0.4": {"brightness": 0.4},
    "contrast 0.4": {"contrast": 0.4},
    "flip": {"flip": True},
    "flip_vertical": {"flip_vertical": True},
}
"""The augmentations of the picture; all but brightness and contrast are as strong as they are meant to be used."""
_OF_COLOUR: dict[str, dict[str, Any]] = {"saturation 0.4": {"saturation": 0.4}, "hue 0.1": {"hue": 0.1}}


def augmented_examples(data: Judgements, seed: int = 0) -> dict[str, np.ndarray]:
    """Some images as they are, and under each augmentation: (8, C, H, W) by its name and strength.

    Args:
        data: Pairs.
        seed: Seed of the choice of images and of the augmentations.
    """
    rows = numpy_generator(seed, "images").choice(len(data), min(_SHOWN, len(data)), replace=False)
    images = torch.from_numpy(data.images.take(data.left[rows]))
    drawn = {"as it is": images.numpy()}
    for name, values in (_AUGMENTATIONS | (_OF_COLOUR if images.shape[1] == 3 else {})).items():
        augment = Augmentation(TrainConfig(**values))
        uniform = torch.rand(len(images), augment.draws, generator=torch_generator(seed, name))
        drawn[name] = augment(images, uniform).numpy()
    return drawn
