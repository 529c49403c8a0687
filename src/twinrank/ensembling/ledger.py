"""The ledger: what base models said about rows that they were neither fitted nor stopped on. Stackers read it alone.

A folder with ``ledger.json``, ``folds.npz`` (which rows each network was given), ``rows.npz`` (ids, labels and folds of
the rows that are stacked, and of the test files) and ``MODEL.npz`` for each base model. The JSON holds a digest of
every other file and of itself, and is replaced last, so whatever it does not know of has not been added.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.config import Mode
from twinrank.core.files import read_json, sha256, write_json, write_npz
from twinrank.core.npz import Archive
from twinrank.data.folds import Folds
from twinrank.data.pairs import PairData, digest_of
from twinrank.errors import InputError, nearest

WHOLE = -1
"""Fold of a network that was trained with no fold left out."""


@dataclass(frozen=True)
class Cell:
    """One network of a base model.

    Attributes:
        fold: that was left out of its training; :data:`WHOLE`, none.
        run: its folder, seen from the ledger's.
        seed: of the run.
        seconds: of its training.
        memory_mb: largest resident size of its training.
        milliseconds: that it took to decide a pair.
        config_sha256: of its ``config.json``.
        weights_sha256: of its weights.
        fitted_sha256: of the rows that were fitted.
        stopped_on_sha256: of the rows that chose the epoch.
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
    """One base model.

    Attributes:
        name: of the base model.
        about: ``model``, ``options``, ``train``, ``track`` and ``parameters``.
        cells: its C networks.
        fold: int8 (N,), left out of the training of the network that was asked about the row.
        logit: float32 (N,), NaN where none was asked.
        tests: float32 (C, n) by stem of the test file, what each network says.
        levels: float32 (N, 2, K), log-posteriors of left and right image over the network's latent levels, or None.
        test_levels: float32 (C, n, 2, K) by stem, the same.
    """

    name: str
    about: dict[str, Any]
    cells: tuple[Cell, ...]
    fold: np.ndarray
    logit: np.ndarray
    tests: dict[str, np.ndarray]
    levels: np.ndarray | None
    test_levels: dict[str, np.ndarray]

    def _arrays(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        arrays = {"id": ids, "fold": self.fold, "logit": self.logit}
        arrays |= {f"{stem}.logit": logit for stem, logit in self.tests.items()}
        if self.levels is not None:
            arrays |= {"levels": self.levels}
            arrays |= {f"{stem}.levels": levels for stem, levels in self.test_levels.items()}
        return arrays


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with what M base models say about them.

    Attributes:
        id: str (N,).
        y: int8 (N,), 1 where the left image ranks higher, else 0.
        logit: float64 (N, M).
        levels: float64 (N, 2, K) by name of the base model, for those with latent levels: log-posteriors.
    """

    id: np.ndarray
    y: np.ndarray
    logit: np.ndarray
    levels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, eq=False)
class Matrix:
    """All that a stacker is given.

    Attributes:
        names: of the M base models.
        about: Description of each, see :class:`BaseModel`; also ``networks`` (number), ``seconds`` of training and
            ``milliseconds`` of deciding a pair, summed over the networks.
        mode: how the rows came to be unseen.
        rows: that meta-learners are fitted and judged on.
        fold: int8 (N,), 0 to K - 1, folds of these.
        stem: of the file of the rows.
        tests: by stem.
    """

    names: tuple[str, ...]
    about: dict[str, dict[str, Any]]
    mode: Mode
    rows: Rows
    fold: np.ndarray
    stem: str
    tests: dict[str, Rows]

    @property
    def by_stem(self) -> dict[str, Rows]:
        """Rows by stem: those that are stacked, then the tests."""
        return {self.stem: self.rows, **self.tests}

    def select(self, names: Sequence[str]) -> "Matrix":
        """Some base models."""
        places = [self.names.index(name) for name in names]

        def chosen(rows: Rows) -> Rows:
            levels = {name: both for name, both in rows.levels.items() if name in names}
            return replace(rows, logit=rows.logit[:, places], levels=levels)

        about = {name: self.about[name] for name in names}
        tests = {stem: chosen(rows) for stem, rows in self.tests.items()}
        return replace(self, names=tuple(names), about=about, rows=chosen(self.rows), tests=tests)


class Ledger:
    """A ledger on disk.

    Args:
        path: its folder.

    Raises:
        InputError: there is none, or ``ledger.json`` has been changed by hand.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        file = self.path / "ledger.json"
        if not file.is_file():
            raise InputError(f"{self.path}: not a ledger (no ledger.json); fill one with 'twinrank grid'")
        self._index = read_json(file)
        if not isinstance(self._index, dict) or self._index.get("sha256") != _digest(self._index):
            raise InputError(f"{file}: has been changed since it was written (SHA-256 differs); restore it")

    @classmethod
    def create(
        cls,
        path: Path,
        mode: Mode,
        folds: Folds,
        rows: PairData,
        row_folds: np.ndarray,
        tests: Mapping[str, PairData],
    ) -> "Ledger":
        """Begin a ledger, or open the one that was begun in the same way.

        Args:
            path: its folder.
            mode: how rows come to be unseen: ``oof``, each by the networks that its fold was left out of; ``holdout``,
                they are another file than the one that networks are trained on.
            folds: of the pairs that networks are trained on.
            rows: that are stacked.
            row_folds: int8 (N,), folds of these.
            tests: by stem.

        Raises:
            InputError: the folder holds another ledger, a file has no labels, or cannot be written.
        """
        path = Path(path)
        arrays = {"id": rows.row_ids, "y": _labels(rows), "fold": row_folds.astype(np.int8)}
        for stem, data in tests.items():
            arrays |= {f"{stem}.id": data.row_ids, f"{stem}.y": _labels(data)}
        files = {"rows": rows, **tests}
        begun = {
            "mode": mode,
            "data": {part: {"path": str(d.path), "sha256": d.sha256, "n": len(d)} for part, d in files.items()},
        }
        if not (path / "ledger.json").is_file():
            folds.save(path / "folds.npz")
            write_npz(path / "rows.npz", arrays)
            index = begun | {"folds": sha256(path / "folds.npz"), "rows": sha256(path / "rows.npz"), "models": {}}
            write_json(path / "ledger.json", index | {"sha256": _digest(index)})
        ledger = cls(path)
        known = ledger._index
        same = known["mode"] == mode and all(
            known["data"].get(part, {}).get("sha256") == data.sha256 for part, data in files.items()
        )
        was = ledger._folds()
        if not same or was.of_sha256 != folds.of_sha256 or not np.array_equal(was.fold, folds.fold):
            raise InputError(f"{path}: holds a ledger of other rows or folds; choose another folder with --out")
        return ledger

    @property
    def names(self) -> list[str]:
        """Base models in it, in the order in which they were added."""
        return list(self._index["models"])

    @property
    def sha256(self) -> str:
        """Digest of all that is in it."""
        return self._index["sha256"]

    @property
    def mode(self) -> Mode:
        """How rows came to be unseen."""
        return self._index["mode"]

    @property
    def data(self) -> dict[str, dict[str, Any]]:
        """``path``, ``sha256`` and ``n`` of the file that is stacked, "rows", and of the tests by stem."""
        return self._index["data"]

    def trained_on(self) -> dict[str, Any]:
        """``path``, ``sha256`` and ``n`` of the file that networks were trained on."""
        folds = self._folds()
        return {"path": str(folds.of), "sha256": folds.of_sha256, "n": len(folds.id)}

    def weights(self, cell: Cell) -> Path:
        """The run folder of a network, with the weights that were asked.

        Raises:
            InputError: they are not there, or have been changed.
        """
        run = Path(os.path.normpath(self.path / cell.run))
        if not (run / "weights.safetensors").is_file():
            raise InputError(f"{run}: the weights are not there, which are asked; fill the ledger with 'twinrank grid'")
        _refuse_changed(run / "weights.safetensors", cell.weights_sha256, f"the weights of {run.name}")
        return run

    def cells(self, name: str) -> list[Cell]:
        """The networks of a base model; none if it is not in the ledger."""
        found = self._index["models"].get(name)
        return [Cell(**cell) for cell in found["cells"]] if found else []

    def add(self, entry: BaseModel) -> None:
        """Add a base model, or put it in place of what is known of it.

        Raises:
            InputError: a file cannot be written.
        """
        file = self.path / f"{entry.name}.npz"
        write_npz(file, entry._arrays(self._rows()["id"]))
        about = entry.about | {"cells": [asdict(cell) for cell in entry.cells], "npz": sha256(file)}
        self._index = self._index | {"models": self._index["models"] | {entry.name: about}}
        self._index["sha256"] = _digest(self._index)
        write_json(self.path / "ledger.json", self._index)

    def read(self, names: Sequence[str] | None = None) -> Matrix:
        """What base models said, after making sure that it is about rows that none of them saw.

        Args:
            names: of base models; all by default.

        Raises:
            InputError: names the base model and the row: it saw the row, says nothing about it, or says it twice; or
                rows, folds, data, predictions or weights are not those that were recorded.
        """
        names = self.names if names is None else list(names)
        if not names:
            raise InputError(f"{self.path}: has no base models; fill it with 'twinrank grid'")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"--models: '{name}' is given {names.count(name)} times; name it once")
            if name not in self._index["models"]:
                raise InputError(f"{self.path}: has no base model '{name}'{nearest(name, self.names)}")
        for data in self._index["data"].values():
            if Path(data["path"]).exists() and digest_of(Path(data["path"])) != data["sha256"]:
                raise InputError(
                    f"{data['path']}: has changed since the ledger was filled (SHA-256 differs); restore it"
                )
        folds, rows = self._folds(), self._rows()
        tests = [part for part in self._index["data"] if part != "rows"]
        checked = {name: self._checked(name, folds, rows, tests) for name in names}
        about = {name: self._about(name) for name in names}
        return Matrix(
            tuple(names),
            about,
            self._index["mode"],
            Rows(rows["id"], rows["y"], _columns(checked, "logit"), _levels(checked, "levels")),
            rows["fold"],
            Path(self._index["data"]["rows"]["path"]).stem,
            {
                stem: Rows(
                    rows[f"{stem}.id"],
                    rows[f"{stem}.y"],
                    _columns(checked, f"{stem}.logit"),
                    _levels(checked, f"{stem}.levels"),
                )
                for stem in tests
            },
        )

    def _about(self, name: str) -> dict[str, Any]:
        known = self._index["models"][name]
        cells = known["cells"]
        summed = {key: sum(cell[key] for cell in cells) for key in ("seconds", "milliseconds")}
        about = {key: value for key, value in known.items() if key not in ("cells", "npz")}
        return about | {"networks": len(cells)} | summed

    def _folds(self) -> Folds:
        _refuse_changed(self.path / "folds.npz", self._index["folds"], "the folds", required=True)
        return Folds.load(self.path / "folds.npz")

    def _rows(self) -> dict[str, np.ndarray]:
        _refuse_changed(self.path / "rows.npz", self._index["rows"], "the rows", required=True)
        return _load(self.path / "rows.npz")

    def _checked(
        self, name: str, folds: Folds, rows: dict[str, np.ndarray], tests: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The arrays of a base model, tests as means over its networks."""
        file = self.path / f"{name}.npz"
        _refuse_changed(file, self._index["models"][name]["npz"], f"what {name} said", required=True)
        arrays, cells = _load(file), self.cells(name)
        _refuse_other_rows(name, arrays["id"], rows["id"])
        for cell in cells:
            self._refuse_seen(name, cell, folds, rows["id"])
            weights = self.path / cell.run / "weights.safetensors"
            _refuse_changed(weights, cell.weights_sha256, f"the weights of {name}")
        expected = folds.fold if self._index["mode"] == "oof" else np.full(len(rows["id"]), WHOLE)
        silent = np.flatnonzero(~np.isfinite(arrays["logit"]))
        if len(silent):
            raise InputError(
                f"{name}: says nothing about row '{rows['id'][silent[0]]}' ({len(silent):,} rows in all);"
                " finish it with 'twinrank grid', or leave it out with --models"
            )
        asked = np.flatnonzero((arrays["fold"] != expected) | ~np.isin(expected, [cell.fold for cell in cells]))
        if len(asked):
            row = asked[0]
            raise InputError(
                f"{name}: row '{rows['id'][row]}' is of fold {expected[row]}, but a network that left out fold"
                f" {arrays['fold'][row]} was asked, which saw the row; fill the ledger again"
            )
        for stem in tests:
            for kind in ("logit", "levels"):
                if (key := f"{stem}.{kind}") in arrays:
                    arrays[key] = arrays[key].astype(np.float64).mean(0)
            silent = np.flatnonzero(~np.isfinite(arrays[f"{stem}.logit"]))
            if len(silent):
                raise InputError(f"{name}: says nothing about row '{rows[f'{stem}.id'][silent[0]]}' of {stem}")
        return arrays

    def _refuse_seen(self, name: str, cell: Cell, folds: Folds, ids: np.ndarray) -> None:
        """In both modes the digests of the rows that a network was given prove what it has not seen."""
        fold = None if cell.fold == WHOLE else cell.fold
        asked = 0 if fold is None else folds.left_out(fold).rows[0]
        for use, digest, rows in (
            ("fitted", cell.fitted_sha256, folds.fitted(fold)),
            ("stopped on", cell.stopped_on_sha256, folds.stopped_on(fold)),
        ):
            if digest != rows.sha256:
                raise InputError(
                    f"{name}: what its network in {cell.run} was {use} is not what the folds say, so row"
                    f" '{ids[asked]}' may be among it; train it again"
                )
        if self._index["mode"] == "holdout" and self._index["data"]["rows"]["sha256"] == folds.of_sha256:
            raise InputError(f"{name}: was trained on the file that is stacked, row '{ids[0]}' included; use mode oof")


def _labels(data: PairData) -> np.ndarray:
    if data.y is None:
        raise InputError(f"{data.path}: has no labels; they are needed to stack")
    return data.y


def _columns(checked: Mapping[str, dict[str, np.ndarray]], key: str) -> np.ndarray:
    return np.stack([arrays[key].astype(np.float64) for arrays in checked.values()], 1)


def _levels(checked: Mapping[str, dict[str, np.ndarray]], key: str) -> dict[str, np.ndarray]:
    return {name: arrays[key].astype(np.float64) for name, arrays in checked.items() if key in arrays}


def _refuse_other_rows(name: str, ids: np.ndarray, expected: np.ndarray) -> None:
    if np.array_equal(ids, expected):
        return
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{name}: row '{unique[counts > 1][0]}' comes {counts.max()} times; fill the ledger again")
    if len(missing := np.setdiff1d(expected, ids)):
        raise InputError(f"{name}: row '{missing[0]}' is missing; fill the ledger again")
    if len(other := np.setdiff1d(ids, expected)):
        raise InputError(f"{name}: row '{other[0]}' is of another split; fill the ledger again")
    row = expected[np.flatnonzero(ids != expected)[0]]
    raise InputError(f"{name}: row '{row}' stands in another place than in the split; fill the ledger again")


def _refuse_changed(file: Path, digest: str, what: str, required: bool = False) -> None:
    """A file that is not needed may be gone, since ledgers outlive data and weights; a changed one is refused."""
    if not file.is_file():
        if required:
            raise InputError(f"{file}: no such file, which holds {what}; restore it, or fill the ledger again")
    elif sha256(file) != digest:
        raise InputError(
            f"{file}: holds {what} and has changed since the ledger was filled (SHA-256 differs); restore it"
        )


def _digest(index: Mapping[str, Any]) -> str:
    content = {key: value for key, value in index.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> dict[str, np.ndarray]:
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        return {key: archive.read(key) for key in archive.headers}
