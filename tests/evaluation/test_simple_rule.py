import numpy as np
import pytest

from twinrank.data.images.simple_features import FEATURES, features_of, simple_features
from twinrank.data.images.store import ImageStore
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.simple_rule import SimpleRule, best_rule, simple_warning


def test_features_are_their_formulas() -> None:
    stripes = np.zeros((3, 8, 8), np.uint8)
    stripes[0, :, ::2] = 90
    found = dict(zip(FEATURES, features_of(stripes), strict=True))
    assert found == pytest.approx(
        {"mean": 15, "standard deviation": 15, "edge energy": 30, "fine detail": 60, "dark end": 0, "bright end": 30}
        | {"colour": 45, "pixels": np.log(64)}
    )
    store = ImageStore.from_arrays(np.stack([0 * stripes, stripes]))
    np.testing.assert_array_equal(simple_features(store, np.array([1, 1]))[1], list(found.values()))


def test_the_rule_is_the_feature_and_the_direction_that_agree_most() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 300, 3))
    left[:, 0] = right[:, 0]
    y = np.where(rng.random(300) < 0.9, left[:, 2] < right[:, 2], left[:, 1] > right[:, 1]).astype(float)
    tie = rng.random(300) < 0.2
    y[tie] = 0.5
    rule = best_rule(["same", "noise", "signal"], left, right, y, tie)
    assert rule == SimpleRule("signal", higher=False)
    assert rule is not None
    assert (((rule.logits(left[:, 2], right[:, 2]) > 0) == (y == 1))[~tie]).mean() > 0.85
    assert best_rule(["same"], left[:, :1], right[:, :1], y) is None
    assert best_rule(["signal"], left[:, 2:], right[:, 2:], np.full(300, 0.5)) is None


def test_predictions_that_are_not_clearly_better_are_reported() -> None:
    rule = SimpleRule("mean", higher=True)
    gain = Estimate(0.02, -0.01, 0.05, 90, "paired image bootstrap 95%", 20)
    assert simple_warning(rule, 0.61, 0.63, gain, "try it") == (
        "not clearly better than one simple feature: 'mean' alone (more ranks higher) is right in 61.0%, the network in"
        " 63.0% (gain +2.0, interval -1.0 to +5.0 points); try it"
    )
    said = simple_warning(rule, 0.61, 0.61, Estimate(0.0, -0.01, 0.05, 90, "x"), "try it")
    assert said is not None
    assert said.startswith("no better than one simple feature")
    assert simple_warning(rule, 0.61, 0.71, Estimate(0.1, 0.05, 0.15, 90, "x"), "try it") is None
