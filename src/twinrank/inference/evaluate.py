"""Evaluation of a finished run on pair files: predictions and metrics, into its folder."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twinrank.data.pairs import PairData, load_pairs
from twinrank.data.pool import Pool, pool_of
from twinrank.device import pick_device, prepare_cpu
from twinrank.errors import InputError
from twinrank.evaluation.label import Judge
from twinrank.evaluation.order import OrderReport, order_report
from twinrank.evaluation.predict import Pairwise, pairwise_logits, predict
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.record import POOLED, metrics_record, pooled_record
from twinrank.evaluation.saliency import Saliency, occlusion_saliency
from twinrank.files import sha256, write_json
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import load_weights
from twinrank.randomness import numpy_generator
from twinrank.runs import RunFolder, seen_by

_MOST_EXPLAINED = 40


def evaluate(run: RunFolder, files: Sequence[Path], labels: Path | None = None) -> dict[str, dict[str, Any]]:
    """Score the best weights of a run on labelled files, each once.

    Writes ``predictions/STEM.npz`` and ``metrics/STEM.json`` for each file, and ``metrics/tests.json`` for all those
    together that training was not given, nor that of a teacher, if they are several.

    Args:
        run: a run with weights.
        files: labelled pair files of different stems.
        labels: CSV ``id,label`` of the only file.

    Returns:
        Records by stem, see :func:`twinrank.evaluation.record.metrics_record`; of a file also ``milliseconds``, what
        a pair took.

    Raises:
        InputError: a file is refused or has no labels, or the run has no weights.
    """
    stems = [Path(file).stem for file in files]
    if repeated := {stem for stem in stems if stems.count(stem) > 1 or stem == POOLED}:
        raise InputError(
            f"results are kept under the name of the file, and '{min(repeated)}' is taken; rename one file"
        )
    if labels is not None and len(files) > 1:
        raise InputError(f"{labels}: labels of one file, but {len(files)} are given; evaluate them one after the other")
    seen = seen_by(run.read_config())
    loaded = [load_pairs(Path(file), labels) for file in files]
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
        seen: digests of the files that its training was given, see :func:`twinrank.runs.seen_by`.

    Returns:
        By stem, and under :data:`POOLED` of the unseen files together, if they are several.

    Raises:
        InputError: as :func:`twinrank.evaluation.record.metrics_record`.
    """
    records = {stem: metrics_record(predictions) for stem, predictions in made.items()}
    unseen = [predictions for predictions in made.values() if predictions.data_sha256 not in seen]
    return records | ({POOLED: pooled_record(unseen)} if len(unseen) > 1 else {})


class Network:
    """The best weights of a run, ready to be asked: a :class:`twinrank.evaluation.label.Judge`.

    Args:
        run: a run with weights.

    Raises:
        InputError: it has none. Whatever is asked raises it, too, if the images do not fit.
    """

    def __init__(self, run: RunFolder) -> None:
        recorded = run.read_config()
        self._run = run
        prepare_cpu(recorded["threads"])
        self.model: SiameseNet = load_weights(run.weights, recorded["model"]).to(pick_device())
        self.model.precision = run.train_config().precision

    def predict(self, data: PairData) -> Predictions:
        """Logits with row ids and latent levels, see :func:`twinrank.evaluation.predict.predict`."""
        self.require_channels(data.path, data.xa)
        return predict(self.model, data)

    def logits(self, data: PairData) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return self.predict(data).logit

    def answer(self, data: PairData) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        said = self.predict(data)
        return said.logit, np.empty((len(data), 2, 0)) if said.levels is None else said.levels

    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs with latent levels, see :func:`twinrank.evaluation.predict.pairwise_logits`."""
        self.require_channels(pool.path, pool.images)
        return pairwise_logits(self.model, pool.images)

    def tournament(self, pool: Pool) -> np.ndarray:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return self.pairwise(pool).logit

    @property
    def seen(self) -> dict[str, str]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        return seen_by(self._run.read_config())

    def said(self, rows: str, digest: str) -> dict[str, Any]:
        """See :class:`twinrank.evaluation.label.Judge`."""
        recorded = self._run.read_config()
        seen = seen_by(recorded)
        return {
            "rows": f"{rows}, {seen[digest]}" if digest in seen else rows,
            "weights_sha256": sha256(self._run.weights),
            "model": recorded["model"]["name"],
            "track": recorded["track"],
        }

    def require_channels(self, path: Path, images: np.ndarray) -> None:
        """Refuse images (N, C, H, W) of a file that have other channels than those of training."""
        channels = self.model.encode.mean.shape[0]
        if images.shape[1] != channels:
            raise InputError(
                f"{path}: images of {images.shape[1]} channels; {self._run.path} was trained on {channels}"
            )


def predictions_of(run: RunFolder, data: PairData) -> Predictions:
    """What the best weights of a run say about pairs, with what is known of these and the run as ``meta``.

    Raises:
        InputError: the run has no weights, or they do not fit the images.
    """
    network = Network(run)
    predictions = network.predict(data)
    predictions.meta.update(
        data={"path": str(data.path), "sha256": data.sha256, "n": len(data)},
        **network.said(f"all {len(data):,} rows of {data.path.name}", data.sha256),
    )
    return predictions


def explain(run: RunFolder, file: Path, pairs: int, seed: int = 0) -> tuple[PairData, Saliency]:
    """What the best weights of a run rest their decisions on, for pairs taken at random.

    Returns:
        The pairs and their :func:`twinrank.evaluation.saliency.occlusion_saliency`.

    Raises:
        InputError: the file is refused, the run has no weights, or ``pairs`` is not 1 to 40.
    """
    if not 1 <= pairs <= _MOST_EXPLAINED:
        raise InputError(f"--pairs: {pairs} is not possible; use 1 to {_MOST_EXPLAINED}")
    data = load_pairs(Path(file))
    rows = np.sort(numpy_generator(seed, "explain").choice(len(data), min(pairs, len(data)), replace=False))
    chosen, network = data.select(rows), Network(run)
    network.require_channels(chosen.path, chosen.xa)
    return chosen, occlusion_saliency(network.model, chosen)


class Ordered(NamedTuple):
    """How close to one ranking the decisions about all pairs of some images are.

    Attributes:
        pool: the images.
        report: on the decisions about them.
        meta: which file and images these are, and whose decisions, as in
            :attr:`twinrank.evaluation.predictions.Predictions.meta`.
    """

    pool: Pool
    report: OrderReport
    meta: dict[str, Any]


def order(judge: Judge, file: Path, images: int, seed: int = 0) -> Ordered:
    """Ask about all pairs of some images of a file, and hold that against one ranking.

    Args:
        judge: who is asked.
        file: a pair file; labels in it are not used.
        images: how many, taken at random.
        seed: chooses them, and the resamples of the intervals.

    Raises:
        InputError: the file is refused, holds fewer different images, or they do not fit the judge.
    """
    pool = pool_of(load_pairs(Path(file)), images, seed)
    report = order_report(judge.tournament(pool), seed=seed)
    meta = {"data": {"path": str(pool.path), "sha256": pool.sha256}, "seed": seed}
    return Ordered(pool, report, meta | judge.said(f"{len(pool):,} images of {pool.path.name}", pool.sha256))
