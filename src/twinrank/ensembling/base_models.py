"""Base models of a ledger: their networks, their predictions, and their entries in ``ledger.json``."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np

from twinrank.config import Mode

WHOLE = -1
"""Fold of a network whose training left out no fold."""


@dataclass(frozen=True)
class Cell:
    """One network of a base model.

    Attributes:
        fold: Fold left out of its training; :data:`WHOLE` for none.
        run: Its run folder, relative to the ledger's folder.
        seed: Seed of the run.
        seconds: Duration of its training.
        memory_mb: Largest resident size of its training.
        milliseconds: Duration of a pair.
        config_sha256: Digest of its ``config.json``.
        weights_sha256: Digest of its weights.
        fitted_sha256: Digest of the rows that it was fitted to.
        stopped_on_sha256: Digest of the rows that chose its epoch.
    """

    fold: int
    run: str
    seed: int
    seconds: float
    memory_mb: float
    milliseconds: float
    config_sha256: str
    weights_sha256: str
    fitted_sha256: str
    stopped_on_sha256: str


@dataclass(frozen=True, eq=False)
class BaseModel:
    """A base model with its predictions.

    Attributes:
        name: Name of the base model.
        about: ``model``, ``options``, ``train``, ``track`` and ``parameters``.
        cells: Its C networks.
        fold: Fold left out of the training of the network that predicted the row, int8 (N,).
        logit: Logits, float32 (N,), NaN where no network predicted.
        tests: Logits of each network, float32 (C, n) by key of the test file.
        levels: Log-posteriors of left and right image over the network's latent levels, float32 (N, 2, K), or None.
        test_levels: The same of the tests, float32 (C, n, 2, K) by key.
    """

    name: str
    about: dict[str, Any]
    cells: tuple[Cell, ...]
    fold: np.ndarray
    logit: np.ndarray
    tests: dict[str, np.ndarray]
    levels: np.ndarray | None
    test_levels: dict[str, np.ndarray]

    def arrays(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays as a ledger keeps them.

        Args:
            ids: Row ids, str (N,).
        """
        arrays = {"id": ids, "fold": self.fold, "logit": self.logit}
        arrays |= {f"{key}.logit": logit for key, logit in self.tests.items()}
        if self.levels is not None:
            arrays |= {"levels": self.levels}
            arrays |= {f"{key}.levels": levels for key, levels in self.test_levels.items()}
        return arrays


class BaseModelRecord(TypedDict):
    """A base model of ``ledger.json``.

    Attributes:
        model: Name of the network.
        options: Options of the network.
        train: Training values.
        track: Track of its networks.
        parameters: Number of parameters of one network.
        cells: Its networks.
        npz: Digest of its arrays.
    """

    model: NotRequired[str]
    options: NotRequired[dict[str, Any]]
    train: NotRequired[dict[str, Any]]
    track: str
    parameters: int
    cells: list[Cell]
    npz: str


class Unseen(TypedDict):
    """Numbers of rows by how many of their two images are in no training."""

    both: int
    one: int
    none: int


class LedgerFile(TypedDict):
    """A pair file of a ledger.

    Attributes:
        path: Path of the file, as it was given.
        sha256: Digest of the file.
        n: Number of rows.
        mirrored: Number of rows whose sides were swapped, since sides were uneven.
        unseen: Rows by unseen images, where the file shares images with the training.
    """

    path: str
    sha256: str
    n: int
    mirrored: NotRequired[int]
    unseen: NotRequired[Unseen]


class LedgerIndex(TypedDict):
    """Content of ``ledger.json``.

    Attributes:
        mode: How rows came to be out-of-fold.
        data: Files by key: "rows", which is stacked, and the tests.
        folds: Digest of ``folds.npz``.
        rows: Digest of ``rows.npz``.
        models: Base models by name.
        sha256: Digest of the other values.
    """

    mode: Mode
    data: dict[str, LedgerFile]
    folds: str
    rows: str
    models: dict[str, BaseModelRecord]
    sha256: str
