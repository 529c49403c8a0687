"""Labelled files, and how a predictor without a run folder, such as an exported file, is scored on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twinrank.core.context import Context
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import metrics_record
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.form import ImageForm
from twinrank.inference.one_network import OneNetwork
from twinrank.inference.predictor import Predictor, described


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

    Which images training used is not known, so rows with them are not told from others.

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
    records = []
    for data in labelled_files(predictor.form, files, labels, source, context):
        logit = predictor.logits(data)
        calibrated = predictor.calibrated(logit)
        meta = {"data": {"path": str(data.path), "sha256": data.sha256, "n": len(data)}}
        columns: dict[str, Any] = {"tie": data.tie, "weight": data.weight}
        if data.recurring:
            columns |= {"images": data.image_codes, "rater": data.rater}
        made = Predictions(data.row_ids, logit if calibrated is None else calibrated, data.y, **columns)
        made.meta.update(meta | described(predictor, data.sha256))
        if isinstance(predictor, OneNetwork) and predictor.nu:
            made.meta["nu"] = predictor.nu
        records.append(metrics_record(made))
    return records
