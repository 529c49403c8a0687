"""The best rule on one simple feature of the pixels, such as brightness: the least that a network has to beat."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

from benchmarks.own_images.judged import Answers, Judged
from benchmarks.own_images.sets import Set
from twinrank.data.images.simple_features import FEATURES, features_of


def simple_feature(given: Set, work: Path) -> Answers:
    """The feature and direction that agree with most decided judgements of training images.

    Its log-odds is the difference of the feature times a slope, which is fitted to the same judgements.

    Args:
        given: Set to learn and to be tested on.
        work: Not used.
    """
    train, test = Judged.load(given.votes).decided(), Judged.load(given.pairs)
    of_train, of_test = (features(folder, of.names) for folder, of in ((given.train, train), (given.test, test)))
    centre, scale = of_train.mean(0), of_train.std(0) + 1e-9
    of_train, of_test = (of_train - centre) / scale, (of_test - centre) / scale
    differences = train.differences(of_train)
    slopes = [_slope(differences[:, column], train.y) for column in range(len(FEATURES))]
    right = [np.mean((slope * differences[:, column] > 0) == (train.y == 1)) for column, slope in enumerate(slopes)]
    best = int(np.argmax(right))
    score = slopes[best] * of_test[:, best]
    facts = {
        "feature": [*FEATURES][best],
        "slope": slopes[best],
        "training_accuracy": dict(zip(FEATURES, np.round(right, 4).tolist(), strict=True)),
    }
    return Answers(test.differences(score), dict(zip(test.names, score.tolist(), strict=True)), facts)


def _slope(difference: np.ndarray, y: np.ndarray) -> float:
    fitted = LogisticRegression(C=1e6, fit_intercept=False).fit(difference[:, None], y)
    return float(fitted.coef_[0, 0])


def features(folder: Path, names: list[str]) -> np.ndarray:
    """:data:`FEATURES` of image files, float64 (M, F)."""
    return np.array([features_of(np.asarray(upright(folder / name)).transpose(2, 0, 1)) for name in names])


def upright(path: Path) -> Image.Image:
    """An image file as RGB at its own size, turned as EXIF says, on white where it is transparent."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, "white")
        behind.alpha_composite(image.convert("RGBA"))
        image = behind
    return image.convert("RGB")
