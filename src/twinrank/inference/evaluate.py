"""Evaluation of a finished run on pair files: predictions and metrics, into its folder."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import write_json
from twinrank.data.judgements import Judgements
from twinrank.data.overlap import seen_images
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import POOLED, metrics_record, pooled_record, read_metrics
from twinrank.evaluation.predictions import Predictions, apart
from twinrank.evaluation.resampling import recurs
from twinrank.inference.file_keys import file_keys
from twinrank.inference.network import Network
from twinrank.inference.predictor import described
from twinrank.inference.scored_files import labelled_files
from twinrank.inference.simple_feature import add_simple_rule, compared_with_rule
from twinrank.runs import RunFolder, used_in_training


def evaluate(
    run: RunFolder,
    files: Sequence[Path | Judgements],
    labels: Path | None = None,
    source: Source | None = None,
    context: Context = Context(),
) -> dict[str, dict[str, Any]]:
    """Score the best weights of a run on labelled files, each once.

    Where the run has a calibration, the logits are those of its probabilities. Accuracy is the same.

    Writes ``predictions/KEY.npz`` and ``metrics/KEY.json`` for each file, see
    :func:`twinrank.inference.file_keys.file_keys`. Several files that neither the training nor that of a teacher used
    are also scored together, as ``metrics/tests.json``. It is removed where one of its files is evaluated without the
    others and gets other figures.

    Args:
        run: Run with weights.
        files: Labelled pairs, or their files.
        labels: CSV ``id,label`` of the file; there may be only one file then.
        source: Where the images of tables are.
        context: Listeners.

    Returns:
        Metrics records by key, see :class:`twinrank.evaluation.metrics_record.MetricsRecord`. That of a file also has
        ``milliseconds``, the duration of a pair.

    Raises:
        InputError: A file is refused, comes twice or has no labels, or the run has no weights.
    """
    config = run.read_config()
    used = used_in_training(config)
    network = Network(run)
    loaded = [_as_in_training(config, data) for data in labelled_files(network.form, files, labels, source, context)]
    made: dict[str, Predictions] = {}
    milliseconds: dict[str, float] = {}
    together = recurs(np.concatenate(apart([data.image_codes for data in loaded])))
    for key, data in zip(file_keys(run, loaded), loaded, strict=True):
        started = time.perf_counter()
        made[key] = _calibrated(network, predictions_of(run, data, recurring=together, network=network))
        milliseconds[key] = round(1000 * (time.perf_counter() - started) / len(data), 4)
    records = records_of(made, used)
    for key, data in zip(made, loaded, strict=True):
        add_simple_rule(records[key], compared_with_rule(run, data, made[key].logit))
    for key, duration in milliseconds.items():
        records[key]["milliseconds"] = duration
    if POOLED not in records:
        _remove_outdated_pool(run, records, context)
    for key, predictions in made.items():
        predictions.save(run.predictions(key))
    for key, record in records.items():
        write_json(run.metrics(key), record)
    return records


def _remove_outdated_pool(run: RunFolder, records: Mapping[str, Any], context: Context) -> None:
    """Remove the metrics of several files together where those of one of them are replaced by others."""
    pooled, replaced = run.metrics(POOLED), set()
    # Damaged records are replaced, or named by whoever reads them.
    with suppress(InputError):
        together = {file["sha256"] for file in read_metrics(pooled)["data"].get("files", ())}
        for key, record in records.items():
            if run.metrics(key).is_file():
                before = read_metrics(run.metrics(key))
                if _decisions(before) != _decisions(record):
                    replaced.add(before["data"].get("sha256"))
        if together & replaced:
            context.say(f"{pooled}: removed, since one of its files has other figures now; evaluate them together")
            pooled.unlink()


def _decisions(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return record["data"].get("sha256"), record["confusion"], record.get("weights_sha256")


def _calibrated(network: Network, predictions: Predictions) -> Predictions:
    """Predictions with the logits of the probabilities that are written for pairs without labels."""
    if network.calibration is None:
        return predictions
    meta = predictions.meta | {"scale": network.calibration.scale, "nu": network.nu}
    return replace(predictions, logit=network.calibration.logits(predictions.logit), meta=meta)


def _as_in_training(config: dict[str, Any], data: Judgements) -> Judgements:
    """The pairs under the digest that the run knows, where training used the same pairs from another file or memory."""
    for file in config["data"].values():
        if "content_sha256" in file and file["content_sha256"] == data.content_sha256:
            return replace(data, sha256=file["sha256"])
    return data


def records_of(made: Mapping[str, Predictions], used: Collection[str]) -> dict[str, dict[str, Any]]:
    """Metrics records of a run's predictions of labelled files.

    Args:
        made: Predictions by key.
        used: Digests of the files that were used in training, see :func:`twinrank.runs.used_in_training`.

    Returns:
        Records by key, and under :data:`POOLED` that of the unused files together, if they are several.

    Raises:
        InputError: As :func:`twinrank.evaluation.metrics_record.metrics_record`.
    """
    records = {key: metrics_record(predictions) for key, predictions in made.items()}
    unused = [predictions for predictions in made.values() if predictions.data_sha256 not in used]
    return records | ({POOLED: pooled_record(unused)} if len(unused) > 1 else {})


def _source_of(data: Judgements) -> dict[str, Any]:
    return {} if data.source is None else {"source": data.source.to_json()}


def predictions_of(
    run: RunFolder, data: Judgements, recurring: bool | None = None, network: Network | None = None
) -> Predictions:
    """Predictions of the best weights of a run, with what people said, and a description of pairs and run as ``meta``.

    The logits are the network's own, before any calibration.

    Args:
        run: Run with weights.
        data: Pairs.
        recurring: Whether images are kept. By default they are where one occurs in several rows.
        network: The best weights, where they are loaded already.

    Raises:
        InputError: The run has no weights, or they do not fit the images.
    """
    network, config = network or Network(run), run.read_config()
    predictions = network.predictions(data)
    predictions.meta.update(
        data={"path": str(data.path), "sha256": data.sha256, "n": len(data), **_source_of(data)},
        **described(network, data.sha256),
    )
    if network.nu and network.calibration is None:
        predictions.meta["nu"] = network.nu
    if config.get("warnings"):
        predictions.meta["warnings"] = config["warnings"]
    columns = {"tie": data.tie, "weight": data.weight}
    if data.recurring if recurring is None else recurring:
        columns |= {"images": data.image_codes, "rater": data.rater}
    fitted = data.sha256 == config["data"]["train"]["sha256"]
    if not fitted and (hashes := run.train_images()) is not None:
        seen = seen_images(data, hashes)
        if "images" in columns or seen.any():
            columns["seen"] = seen
    return replace(predictions, **columns)
