"""The JSON record of an evaluation: which rows, how many, every metric with its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import numpy as np

from twinrank.core.files import read_json
from twinrank.core.records import as_record
from twinrank.core.run_records import as_uses, sharing_in_words, uses_as_json, uses_in_words
from twinrank.errors import InputError
from twinrank.evaluation.agreement import best_known_agreement
from twinrank.evaluation.chance import constant_log_loss
from twinrank.evaluation.judging import outcome_probabilities
from twinrank.evaluation.metrics import confusion_matrix, score, share_right
from twinrank.evaluation.predictions import Predictions, joined, with_uses
from twinrank.evaluation.resampling import images_to_resample
from twinrank.evaluation.row_statistics import is_decided

POOLED = "tests"
"""Key of the record of several unused files together, ``metrics/tests.json``."""
KINDS = ("both unseen", "one unseen", "none unseen")
"""Kinds of rows, by which of their images training did not use."""
_CARRIED = ("weights_sha256", "model", "track")
_WHAT = "the metrics of an evaluation"


class EstimateRecord(TypedDict):
    """A metric with its interval, see :class:`twinrank.evaluation.estimates.Estimate`."""

    value: float
    low: float
    high: float
    n: int
    interval: str
    images: NotRequired[int]


class KindRecord(TypedDict):
    """Metrics of the rows of one kind.

    Attributes:
        n: Number of rows.
        metrics: Estimates by name; empty where no row is decided.
    """

    n: Annotated[int, msgspec.Meta(ge=0)]
    metrics: dict[str, EstimateRecord]


class AgreementRecord(TypedDict):
    """Agreement about pairs that were judged more than once, see :class:`twinrank.evaluation.agreement.Agreement`.

    Attributes:
        pairs: Number of these pairs.
        agreement: Chance that two votes about a pair are alike.
        ceiling: Accuracy on single votes that no predictor exceeds.
        accuracy: Accuracy of the predictor on these pairs.
        own: True where votes of one rater are compared, who judged a pair again; only then.
        with_ties: The agreement where a tie is an outcome of its own; only where such a pair has a tie.
    """

    pairs: Annotated[int, msgspec.Meta(ge=0)]
    agreement: EstimateRecord
    ceiling: EstimateRecord
    accuracy: EstimateRecord
    own: NotRequired[bool]
    with_ties: NotRequired[EstimateRecord]


class SharedRecord(TypedDict):
    """Images of the rows that training used.

    Attributes:
        images: Number of these images.
        rows: Number of rows with such an image.
    """

    images: Annotated[int, msgspec.Meta(ge=0)]
    rows: Annotated[int, msgspec.Meta(ge=0)]


class SimpleRecord(TypedDict):
    """The best rule on one simple feature of the images, see :class:`twinrank.evaluation.simple_rule.SimpleRule`.

    Attributes:
        feature: Name of the feature.
        higher: Whether more of it ranks higher.
        accuracy: Accuracy of the rule, on some rows.
        gain: Accuracy of the predictor on the same rows, less that of the rule.
    """

    feature: str
    higher: bool
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    gain: EstimateRecord


class PooledFile(TypedDict):
    """A file of a pooled record."""

    path: str
    sha256: str
    n: Annotated[int, msgspec.Meta(ge=0)]


class EvaluatedData(TypedDict):
    """The file of a record, or several that were pooled.

    Attributes:
        path: Path of the file, or the paths joined.
        n: Number of rows.
        sha256: Digest of the file; a pooled record has none.
        files: Files that were pooled.
    """

    path: str
    n: Annotated[int, msgspec.Meta(ge=0)]
    sha256: NotRequired[str]
    files: NotRequired[list[PooledFile]]


class MetricsRecord(TypedDict):
    """Metrics of a predictor on a file, ``metrics/KEY.json``.

    Attributes:
        data: File of the rows, or several that were pooled.
        used: How the file was used in training, see :class:`twinrank.core.run_records.FileUse`.
        weights_sha256: Digest of the weights.
        model: Name of the network.
        track: Track of the predictor.
        metrics: Estimates by name; accuracy is among them.
        confusion: Counts ``[[tn, fp], [fn, tp]]``.
        images: Number of distinct images; only where one occurs in several rows.
        ties: Number of rows that were judged equal; only where there are any.
        undecided: Number of rows that only the log-loss is about: ties, and even shares; only where there are any.
        constant_log_loss: Log-loss of a constant prediction; only where there are ties, or the predictor models them.
        votes: Number of votes; only where rows have numbers of votes.
        kinds: Metrics by kind of row, see :data:`KINDS`; only where training may have used images of the rows.
        agreement: Agreement of those who judged; only where pairs were judged more than once.
        shared: Images that training used; only where there are any.
        simple: A simple rule in comparison; only of people's own images.
        warnings: Lines that a reader must know; only where there are any.
        milliseconds: Duration of a pair.
    """

    data: EvaluatedData
    used: list[dict[str, Any]]
    weights_sha256: NotRequired[str]
    model: NotRequired[str]
    track: NotRequired[str]
    metrics: dict[str, EstimateRecord]
    confusion: list[list[int]]
    images: NotRequired[Annotated[int, msgspec.Meta(ge=0)]]
    ties: NotRequired[Annotated[int, msgspec.Meta(ge=0)]]
    undecided: NotRequired[Annotated[int, msgspec.Meta(ge=0)]]
    constant_log_loss: NotRequired[Annotated[float, msgspec.Meta(ge=0)]]
    votes: NotRequired[Annotated[float, msgspec.Meta(ge=0)]]
    kinds: NotRequired[dict[str, KindRecord]]
    agreement: NotRequired[AgreementRecord]
    shared: NotRequired[SharedRecord]
    simple: NotRequired[SimpleRecord]
    warnings: NotRequired[list[str]]
    milliseconds: NotRequired[float]


def metrics_record(predictions: Predictions) -> dict[str, Any]:
    """Evaluate the predictions of one labelled file.

    Args:
        predictions: Predictions with labels, and with ``data`` and ``used`` in their meta.

    Returns:
        A :class:`MetricsRecord`, without ``milliseconds``.

    Raises:
        InputError: There are no labels, the meta does not say which rows these are, or as
            :func:`twinrank.evaluation.metrics.accuracy`.
    """
    data, used = _source(predictions)
    return {"data": data, "used": used, **_carried(predictions), **_evaluated([predictions], data["path"])}


def pooled_record(predictions: Sequence[Predictions]) -> dict[str, Any]:
    """Evaluate several labelled files together, as one set of rows.

    Args:
        predictions: Predictions of different files, by one network.

    Returns:
        As :func:`metrics_record`; its ``data`` has the ``files``, and ``used`` has the uses of all of them.

    Raises:
        InputError: As :func:`metrics_record`; also if a file comes twice or the weights differ.
    """
    if not predictions:
        raise InputError("no predictions to pool; give those of at least one file")
    files, each_used = zip(*(_source(part) for part in predictions), strict=True)
    digests = [file["sha256"] for file in files]
    if len(set(digests)) < len(digests):
        raise InputError(f"the same file twice among {', '.join(file['path'] for file in files)}; pool each once")
    if len({part.meta.get("weights_sha256") for part in predictions}) > 1:
        raise InputError("the predictions to pool come from different weights; evaluate them again with one network")
    data = {"path": " + ".join(file["path"] for file in files), "n": sum(map(len, predictions)), "files": list(files)}
    carried = _carried(predictions[0])
    used = [use for uses in each_used for use in uses]
    return {"data": data, "used": used, **carried, **_evaluated(predictions, data["path"])}


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a :class:`MetricsRecord`; the words of an older version about the rows become records of use.

    Raises:
        InputError: The file is missing or damaged, or holds something else.
    """
    record = read_with_uses(path, MetricsRecord, _WHAT)
    data, shape = record["data"], [len(row) for row in record["confusion"]]
    if "accuracy" not in record["metrics"] or shape != [2, 2] or not {"files", "sha256"} & data.keys():
        raise InputError(f"{path}: not {_WHAT} (accuracy, a 2 x 2 confusion and a digest); evaluate the file again")
    return record


