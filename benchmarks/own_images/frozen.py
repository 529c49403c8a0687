"""A frozen network for ImageNet under plain logistic regression: what a practitioner tries first."""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.own_images.judged import Answers, Judged
from benchmarks.own_images.sets import Set

NETWORK = "efficientnet_lite0"


def frozen_linear(given: Set, work: Path) -> Answers:
    """Logistic regression on differences of the mean features of the last stage; ties are left out.

    Features are standardised on the training images. The regression is scikit-learn's with its defaults, but without
    an intercept.

    Args:
        given: Set to learn and to be tested on.
        work: Not used.
    """
    train, test = Judged.load(given.votes).decided(), Judged.load(given.pairs)
    of_train, of_test = _last_stage(given.train, train.names), _last_stage(given.test, test.names)
    centre, scale = of_train.mean(0), of_train.std(0) + 1e-9
    regression = LogisticRegression(fit_intercept=False, max_iter=1000)
    regression.fit(train.differences((of_train - centre) / scale), train.y)
    score = (of_test - centre) / scale @ regression.coef_[0]
    facts = {"network": NETWORK, "features": of_train.shape[1]}
    return Answers(test.differences(score), dict(zip(test.names, score.tolist(), strict=True)), facts)


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
