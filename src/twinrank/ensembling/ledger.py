"""The ledger: base models' predictions of rows that they were neither fitted nor stopped on. Stacks read it alone.

It is a folder with these files:

- ``ledger.json``: digests of all other files and of itself. It is replaced last: what it does not name is not added.
- ``folds.npz``: folds of the pairs that networks are trained on.
- ``rows.npz``: ids, labels and folds of the rows that are stacked; ids and labels of the test files.
- ``MODEL.npz`` for each base model: its predictions.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from twinrank.config import Mode
from twinrank.core.files import sha256, write_json, write_npz
from twinrank.core.messages import counted
from twinrank.core.npz import Archive
from twinrank.core.records import read_record
from twinrank.data.folds import Folds, image_arrays, images_of
from twinrank.data.stream import digest_of
from twinrank.ensembling.base_models import WHOLE, BaseModel, Cell, LedgerIndex
from twinrank.ensembling.ledger_rows import LedgerRows, key_of
from twinrank.ensembling.matrix import Matrix, Rows
from twinrank.errors import InputError, nearest


class Ledger:
    """A ledger on disk.

    Args:
        path: Folder of the ledger.

    Raises:
        InputError: There is none, or ``ledger.json`` is damaged or has been changed by hand.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        file = self.path / "ledger.json"
        if not file.is_file():
            raise InputError(f"{self.path}: not a ledger (no ledger.json); fill one with 'twinrank grid'")
        self._index: dict[str, Any] = dict(read_record(file, LedgerIndex, "the index of a ledger"))
        if self._index["sha256"] != _digest(self._index):
            raise InputError(f"{file}: has been changed since it was written (SHA-256 differs); restore it")
        if "rows" not in self._index["data"]:
            raise InputError(f"{file}: not the index of a ledger ('data.rows' is missing); restore it")

    @classmethod
    def create(
        cls,
        path: Path,
        mode: Mode,
        folds: Folds,
        rows: LedgerRows,
        row_folds: Folds,
        tests: Mapping[str, LedgerRows],
    ) -> "Ledger":
        """Begin a ledger, or open the one that was begun in the same way.

        Args:
            path: Folder of the ledger.
            mode: Way in which rows are out-of-fold. With ``oof``, the network that left out a row's fold predicts it.
                With ``holdout``, networks are trained on another file than the rows.
            folds: Folds of the pairs that networks are trained on.
            rows: Rows that are stacked.
            row_folds: Folds of these.
            tests: Test rows by key.

        Raises:
            InputError: The folder holds another ledger, or a file cannot be written.
        """
        path = Path(path)
        arrays = rows.arrays("") | {"fold": row_folds.fold.astype(np.int8)} | image_arrays(row_folds.images)
        for stem, data in tests.items():
            arrays |= data.arrays(f"{stem}.")
        files = {"rows": rows, **tests}
        begun = {"mode": mode, "data": {part: data.about() for part, data in files.items()}}
        if not (path / "ledger.json").is_file():
            folds.save(path / "folds.npz")
            write_npz(path / "rows.npz", arrays)
            index = begun | {"folds": sha256(path / "folds.npz"), "rows": sha256(path / "rows.npz"), "models": {}}
            write_json(path / "ledger.json", index | {"sha256": _digest(index)})
        ledger = cls(path)
        known = ledger._index
        same = known["mode"] == mode and all(
            known["data"].get(part, {}).get("sha256") == data.data.sha256 for part, data in files.items()
        )
        was = ledger._folds()
        if not same or was.fitted().sha256 != folds.fitted().sha256 or not np.array_equal(was.fold, folds.fold):
            raise InputError(f"{path}: holds a ledger of other rows or folds; choose another folder with `out`")
        return ledger

    @property
    def names(self) -> list[str]:
        """Names of the base models, in the order in which they were added."""
        return list(self._index["models"])

    @property
    def sha256(self) -> str:
        """Digest of the whole ledger."""
        return self._index["sha256"]

    @property
    def mode(self) -> Mode:
        """How rows came to be out-of-fold."""
        return self._index["mode"]

    @property
    def data(self) -> dict[str, dict[str, Any]]:
        """``path``, ``sha256`` and ``n`` of the file that is stacked, "rows", and of the tests by key."""
        return self._index["data"]

    @property
    def stem(self) -> str:
        """Key of the file that is stacked."""
        return key_of(Path(self._index["data"]["rows"]["path"]))

    def trained_on(self) -> dict[str, Any]:
        """``path``, ``sha256`` and ``n`` of the file that networks were trained on."""
        folds = self._folds()
        return {"path": str(folds.of), "sha256": folds.of_sha256, "n": len(folds.id)}

    def weights(self, cell: Cell) -> Path:
        """The run folder of a network, with the weights that predicted.

        Raises:
            InputError: They are not there, or have been changed.
        """
        run = Path(os.path.normpath(self.path / cell.run))
        if not (run / "weights.safetensors").is_file():
            raise InputError(f"{run}: the weights are not there; fill the ledger with 'twinrank grid'")
        _refuse_changed(run / "weights.safetensors", cell.weights_sha256, f"the weights of {run.name}")
        return run

    def cells(self, name: str) -> list[Cell]:
        """The networks of a base model; none if it is not in the ledger."""
        found = self._index["models"].get(name)
        return msgspec.convert(found["cells"], list[Cell]) if found else []

    def add(self, model: BaseModel) -> None:
        """Add a base model, or put it in place of the one of its name.

        Args:
            model: Base model with its predictions.

        Raises:
            InputError: A file cannot be written.
        """
        file = self.path / f"{model.name}.npz"
        write_npz(file, model.arrays(self._rows()["id"]))
        about = model.about | {"cells": [asdict(cell) for cell in model.cells], "npz": sha256(file)}
        self._index = self._index | {"models": self._index["models"] | {model.name: about}}
        self._index["sha256"] = _digest(self._index)
        write_json(self.path / "ledger.json", self._index)

    def read(self, names: Sequence[str] | None = None) -> Matrix:
        """The predictions of base models. No row may have been used in the training of the network that predicted it.

        Args:
            names: Names of base models; all by default.

        Raises:
            InputError: A base model used a row in training, or has no prediction for it, or two. Or rows, folds, data,
                predictions or weights have changed. The message names base model and row.
        """
        names = self.names if names is None else list(names)
        if not names:
            raise InputError(f"{self.path}: has no base models; fill it with 'twinrank grid'")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"`models`: '{name}' is given {names.count(name)} times; name it once")
            if name not in self._index["models"]:
                raise InputError(f"{self.path}: has no base model '{name}'{nearest(name, self.names)}")
        for data in self._index["data"].values():
            if Path(data["path"]).exists() and digest_of(Path(data["path"])) != data["sha256"]:
                raise InputError(
                    f"{data['path']}: has changed since the ledger was filled (SHA-256 differs); restore it"
                )
        folds, rows = self._folds(), self._rows()
        checked = {name: self._checked(name, folds, rows) for name in names}
        about = {name: self._about(name) for name in names}
        images = images_of(rows, rows["fold"], self.path / "rows.npz")
        return Matrix(
            tuple(names),
            about,
            self._index["mode"],
            _matrix_rows(rows, checked, ""),
            rows["fold"],
            self.stem,
            {stem: _matrix_rows(rows, checked, f"{stem}.") for stem in self._tests},
            None if images is None else np.stack([images.apart(fold) for fold in range(len(images.left_out))]),
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
        kinds = {"id": "U", "y": "iuf", "fold": "iu"}
        for key in self._tests:
            kinds |= {f"{key}.id": "U", f"{key}.y": "iuf"}
        return _load(self.path / "rows.npz", kinds)

    @property
    def _tests(self) -> list[str]:
        return [part for part in self._index["data"] if part != "rows"]

    def _checked(self, name: str, folds: Folds, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of a base model, tests as means over its networks."""
        tests = self._tests
        file = self.path / f"{name}.npz"
        _refuse_changed(file, self._index["models"][name]["npz"], f"the predictions of {name}", required=True)
        logits = {f"{key}.logit": "f" for key in tests}
        arrays, cells = _load(file, {"id": "U", "fold": "iu", "logit": "f", **logits}), self.cells(name)
        _refuse_other_rows(name, arrays["id"], rows["id"])
        counts = {"": len(rows["id"])} | {key: len(rows[f"{key}.id"]) for key in tests}
        _refuse_other_shapes(file, arrays, len(cells), counts)
        for cell in cells:
            self._refuse_used(name, cell, folds, rows["id"])
            weights = self.path / cell.run / "weights.safetensors"
            _refuse_changed(weights, cell.weights_sha256, f"the weights of {name}")
        expected = folds.fold if self._index["mode"] == "oof" else np.full(len(rows["id"]), WHOLE)
        missing = np.flatnonzero(~np.isfinite(arrays["logit"]))
        if len(missing):
            raise InputError(
                f"{name}: has no prediction for row '{rows['id'][missing[0]]}' ({counted(len(missing), 'row', 'rows')}"
                " in all); finish it with 'twinrank grid', or leave it out with `models`"
            )
        wrong = np.flatnonzero((arrays["fold"] != expected) | ~np.isin(expected, [cell.fold for cell in cells]))
        if len(wrong):
            row = wrong[0]
            raise InputError(
                f"{name}: row '{rows['id'][row]}' is of fold {expected[row]}, but a network that left out fold"
                f" {arrays['fold'][row]} predicted it, and used the row in training; fill the ledger again"
            )
        for stem in tests:
            for kind in ("logit", "levels"):
                if (key := f"{stem}.{kind}") in arrays:
                    arrays[key] = arrays[key].astype(np.float64).mean(0)
            missing = np.flatnonzero(~np.isfinite(arrays[f"{stem}.logit"]))
            if len(missing):
                raise InputError(
                    f"{name}: has no prediction for row '{rows[f'{stem}.id'][missing[0]]}' of {stem}; fill it again"
                )
        return arrays

    def _refuse_used(self, name: str, cell: Cell, folds: Folds, ids: np.ndarray) -> None:
        """Refuse a network that may have used rows that it predicted; digests of its rows prove that it did not."""
        fold = None if cell.fold == WHOLE else cell.fold
        first = 0 if fold is None else folds.left_out(fold).rows[0]
        for use, digest, rows in (
            ("fitted", cell.fitted_sha256, folds.fitted(fold)),
            ("stopped on", cell.stopped_on_sha256, folds.stopped_on(fold)),
        ):
            if digest != rows.sha256:
                raise InputError(
                    f"{name}: what its network in {cell.run} was {use} is not what the folds have, so row"
                    f" '{ids[first]}' may be among it; train it again"
                )
        if self._index["mode"] == "holdout" and self._index["data"]["rows"]["sha256"] == folds.of_sha256:
            raise InputError(f"{name}: was trained on the file that is stacked, row '{ids[0]}' included; use mode oof")


def _matrix_rows(rows: Mapping[str, np.ndarray], checked: Mapping[str, dict[str, np.ndarray]], prefix: str) -> Rows:
    """Labels of a file, and what base models predict for its rows."""
    labels = {name: rows.get(f"{prefix}{name}") for name in ("images", "tie", "weight")}
    return Rows(
        rows[f"{prefix}id"],
        rows[f"{prefix}y"],
        _columns(checked, f"{prefix}logit"),
        _levels(checked, f"{prefix}levels"),
        **labels,
    )


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


def _refuse_other_shapes(file: Path, arrays: Mapping[str, np.ndarray], cells: int, rows: Mapping[str, int]) -> None:
    """Refuse predictions of another number of rows or networks.

    Args:
        file: File of the arrays, for the message.
        arrays: Arrays of a base model.
        cells: Number of its networks.
        rows: Number of rows by key of the test file; under "", of the stacked rows.
    """
    for key, count in rows.items():
        lead = (cells, count) if key else (count,)
        for kind, axes in (("logit", 0), ("levels", 2)):
            array = arrays.get(f"{key}.{kind}" if key else kind)
            if array is None:
                continue
            expected = (*lead, *((2, array.shape[-1]) if axes and array.ndim else ()))
            if array.dtype.kind != "f" or array.shape != expected:
                name = f"{key}.{kind}" if key else kind
                raise InputError(f"{file}: '{name}' has shape {array.shape}, not {expected}; fill the ledger again")
    if arrays["fold"].shape != arrays["logit"].shape:
        raise InputError(
            f"{file}: 'fold' has shape {arrays['fold'].shape}, not {arrays['logit'].shape}; fill the ledger again"
        )


def _refuse_changed(file: Path, digest: str, what: str, required: bool = False) -> None:
    """Refuse a changed file. One that is not required may be gone, since ledgers outlive data and weights."""
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


def _load(path: Path, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file. Those of ``kinds`` must be there, with a type of these NumPy letters."""
    with Archive(path) as archive:
        archive.require_plausible_sizes()
        for key, letters in kinds.items():
            if key not in archive.headers or archive.headers[key].dtype.kind not in letters:
                raise InputError(f"{path}: key '{key}' is missing or of another type; fill the ledger again")
        return {key: archive.read(key) for key in archive.headers}