def read_with_uses(path: Path, kind: type, what: str) -> dict[str, Any]:
    """Read a record with ``used``; the words of an older version become records of use.

    Args:
        path: JSON file.
        kind: Type of the record, with ``used``.
        what: Name of such a record, for the message.

    Raises:
        InputError: The file is missing or damaged, or holds something else.
    """
    values = read_json(path)
    if isinstance(values, dict):
        values = with_uses(values, str(path))
    record = dict(as_record(values, kind, str(path), what))
    as_uses(record["used"], str(path))
    return record


def rows_in_words(record: Mapping[str, Any]) -> str:
    """The rows of a metrics record or of predictions' meta: how many, of which file, and how training used these.

    Args:
        record: Mapping with ``data`` and ``used``.
    """
    files = record["data"].get("files", [record["data"]])
    rows = "; ".join(f"{_all_rows(file['n'])} of {Path(file['path']).name}" for file in files)
    words = uses_in_words(as_uses(record["used"], "the record"))
    return f"{rows}, {words}" if words else rows


def _all_rows(count: int) -> str:
    return "the only row" if count == 1 else f"all {count:,} rows"


def _source(predictions: Predictions) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    meta = with_uses(predictions.meta, "the predictions")
    data, used = meta.get("data"), meta.get("used")
    if not isinstance(data, dict) or not {"path", "sha256", "n"} <= data.keys() or used is None:
        raise InputError("the predictions do not say which rows they are of (meta 'data' and 'used'); predict again")
    if predictions.y is None:
        raise InputError(f"{data['path']}: no labels, so nothing can be evaluated; give a labelled file")
    return {key: data[key] for key in ("path", "sha256", "n")}, uses_as_json(as_uses(used, data["path"]))


