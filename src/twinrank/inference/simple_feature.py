"""A run compared with the best rule on one simple feature of the images."""

from typing import Any, NamedTuple

import numpy as np

from twinrank.core.files import read_json, write_json
from twinrank.core.randomness import numpy_generator
from twinrank.core.records import as_record
from twinrank.data.images.simple_features import FEATURES, simple_features
from twinrank.data.judgements import Judgements
from twinrank.evaluation.compare import accuracy_difference
from twinrank.evaluation.metrics import accuracy
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.resampling import recurs
from twinrank.evaluation.row_statistics import is_decided
from twinrank.evaluation.simple_rule import SimpleRule, SimpleRuleRecord, as_rule, best_rule, simple_warning
from twinrank.runs import RunFolder

_IMAGES, _PIXELS = 1_000, 400_000_000
"""Images that are looked at, and pixels of all of them, at most: some seconds."""
_FEWEST = 50
"""Fewer rows show nothing."""
_JUDGE = "judge more pairs"


class Examined(NamedTuple):
    """Some of the pairs of a file, and features of their images.

    Attributes:
        rows: Their rows in the file, int64 (N,).
        pairs: The pairs.
        left: Features of the left images, float64 (N, F).
        right: Features of the right images, float64 (N, F).
    """

    rows: np.ndarray
    pairs: Judgements
    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, data: Judgements) -> "Examined":
        """Random rows of few images; all rows where the images are few."""
        rows = _rows(data)
        some = data.select(rows)
        images, places = np.unique(np.concatenate([some.left, some.right]), return_inverse=True)
        return cls(rows, some, *simple_features(some.images, images)[places].reshape(2, len(some), -1))


def write_rule(run: RunFolder, train: Judgements) -> Examined | None:
    """Find the best rule on the pairs that were fitted, and keep it. Only people's own images have one.

    Args:
        run: Run folder.
        train: Pairs that were fitted.

    Returns:
        What was looked at, or None.
    """
    if train.images.cached is None and not train.shared:
        return None
    examined = Examined.of(train)
    some = examined.pairs
    assert some.y is not None
    rule = best_rule(FEATURES, examined.left, examined.right, some.y, some.tie, some.weight)
    if rule is not None:
        write_json(run.simple_rule, rule._asdict())
    return examined


def compared_with_rule(
    run: RunFolder, data: Judgements, logit: np.ndarray, examined: Examined | None = None
) -> dict[str, Any]:
    """The rule of a run on labelled pairs, beside the run's predictions of the same rows.

    Args:
        run: Run folder.
        data: Labelled pairs.
        logit: Predictions of them, float (N,).
        examined: Some of the pairs, where they were looked at already.

    Returns:
        A :class:`twinrank.evaluation.metrics_record.SimpleRecord`, and ``warning`` where the predictions are no better.
        Empty where the run has no rule, or the pairs are too few.
    """
    if not run.simple_rule.is_file():
        return {}
    where = str(run.simple_rule)
    rule = as_rule(as_record(read_json(run.simple_rule), SimpleRuleRecord, where, "a rule on a simple feature"))
    advice = _JUDGE if "pretrained" in run.read_config() else "try 'twinrank fit', or efficientnet_lite0"
    return compared(rule, data, logit, advice, examined)


def compared(
    rule: SimpleRule, data: Judgements, logit: np.ndarray, advice: str = _JUDGE, examined: Examined | None = None
) -> dict[str, Any]:
    """A rule on labelled pairs, beside predictions of the same rows; see :func:`compared_with_rule`.

    Args:
        rule: Rule.
        data: Labelled pairs.
        logit: Predictions of them, float (N,).
        advice: What to do where the predictions are no better.
        examined: Some of the pairs, where they were looked at already.
    """
    examined = Examined.of(data) if examined is None else examined
    some, logit = examined.pairs, logit[examined.rows]
    assert some.y is not None
    if is_decided(some.y, some.tie, some.weight).sum() < _FEWEST or rule.feature not in FEATURES:
        return {}
    of_rule = rule.logits(*(each[:, FEATURES.index(rule.feature)] for each in (examined.left, examined.right)))
    gain = accuracy_difference([_predictions(some, of_rule)], [_predictions(some, logit)]).estimate
    right, of_network = (accuracy(some.y, each, tie=some.tie, weight=some.weight) for each in (of_rule, logit))
    record = {**rule._asdict(), "accuracy": right, "gain": gain.record()}
    warning = simple_warning(rule, right, of_network, gain, advice)
    return record if warning is None else record | {"warning": warning}


def add_simple_rule(record: dict[str, Any], found: dict[str, Any]) -> None:
    """Put a comparison with a simple rule into a metrics record, its warning among the others.

    Args:
        record: Metrics record.
        found: What :func:`compared_with_rule` found; empty if nothing.
    """
    if found:
        record["simple"] = {key: value for key, value in found.items() if key != "warning"}
    if "warning" in found:
        record["warnings"] = [*record.get("warnings", []), found["warning"]]


def _predictions(data: Judgements, logit: np.ndarray) -> Predictions:
    images = data.image_codes if recurs(data.image_codes) else None
    ids = np.arange(len(data)).astype(str)
    return Predictions(ids, logit, data.y, images=images, tie=data.tie, weight=data.weight)


def _rows(data: Judgements) -> np.ndarray:
    """Random rows of few images, in ascending order; all rows where the images are few."""
    most = min(_IMAGES, max(2, _PIXELS // int(np.prod(data.images.shape))))
    order = numpy_generator(0, "simple feature").permutation(len(data))
    sides = np.stack([data.left[order], data.right[order]], 1).ravel()
    first = np.zeros(len(sides), bool)
    first[np.unique(sides, return_index=True)[1]] = True
    distinct = first.reshape(-1, 2).sum(1).cumsum()
    return np.sort(order[distinct <= most])
