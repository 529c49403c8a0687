"""Evaluation of a finished run on pair files: predictions and metrics, into its folder."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from twinrank.core.files import write_json
from twinrank.data.pairs import PairData, load_pairs
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import POOLED, metrics_record, pooled_record
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.network import Network
from twinrank.inference.predictor import described
from twinrank.runs import RunFolder, used_in_training


def evaluate(run: RunFolder, files: Sequence[Path | PairData], labels: Path | None = None) -> dict[str, dict[str, Any]]:
    """Score the best weights of a run on labelled files, each once.

    Writes ``predictions/STEM.npz`` and ``metrics/STEM.json`` for each file, and ``metrics/tests.json`` for all those
    together that training was not given, nor that of a teacher, if they are several.

    Args:
        run: a run with weights.
        files: Labelled pairs, or their files, of different stems.
        labels: CSV ``id,label`` of the only file.

    Returns:
        Metrics records by stem, see :func:`twinrank.evaluation.metrics_record.metrics_record`; that of a file also has
        ``milliseconds``, the time of a pair.

    Raises:
        InputError: a file is refused or has no labels, or the run has no weights.
    """
    stems = [(file.path if isinstance(file, PairData) else Path(file)).stem for file in files]
    if repeated := {stem for stem in stems if stems.count(stem) > 1 or stem == POOLED}:
        raise InputError(
            f"results are kept under the name of the file, and '{min(repeated)}' is taken; rename one file"
        )
    if labels is not None and len(files) > 1:
        raise InputError(f"{labels}: labels of one file, but {len(files)} are given; evaluate them one after the other")
    seen = used_in_training(run.read_config())
    loaded = [file if isinstance(file, PairData) else load_pairs(Path(file), labels) for file in files]
    for data in loaded:
        if data.y is None:
            raise InputError(f"{data.path}: has no labels; give --labels CSV, or use 'twinrank predict' to label it")
    made, took = {}, {}
    for data in loaded:
        started = time.perf_counter()
        made[data.path.stem] = predictions_of(run, data)
        milliseconds = 1000 * (time.perf_counter() - started) / len(data)
        took[data.path.stem] = {"milliseconds": round(milliseconds, 4)}
    records = {stem: record | took.get(stem, {}) for stem, record in records_of(made, seen).items()}
    for stem, predictions in made.items():
        predictions.save(run.predictions(stem))
    for stem, record in records.items():
        write_json(run.metrics(stem), record)
    return records


def records_of(made: Mapping[str, Predictions], seen: Collection[str]) -> dict[str, dict[str, Any]]:
    """The records of what a run said about labelled files.

    Args:
        made: predictions by stem.
        seen: digests of the files that its training was given, see :func:`twinrank.runs.used_in_training`.

    Returns:
        By stem, and under :data:`POOLED` of the unseen files together, if they are several.

    Raises:
        InputError: as :func:`twinrank.evaluation.metrics_record.metrics_record`.
    """
    records = {stem: metrics_record(predictions) for stem, predictions in made.items()}
    unseen = [predictions for predictions in made.values() if predictions.data_sha256 not in seen]
    return records | ({POOLED: pooled_record(unseen)} if len(unseen) > 1 else {})


def predictions_of(run: RunFolder, data: PairData) -> Predictions:
    """Predictions of the best weights of a run, with a description of the pairs and the run as ``meta``.

    Args:
        run: Run with weights.
        data: Pairs.

    Raises:
        InputError: The run has no weights, or they do not fit the images.
    """
    network = Network(run)
    predictions = network.predictions(data)
    predictions.meta.update(
        data={"path": str(data.path), "sha256": data.sha256, "n": len(data)},
        **described(network, data.sha256),
    )
    return predictions
