"""Labelled files, and how a predictor without a run folder, such as an exported file, is scored on them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twinrank.core.context import Context
from twinrank.data.judgements import Judgements
from twinrank.data.overlap import seen_images
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import metrics_record
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.simple_rule import as_rule
from twinrank.inference.exported import ExportedNetwork
from twinrank.inference.form import ImageForm
from twinrank.inference.load import images_of_training
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.one_network import OneNetwork
from twinrank.inference.predictor import Predictor, described
from twinrank.inference.simple_feature import add_simple_rule, compared


def labelled_files(
    form: ImageForm,
    files: Sequence[Path | Judgements],
    labels: Path | None = None,
    source: Source | None = None,
    context: Context = Context(),
) -> list[Judgements]:
    """Labelled pairs that are evaluated.

    Args:
        form: Form of the images.
        files: Labelled pairs, or their files.
        labels: CSV ``id,label`` of the file; there may be only one file then.
        source: Where the images of tables are.
        context: Listeners.

    Raises:
        InputError: A file is refused or has no labels.
    """
    if labels is not None and len(files) > 1:
        raise InputError(f"{labels}: labels of one file, but {len(files)} are given; evaluate them one after the other")
    loaded = [
        file if isinstance(file, Judgements) else form.load(Path(file), labels, source, context) for file in files
    ]
    for data in loaded:
        if data.y is None:
            raise InputError(f"{data.path}: has no labels; give `labels`, or use 'twinrank predict' to label it")
    return loaded


def score_files(
    predictor: Predictor,
    files: Sequence[Path],
    labels: Path | None = None,
    source: Source | None = None,
    context: Context = Context(),
) -> list[dict[str, Any]]:
    """Score a predictor on labelled files. Nothing is written.

    Rows with images that training used are told from others where the predictor knows these images.

    Args:
        predictor: Predictor.
        files: Labelled pair files.
        labels: CSV ``id,label`` of the file; there may be only one file then.
        source: Where the images of tables are.
        context: Listeners.

    Returns:
        Metrics records in the order of the files, see :class:`twinrank.evaluation.metrics_record.MetricsRecord`.

    Raises:
        InputError: A file is refused or has no labels.
    """
    records, hashes = [], images_of_training(predictor)
    for data in labelled_files(predictor.form, files, labels, source, context):
        data = _as_in_training(predictor, data)
        logit = predictor.logits(data)
        calibrated = predictor.calibrated(logit)
        meta = {"data": {"path": str(data.path), "sha256": data.sha256, "n": len(data)}}
        columns: dict[str, Any] = {"tie": data.tie, "weight": data.weight}
        if data.recurring:
            columns |= {"images": data.image_codes, "rater": data.rater}
        fitted = any(use.role == "fitted" for use in predictor.used_in_training.get(data.sha256, ()))
        if not fitted and hashes is not None:
            seen = seen_images(data, hashes)
            if "images" in columns or seen.any():
                columns["seen"] = seen
        made = Predictions(data.row_ids, logit if calibrated is None else calibrated, data.y, **columns)
        made.meta.update(meta | described(predictor, data.sha256))
        if isinstance(predictor, OneNetwork) and predictor.nu:
            made.meta["nu"] = predictor.nu
        if warnings := [line for each in _exported(predictor) for line in each.record.get("warnings", ())]:
            made.meta["warnings"] = [*dict.fromkeys(warnings)]
        record = metrics_record(made)
        if isinstance(predictor, ExportedNetwork) and "simple_rule" in predictor.record:
            add_simple_rule(record, compared(as_rule(predictor.record["simple_rule"]), data, logit))
        records.append(record)
    return records


def _exported(predictor: Predictor) -> list[ExportedNetwork]:
    """The exported networks of a predictor that is one or their mean."""
    if isinstance(predictor, MeanPredictor):
        return [network for each in predictor.predictors for network in _exported(each)]
    return [predictor] if isinstance(predictor, ExportedNetwork) else []


def _as_in_training(predictor: Predictor, data: Judgements) -> Judgements:
    """The pairs under the digest that training knows, where it used the same pairs from another file."""
    known = {
        content: digest for each in _exported(predictor) for content, digest in each.record.get("contents", {}).items()
    }
    return replace(data, sha256=known.get(data.content_sha256, data.sha256)) if known else data
