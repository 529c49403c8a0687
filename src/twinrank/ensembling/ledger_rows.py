"""The labelled rows of a ledger: those that are stacked, and those of the tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinrank.data.judgements import Judgements
from twinrank.data.source import REFERENCE, TABLES
from twinrank.ensembling.base_models import LedgerFile, Unseen
from twinrank.evaluation.metrics_record import POOLED

_ENDINGS = (".npz", *TABLES)
_RESERVED = ("rows", POOLED)
"""Keys that ledgers and figures have beside those of files."""
_TRAIN = "train"


@dataclass(frozen=True, eq=False)
class LedgerRows:
    """Labelled rows of a file, as base models predict them.

    Attributes:
        data: Labelled pairs; where sides were uneven, a random half of them mirrored.
        recurring: Whether an image is in two rows of the ledger's files.
        mirrored: Which rows are mirrored, bool (N,); None for none.
        unseen: Numbers of rows by how many of their images are in no training; None where all are.
    """

    data: Judgements
    recurring: bool = False
    mirrored: np.ndarray | None = None
    unseen: Unseen | None = None

    def about(self) -> LedgerFile:
        """The file's entry in ``ledger.json``."""
        file = LedgerFile(path=str(self.data.path), sha256=self.data.sha256, n=len(self.data))
        if self.mirrored is not None:
            file["mirrored"] = int(self.mirrored.sum())
        if self.unseen is not None:
            file["unseen"] = self.unseen
        return file

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Ids and labels as ``rows.npz`` keeps them, with images, ties and weights where there are any.

        Args:
            prefix: Beginning of each key.
        """
        data = self.data
        assert data.y is not None
        arrays = {"id": data.row_ids, "y": data.y}
        if self.recurring:
            arrays["images"] = data.image_codes
        optional = {"tie": data.tie, "weight": data.weight, "mirrored": self.mirrored}
        arrays |= {key: values for key, values in optional.items() if values is not None}
        return {f"{prefix}{key}": values for key, values in arrays.items()}


def key_of(path: Path) -> str:
    """The key of a file that is stacked: its name without an ending."""
    reference = path.name.endswith(REFERENCE)
    stem = path.name.removesuffix(REFERENCE) if reference else path.stem
    name = stem if reference or path.suffix.lower() in _ENDINGS else path.resolve().name or "pairs"
    return f"{name}_file" if name in _RESERVED else name


def test_keys(tests: Sequence[Path], stacked: Path) -> list[str]:
    """A key for each test file that no other file has: its name, after that of its folder where two are alike.

    Args:
        tests: Test files.
        stacked: File that is stacked.
    """
    keys: list[str] = []
    for path in tests:
        taken = {*_RESERVED, _TRAIN, key_of(stacked), *keys}
        longer = f"{path.resolve().parent.name}_{key_of(path)}"
        candidates = (key_of(path), longer, *(f"{longer}_{number}" for number in range(2, len(taken) + 3)))
        keys.append(next(key for key in candidates if key not in taken))
    return keys
