"""What a network that is trained by epochs is fitted to, chosen by and judged by, where images recur or are few."""

import time
from pathlib import Path

import numpy as np

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.data.folds import assign_folds
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.vote_calibration import fit_votes
from twinrank.inference.network import Network
from twinrank.runs import RunFolder
from twinrank.training.train import load_data
from twinrank.workflows.fit_beside import Fold, rounds, spreads, train_folds
from twinrank.workflows.fit_epochs import train_until
from twinrank.workflows.fit_parts import Parts

HELD_OUT = "held_out.npz"
"""Predictions of a cross-validation, in the folder of its runs."""
_STOP = 0.1
"""Share of the judgements that chooses the epoch."""


class Folded:
    """A part of the judgements in folds.

    Args:
        parts: The judgements.
        part: Name of the part.
        folds: Number of folds; more where images recur.
        source: How the images are read.
        seed: Root seed.
        context: Listeners.

    Raises:
        InputError: There are too few images.
    """

    def __init__(self, parts: Parts, part: str, folds: int, source: Source, seed: int, context: Context) -> None:
        self._parts, self._part, self._source, self._context = parts, part, source, context
        self._data = load_pairs(parts.part(part), None, source, context)
        self._folds = assign_folds(self._data, folds, _STOP, seed)

    def cost(self, folder: Path, context: Context) -> float:
        """Time of the networks of all folds, as a multiple of that of the network of the whole part.

        Args:
            folder: Folder of the runs.
            context: Where they are trained.
        """
        fitted = [len(self._folds.fitted(fold).rows) for fold in range(self._folds.count)]
        each = sum(fitted) / len(fitted) / len(self._folds.fitted().rows)
        return each * rounds(len(fitted), folder, context)

    def pairs(self, fold: int | None = None) -> tuple[Judgements, Judgements]:
        """What is fitted, and what chooses the epoch, where a fold is left out; None leaves out none."""
        return load_data(*self._files(fold), self._source, self._context)

    def _files(self, fold: int | None) -> tuple[Path, Path]:
        name = self._part if fold is None else f"{self._part}_{fold}"
        rows = {"fitted": self._folds.fitted(fold).rows, "stop": self._folds.stopped_on(fold).rows}
        files = [self._parts.selected(f"{name}_{use}", self._part, self._data, each) for use, each in rows.items()]
        return files[0], files[1]

    def cross_validate(self, spec: RunSpec, folder: Path, until: float, context: Context) -> None:
        """Train a network for each fold, and write what they predict of the judgements that they were not fitted to.

        Args:
            spec: Network, options and training values.
            folder: Folder of the runs, and of ``held_out.npz``.
            until: Time at which all must be over, on the monotonic clock, in seconds.
            context: Listener, command, and where they are trained.
        """
        if (kept := folder / HELD_OUT).is_file():
            return
        if spread := spreads(context):
            folds = [Fold(folder / str(fold), *self._files(fold)) for fold in range(self._folds.count)]
            context.say(f"{folder}: {self._folds.count} folds beside each other")
            left = (until - time.monotonic()) / rounds(self._folds.count, folder, context)
            train_folds(folds, spec, self._source, left, context)
        data, logit = self._data, np.empty(len(self._data))
        for fold in range(self._folds.count):
            run, left = folder / str(fold), until - time.monotonic()
            if not spread:
                context.say(f"{run}: fold {fold + 1} of {self._folds.count}")
                at_most = time.monotonic() + left / (self._folds.count - fold)
                train_until(spec, self.pairs(fold), run, at_most, context, shown=False)
            rows = self._folds.left_out(fold).rows
            logit[rows] = Network(RunFolder(run)).logits(data.select(rows))
        assert data.y is not None
        found = fit_votes(logit, data.y, data.tie, data.weight, data.image_codes)
        meta = {"scale": found.scale, "nu": found.nu}
        Predictions(data.row_ids, found.logits(logit), data.y, meta=meta, tie=data.tie, weight=data.weight).save(kept)
