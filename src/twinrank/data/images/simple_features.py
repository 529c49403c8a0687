"""A few simple features of the pixels of an image, such as brightness: the least that a network has to beat."""

import numpy as np

from twinrank.data.images.store import ImageStore

FEATURES = ("mean", "standard deviation", "edge energy", "fine detail", "dark end", "bright end", "colour", "pixels")
"""Names of the features, see :func:`features_of`."""
_AT_A_TIME = 64


def features_of(pixels: np.ndarray) -> list[float]:
    """Features of an image, in the order of :data:`FEATURES`.

    Energies are mean absolute differences of neighbours, of first and second order: edges, and sharpness or noise. The
    ends are the 5% and the 95% quantile of the grey values. Colour is the mean range of the channels, and pixels the
    logarithm of their number.

    >>> features_of(np.full((3, 10, 10), 40, np.uint8))[:6]
    [40.0, 0.0, 0.0, 0.0, 40.0, 40.0]

    Args:
        pixels: Image (C, H, W), uint8, or float of any range.
    """
    grey = pixels.mean(0, dtype=np.float32)
    edges, detail = (sum(float(np.abs(np.diff(grey, order, axis=axis)).mean()) for axis in (0, 1)) for order in (1, 2))
    dark, bright = np.quantile(grey, [0.05, 0.95]).tolist()
    colour = (pixels.max(0) - pixels.min(0)).mean()
    return [float(grey.mean()), float(grey.std()), edges, detail, dark, bright, float(colour), float(np.log(grey.size))]


def simple_features(store: ImageStore, images: np.ndarray) -> np.ndarray:
    """Features of some images of a store, float64 (n, F).

    Args:
        store: Images.
        images: Their numbers, int (n,).
    """
    chunks = (images[start : start + _AT_A_TIME] for start in range(0, len(images), _AT_A_TIME))
    return np.array([features_of(image) for chunk in chunks for image in store.take(chunk)])
