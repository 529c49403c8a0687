"""The JSON record of an evaluation: which rows, how many, every metric with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import numpy as np

from twinrank.core.files import read_json
from twinrank.core.records import as_record
from twinrank.core.run_records import as_uses, uses_as_json, uses_in_words
from twinrank.errors import InputError
from twinrank.evaluation.metrics import confusion_matrix, score
from twinrank.evaluation.predictions import Predictions, with_uses

POOLED = "tests"
"""Key of the record of several unused files together, ``metrics/tests.json``."""
_CARRIED = ("weights_sha256", "model", "track")
_WHAT = "the metrics of an evaluation"


class EstimateRecord(TypedDict):
    """A metric with its interval, see :class:`twinrank.evaluation.estimates.Estimate`."""

    value: float
    low: float
    high: float
    n: int
    interval: str


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
        milliseconds: Duration of a pair.
    """

    data: EvaluatedData
    used: list[dict[str, Any]]
    weights_sha256: NotRequired[str]
    model: NotRequired[str]
    track: NotRequired[str]
    metrics: dict[str, EstimateRecord]
    confusion: list[list[int]]
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
    return {"data": data, "used": used, **_carried(predictions), **_evaluated([predictions])}


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
    return {"data": data, "used": used, **carried, **_evaluated(predictions)}


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
    rows = "; ".join(f"all {file['n']:,} rows of {Path(file['path']).name}" for file in files)
    words = uses_in_words(as_uses(record["used"], "the record"))
    return f"{rows}, {words}" if words else rows


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


def _evaluated(parts: Sequence[Predictions]) -> dict[str, Any]:
    y = np.concatenate([part.y for part in parts if part.y is not None])
    logit = np.concatenate([part.logit for part in parts])
    estimates = score(y, logit)
    return {
        "metrics": {name: asdict(estimate) for name, estimate in estimates.items()},
        "confusion": confusion_matrix(y, logit).tolist(),
    }
