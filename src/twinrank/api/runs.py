"""Training runs: train, resume, evaluate."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from twinrank.api.predictor import PairPredictor, load_predictor
from twinrank.api.values import as_path, as_run, changed, plain, source
from twinrank.config import DISTILL_WEIGHT, TEACHER_WEIGHTS, RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.data.given import Pairs, as_pairs
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import MetricsRecord
from twinrank.inference.evaluate import evaluate as library_evaluate
from twinrank.models.names import folder_name
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training import train as library
from twinrank.training.hooks import Hooks
from twinrank.workflows.distill import distill

__all__ = ["Run", "evaluate", "resume", "train"]

_RUNS = Path("runs")


class Run:
    """A training run in its folder.

    :func:`train` and :func:`resume` return one. ``tr.Run("runs/first")`` opens one that is there already.

    >>> run = tr.Run("runs/first")
    >>> run
    Run(runs/first: order_net, 2 epochs)
    >>> run.config["model"]["name"]
    'order_net'
    >>> [entry["epoch"] for entry in run.history]
    [1, 2]
    >>> run.best_epoch in (1, 2)
    True

    Args:
        path: Run folder, or a folder of :func:`fit`.

    Attributes:
        path: Run folder.

    Raises:
        InputError: The folder holds no run.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_run(path, "path")
        self._folder = RunFolder(self.path)
        self._folder.read_config()

    def __repr__(self) -> str:
        epochs = len(self.history)
        return f"Run({self.path}: {self.config['model']['name']}, {epochs} epoch{'' if epochs == 1 else 's'})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """Configuration: network, options, training values, data files with their digests, seed, threads."""
        return self._folder.read_config()

    @property
    def train_config(self) -> TrainConfig:
        """Training values."""
        return self._folder.train_config()

    @property
    def history(self) -> list[dict[str, Any]]:
        """One mapping for each epoch: ``epoch``, ``seconds``, ``learning_rate``, ``train`` (losses), ``val`` (metrics).

        >>> sorted(tr.Run("runs/first").history[0]["val"])
        ['accuracy', 'f1', 'log_loss']
        """
        return self._folder.read_history()

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights are kept; epochs count from 1.

        Raises:
            InputError: No epoch has ended yet.
        """
        return self._folder.best_epoch()["epoch"]

    def evaluate(self, *data: Pairs, **how: Any) -> dict[str, MetricsRecord]:
        """Metrics of the best weights on labelled pairs, see :func:`evaluate`."""
        return evaluate(self, *data, **how)

    def predictor(self) -> PairPredictor:
        """The best weights, ready to predict.

        >>> tr.Run("runs/first").predictor().predict("data/val.npz").shape
        (96,)
        """
        return load_predictor(self.path)


def train(
    model: str,
    train: Pairs,
    val: Pairs,
    *,
    out: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    config: TrainConfig | None = None,
    teacher: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    threads: int | None = None,
    log_to: Sequence[str] = (),
    hooks: Hooks | None = None,
    **values: Any,
) -> Run:
    """Train a network, and keep the weights of the epoch that is best on ``val``.

    >>> run = tr.train("order_net", "data/train.npz", "data/val.npz", out="runs/tiny", epochs=1, options={"width": 2})
    >>> run
    Run(runs/tiny: order_net, 1 epoch)
    >>> pairs = tr.load_pairs("data/train.npz")
    >>> run = tr.train("order_net", (pairs.xa, pairs.xb, pairs.y), "data/val.npz", epochs=1, options={"width": 2})
    >>> run.path
    PosixPath('runs/order_net')

    Args:
        model: Network name, see :func:`list_models`.
        train: Labelled pairs to fit: a path, :class:`twinrank.Judgements` (as :func:`load_pairs` makes them of a table
            and a folder of images), or a tuple ``(xa, xb, y)``. Images are uint8 or float in [0, 1], (N, H, W) or
            (N, C, H, W). Labels are 0 and 1, (N,); 1 means that the left image ranks higher.
        val: Labelled pairs that choose the epoch, in the same forms.
        out: Run folder, new. By default ``runs/MODEL``, or ``runs/MODEL_2`` and so on where that is taken.
        options: Options of the network that differ from its defaults, such as ``{"width": 24}``.
        config: Training values. By default the network's own, some of which change where there are few images, see
            :func:`twinrank.training.defaults.suited`.
        teacher: Run folder or stack folder whose predictions teach the network. With several, their mean teaches. Its
            logits teach (``distill_weight`` 0.7), unless ``distill_weight``, ``level_weight`` or ``subclass_weight`` is
            given.
        threads: CPU threads; all cores by default.
        log_to: Sinks that follow the training, ``"tensorboard"`` or ``"wandb"``.
        hooks: Object that follows the training, see :class:`twinrank.training.hooks.Hooks`. By default each epoch is
            shown as a line on standard error; ``Hooks()`` shows nothing.
        values: Training values that differ from ``config``, by the names of :class:`twinrank.TrainConfig`, such as
            ``epochs=5`` or ``lr=1e-3``.

    Raises:
        InputError: A value does not exist or is impossible, the pairs are refused, ``out`` holds a run, or training
            diverges.
        Interrupted: Ctrl-C stopped the training. :func:`resume` goes on.
    """
    base, stated = (entry(model).train, set(values)) if config is None else (config, None)
    if teacher is not None and not any(weight in values or getattr(base, weight) for weight in TEACHER_WEIGHTS):
        values["distill_weight"] = DISTILL_WEIGHT
    spec = RunSpec(model, changed(base, values, "train"), plain(options or {}))
    files = as_pairs(train, "train"), as_pairs(val, "val"), _free_folder(model) if out is None else as_path(out, "out")
    context = Context(threads=threads)
    if teacher is None:
        folder = library.train(spec, *files, stated=stated, log_to=log_to, hooks=hooks, context=context)
    else:
        several = [teacher] if isinstance(teacher, str | os.PathLike) else teacher
        teachers = [as_run(each, "teacher") for each in several]
        folder = distill(teachers, spec, *files, log_to=log_to, hooks=hooks, context=context)
    return Run(folder.path)


