"""A frozen network for ImageNet under plain logistic regression: what a practitioner tries first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.own_images.judged import Answers, Judged
from benchmarks.own_images.sets import Set

NETWORK = "efficientnet_lite0"
INVERSE_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
FOLDS = 4


def frozen_linear(given: Set, work: Path) -> Answers:
    """Logistic regression on differences of the mean features of the last stage; ties are left out.

    Features are standardised on the training images. The regression is scikit-learn's with its defaults, but without
    an intercept.

    Args:
        given: Set to learn and to be tested on.
        work: Not used.
    """
    return _regression(given, lambda features, train: 1.0)


def frozen_tuned(given: Set, work: Path) -> Answers:
    """As :func:`frozen_linear`, with the penalty of the least log-loss in a cross-validation over training images."""
    return _regression(given, best_penalty)


def _regression(given: Set, choose: Callable[[np.ndarray, Judged], float]) -> Answers:
    """Logistic regression whose inverse penalty is chosen from the training images' features and judgements."""
    train, test = Judged.load(given.votes).decided(), Judged.load(given.pairs)
    of_train, of_test = _last_stage(given.train, train.names), _last_stage(given.test, test.names)
    centre, scale = of_train.mean(0), of_train.std(0) + 1e-9
    of_train, of_test = (of_train - centre) / scale, (of_test - centre) / scale
    chosen = choose(of_train, train)
    score = of_test @ _fitted(train.differences(of_train), train.y, chosen)
    facts = {"network": NETWORK, "features": of_train.shape[1], "inverse_penalty": chosen}
    return Answers(test.differences(score), dict(zip(test.names, score.tolist(), strict=True)), facts)


def best_penalty(features: np.ndarray, judged: Judged) -> float:
    """The one of :data:`INVERSE_PENALTIES` with the least log-loss on judgements whose two images are held out.

    Args:
        features: Features of the images, float (M, F).
        judged: Decided judgements of these images.
    """
    fold = np.random.default_rng(0).integers(FOLDS, size=len(features))[judged.pairs]
    differences, losses = judged.differences(features), np.zeros(len(INVERSE_PENALTIES))
    for number in range(FOLDS):
        fitted, held = (fold != number).all(1), (fold == number).all(1)
        for place, inverse in enumerate(INVERSE_PENALTIES):
            logit = differences[held] @ _fitted(differences[fitted], judged.y[fitted], inverse)
            losses[place] += np.logaddexp(0, np.where(judged.y[held] == 1, -logit, logit)).sum()
    return INVERSE_PENALTIES[int(np.argmin(losses))]


def _fitted(differences: np.ndarray, y: np.ndarray, inverse_penalty: float) -> np.ndarray:
    """Coefficients, float (F,)."""
    regression = LogisticRegression(C=inverse_penalty, fit_intercept=False, max_iter=1000)
    return regression.fit(differences, y).coef_[0]


def _last_stage(folder: Path, names: list[str]) -> np.ndarray:
    """Means of the last stage's map, float32 (M, F), of images by name."""
    from twinrank.data.images.reading import Reading
    from twinrank.data.images.store import ImageStore
    from twinrank.inference.features import frozen_features
    from twinrank.models.registry import create_model, entry

    known = entry(NETWORK)
    store = ImageStore.from_folder(folder, Reading(size=known.size, channels=3))
    model = create_model(NETWORK, 3, min(store.shape[1:]), {"pool": ("mean",), "mirror": False})
    assert known.pretrained is not None
    assert store.names is not None
    known.pretrained(model)
    place = {name: number for number, name in enumerate(store.names.tolist())}
    features = frozen_features(model.eval(), store, np.array([place[name] for name in names]))
    return features[:, -model.tower.backbone.widths[-1] :]
