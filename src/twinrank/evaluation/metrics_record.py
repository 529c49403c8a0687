"""The JSON record of an evaluation: which rows, how many, every metric with its interval."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from twinrank.errors import InputError
from twinrank.evaluation.metrics import confusion_matrix, score
from twinrank.evaluation.predictions import Predictions

POOLED = "tests"
"""Stem of the record of several unseen files together, ``metrics/tests.json``."""
_CARRIED = ("weights_sha256", "model", "track")


def metrics_record(predictions: Predictions, *, seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Evaluate the predictions of one labelled file.

    Args:
        predictions: with labels, and with ``data`` and ``rows`` in their meta.
        seed: of the bootstrap.
        draws: number of bootstrap resamples.

    Returns:
        ``data`` {"path", "sha256", "n"}; ``rows`` in words; ``weights_sha256``, ``model`` and ``track`` where known;
        ``metrics`` {name: {"value", "low", "high", "n", "interval"}}; ``confusion`` [[tn, fp], [fn, tp]].

    Raises:
        InputError: there are no labels, the meta does not say which rows these are, or as
            :func:`twinrank.evaluation.metrics.accuracy`.
    """
    data, rows = _source(predictions)
    return {"data": data, "rows": rows, **_carried(predictions), **_evaluated([predictions], seed, draws)}


def pooled_record(predictions: Sequence[Predictions], *, seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Evaluate several labelled files together, as one set of rows.

    Args:
        predictions: of different files, by one network.
        seed: of the bootstrap.
        draws: number of bootstrap resamples.

    Returns:
        As :func:`metrics_record`, but ``data`` is {"path": the paths joined, "n", "files": [{"path", "sha256", "n"}]}.

    Raises:
        InputError: as :func:`metrics_record`; also if a file comes twice or the weights differ.
    """
    if not predictions:
        raise InputError("no predictions to pool; give those of at least one file")
    files, rows = zip(*(_source(part) for part in predictions), strict=True)
    digests = [file["sha256"] for file in files]
    if len(set(digests)) < len(digests):
        raise InputError(f"the same file twice among {', '.join(file['path'] for file in files)}; pool each once")
    if len({part.meta.get("weights_sha256") for part in predictions}) > 1:
        raise InputError("the predictions to pool come from different weights; evaluate them again with one network")
    data = {"path": " + ".join(file["path"] for file in files), "n": sum(map(len, predictions)), "files": list(files)}
    carried = _carried(predictions[0])
    return {"data": data, "rows": "; ".join(rows), **carried, **_evaluated(predictions, seed, draws)}


def _source(predictions: Predictions) -> tuple[dict[str, Any], str]:
    data, rows = predictions.meta.get("data"), predictions.meta.get("rows")
    if not isinstance(data, dict) or not {"path", "sha256", "n"} <= data.keys() or not isinstance(rows, str):
        raise InputError("the predictions do not say which rows they are of (meta 'data' and 'rows'); predict again")
    if predictions.y is None:
        raise InputError(f"{data['path']}: no labels, so nothing can be evaluated; give a labelled file")
    return {key: data[key] for key in ("path", "sha256", "n")}, rows


def _carried(predictions: Predictions) -> dict[str, Any]:
    return {key: predictions.meta[key] for key in _CARRIED if key in predictions.meta}


def _evaluated(parts: Sequence[Predictions], seed: int, draws: int) -> dict[str, Any]:
    y = np.concatenate([part.y for part in parts if part.y is not None])
    logit = np.concatenate([part.logit for part in parts])
    estimates = score(y, logit, seed=seed, draws=draws)
    return {
        "metrics": {name: asdict(estimate) for name, estimate in estimates.items()},
        "confusion": confusion_matrix(y, logit).tolist(),
    }