def _carried(predictions: Predictions) -> dict[str, Any]:
    return {key: predictions.meta[key] for key in _CARRIED if key in predictions.meta}


def _evaluated(parts: Sequence[Predictions], path: str) -> dict[str, Any]:
    rows, nu = parts[0] if len(parts) == 1 else joined(parts), parts[0].meta.get("nu", 0.0)
    y = rows.y
    assert y is not None
    estimates = score(y, rows.logit, images=rows.images, tie=rows.tie, weight=rows.weight, nu=nu)
    record: dict[str, Any] = {
        "metrics": {name: estimate.record() for name, estimate in estimates.items()},
        "confusion": confusion_matrix(y, rows.logit, tie=rows.tie, weight=rows.weight).tolist(),
    }
    if (images := images_to_resample(rows.images)) is not None:
        record["images"] = images
    if rows.tie is not None and rows.tie.any():
        record["ties"] = int(rows.tie.sum())
    if undecided := int((~is_decided(y, rows.tie, rows.weight)).sum()):
        record["undecided"] = undecided
    if nu or "ties" in record:
        expected = float(np.average(outcome_probabilities(rows.logit, nu)[1], weights=rows.weight))
        record["constant_log_loss"] = constant_log_loss(rows.tie if nu else None, rows.weight, expected)
    if rows.weight is not None:
        record["votes"] = float(rows.weight.sum(dtype=np.float64))
    return record | _kinds(rows, y, nu) | _agreement(rows, y) | _warnings(parts, rows, path)


def _kinds(rows: Predictions, y: np.ndarray, nu: float) -> dict[str, Any]:
    """Metrics of rows by how many of their images training used."""
    if rows.seen is None:
        return {}
    kinds: dict[str, Any] = {}
    for name, seen in zip(KINDS, range(3), strict=True):
        here = rows.seen.sum(1) == seen
        if here.any():
            images, tie, weight = (_some(each, here) for each in (rows.images, rows.tie, rows.weight))
            found = {}
            if is_decided(y[here], tie, weight).any():
                found = score(y[here], rows.logit[here], images=images, tie=tie, weight=weight, nu=nu)
            metrics = {name: estimate.record() for name, estimate in found.items()}
            kinds[name] = {"n": int(here.sum()), "metrics": metrics}
    return {"kinds": kinds}


def _agreement(rows: Predictions, y: np.ndarray) -> dict[str, Any]:
    if rows.images is None:
        return {}
    found = best_known_agreement(y, rows.images, tie=rows.tie, weight=rows.weight, rater=rows.rater)
    if found is None:
        return {}
    images, tie, weight = (_some(each, found.rows) for each in (rows.images, rows.tie, rows.weight))
    right = share_right(y[found.rows], rows.logit[found.rows], images=images, tie=tie, weight=weight)
    estimates = {"agreement": found.agreement, "ceiling": found.ceiling, "accuracy": right}
    values = {name: estimate.record() for name, estimate in estimates.items()}
    own = {"own": True} if found.own else {}
    with_ties = {} if found.with_ties is None else {"with_ties": found.with_ties.record()}
    return {"agreement": {"pairs": found.agreement.n, **values, **own, **with_ties}}


def _warnings(parts: Sequence[Predictions], rows: Predictions, path: str) -> dict[str, Any]:
    lines = [line for part in parts for line in part.meta.get("warnings", [])]
    record: dict[str, Any] = {}
    if rows.seen is not None and rows.seen.any():
        images = int(rows.seen.sum()) if rows.images is None else len(np.unique(rows.images[rows.seen]))
        record["shared"] = {"images": images, "rows": int(rows.seen.any(1).sum())}
        lines.append(sharing_in_words(path, images, record["shared"]["rows"], len(rows)))
    return record | ({"warnings": list(dict.fromkeys(lines))} if lines else {})


def _some(values: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[rows]
