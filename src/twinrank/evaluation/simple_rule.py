"""The best rule on one simple feature, and whether predictions are better."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.metrics import accuracy
from twinrank.evaluation.row_statistics import is_decided

_CLEAR = 0.05
"""Gain of accuracy that is no sign of a failure, however wide its interval is."""


class SimpleRuleRecord(TypedDict):
    """A :class:`SimpleRule` as JSON has it."""

    feature: str
    higher: bool


class SimpleRule(NamedTuple):
    """The image with more of a feature ranks higher, or the one with less.

    Attributes:
        feature: Name of the feature.
        higher: Whether more of it ranks higher.
    """

    feature: str
    higher: bool

    def logits(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Predictions of the rule, float64 (N,): their sign is all that counts.

        Args:
            left: The feature of the left images (N,).
            right: The feature of the right images (N,).
        """
        return (left - right) * (1 if self.higher else -1)

    @property
    def described(self) -> str:
        """The rule in words."""
        return f"'{self.feature}' alone ({'more' if self.higher else 'less'} ranks higher)"


def best_rule(
    names: Sequence[str],
    left: np.ndarray,
    right: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> SimpleRule | None:
    """The feature and direction that agree with most votes; None where no row is decided or all features are equal.

    >>> rule = best_rule(["size", "light"], np.array([[1, 5], [1, 2]]), np.array([[2, 1], [0, 3]]), np.array([0, 1]))
    >>> rule.described
    "'size' alone (more ranks higher)"

    Args:
        names: Names of the features.
        left: Features of the left images, float (N, F).
        right: Features of the right images, float (N, F).
        y: Labels, or shares of the votes for left, (N,).
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float (N,); None where each row is one.
    """
    differences = np.asarray(left, np.float64) - right
    if not is_decided(y, tie, weight).any() or not differences.any():
        return None
    found = []
    for column, name in enumerate(names):
        if differences[:, column].any():
            agreed = accuracy(y, differences[:, column], tie=tie, weight=weight)
            found.append((max(agreed, 1 - agreed), name, agreed >= 0.5))
    best = max(found, key=lambda each: each[0])
    return SimpleRule(best[1], best[2])


def simple_warning(rule: SimpleRule, of_rule: float, of_network: float, gain: Estimate, advice: str) -> str | None:
    """What to say where predictions are no better than a simple rule; None where they are better.

    They are better where the interval of the gain is above 0, or where the gain is clear and the rows are few.

    Args:
        rule: Rule.
        of_rule: Accuracy of the rule.
        of_network: Accuracy of the predictions on the same rows.
        gain: Accuracy of the predictions less that of the rule, with its interval.
        advice: What to try.
    """
    if gain.low > 0 or gain.value >= _CLEAR:
        return None
    no_better = "not clearly better" if gain.value > 0 else "no better"
    return (
        f"{no_better} than one simple feature: {rule.described} is right in {100 * of_rule:.1f}%, the network in"
        f" {100 * of_network:.1f}% (gain {100 * gain.value:+.1f}, interval {100 * gain.low:+.1f} to"
        f" {100 * gain.high:+.1f} points); {advice}"
    )


def as_rule(record: Mapping[str, Any]) -> SimpleRule:
    """A rule from its :class:`SimpleRuleRecord`."""
    return SimpleRule(record["feature"], record["higher"])