def resume(
    run: str | os.PathLike[str],
    *,
    train: Pairs | None = None,
    val: Pairs | None = None,
    images: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    hooks: Hooks | None = None,
) -> Run:
    """Go on with a run that was stopped. The result has the same bits as without the stop.

    >>> tr.resume("runs/first")
    Run(runs/first: order_net, 2 epochs)

    Args:
        run: Run, or its folder.
        train: The pairs that are fitted, where the run began with arrays, or where their file has moved.
        val: The pairs that choose the epoch, likewise. Both must be the same pairs as before.
        images: The folder of the images that tables name, where it has moved.
        epochs: New number of epochs of the whole run, to train longer. The schedule must not depend on it: "constant"
            or "plateau".
        hooks: Object that follows the training, as for :func:`train`.

    Raises:
        InputError: The folder holds no run, its data or its configuration have changed, or its schedule allows no
            other number of epochs.
        Interrupted: Ctrl-C stopped the training.
    """
    fitted = None if train is None else as_pairs(train, "train")
    chooses = None if val is None else as_pairs(val, "val")
    where = None if images is None else as_path(images, "images")
    files = {"train": fitted, "val": chooses, "images": where}
    return Run(library.resume(as_run(run, "run"), **files, epochs=epochs, hooks=hooks).path)


def evaluate(
    run: str | os.PathLike[str],
    *data: Pairs,
    labels: str | os.PathLike[str] | None = None,
    images: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    resize: bool = False,
) -> dict[str, MetricsRecord]:
    """Measure the best weights of a run on labelled pairs. Predictions and metrics are kept in the run folder.

    >>> results = tr.evaluate("runs/first", "data/val.npz", "data/test_public.npz")
    >>> [*results]
    ['val', 'test_public']
    >>> sorted(results["val"]["metrics"]["accuracy"])
    ['high', 'interval', 'low', 'n', 'value']
    >>> results["val"]["used"][0]["role"], results["test_public"]["used"]
    ('stopped on', [])

    Args:
        run: Run, or its folder.
        data: Labelled pairs: paths, :class:`twinrank.Judgements`, or tuples ``(xa, xb, y)``.
        labels: CSV ``id,label`` of the only file.
        images: Folder of the images that tables of judgements name; that of the table by default.
        columns: Columns of a table where their names do not tell.
        resize: Whether images of another size are brought to that of the training.

    Returns:
        For each file, by its name, ``metrics``: accuracy, macro F1, log-loss, Brier score and calibration error, each
        with ``value``, its interval ``low`` to ``high``, and ``n``. ``confusion`` is [[tn, fp], [fn, tp]]. ``used``
        says how training used the file; it is empty for a file that training did not use. Several such files also
        count together, as ``tests``.

    Raises:
        InputError: Pairs are refused or have no labels, or the run has no weights.
    """
    if labels is not None and len(data) != 1:
        raise InputError(f"`labels`: labels are of one file, but {len(data)} are given; evaluate them one by one")
    files = [Path(each) if isinstance(each, str | os.PathLike) else as_pairs(each, labels=labels) for each in data]
    folder, csv = RunFolder(as_run(run, "run")), None if labels is None else Path(labels)
    results = library_evaluate(folder, files, csv, source(images, columns, resize))
    return cast(dict[str, MetricsRecord], results)


def _free_folder(model: str) -> Path:
    """``runs/MODEL``, or the first of ``runs/MODEL_2``, ... that nothing is in."""
    name = folder_name(model)
    later = (_RUNS / f"{name}_{number}" for number in itertools.count(2))
    return next(folder for folder in itertools.chain([_RUNS / name], later) if not folder.exists())
