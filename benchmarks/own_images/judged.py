"""Tables of judgements as arrays, and what an entrant says of the test images."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_data.tables import read_table


@dataclass(frozen=True)
class Judged:
    """Judgements of pairs.

    Attributes:
        names: Names of the images, each once.
        pairs: Places of the left and the right image in ``names``, int64 (N, 2).
        y: 1 where left won, 0 where right did, 0.5 at a tie, float64 (N,).
    """

    names: list[str]
    pairs: np.ndarray
    y: np.ndarray

    @classmethod
    def load(cls, table: Path) -> "Judged":
        """Reads a table with the columns ``photo_1``, ``photo_2`` and ``winner``."""
        rows = read_table(table)
        names = sorted({row[side] for row in rows for side in ("photo_1", "photo_2")})
        place = {name: number for number, name in enumerate(names)}
        pairs = np.array([[place[row["photo_1"]], place[row["photo_2"]]] for row in rows])
        y = [{row["photo_1"]: 1.0, row["photo_2"]: 0.0}.get(row["winner"], 0.5) for row in rows]
        return cls(names, pairs, np.array(y))

    def decided(self) -> "Judged":
        """The judgements without ties."""
        kept = self.y != 0.5
        return Judged(self.names, self.pairs[kept], self.y[kept])

    def differences(self, values: np.ndarray) -> np.ndarray:
        """Value of the left image less that of the right one, (N, ...), of values (M, ...) of the images."""
        left, right = self.pairs.T
        return values[left] - values[right]


@dataclass(frozen=True)
class Answers:
    """What an entrant says of the test.

    Attributes:
        logit: Log-odds that left wins, for each row of the test, float64 (N,).
        score: Scores of the test images by name.
        facts: What the entrant chose, for the record.
    """

    logit: np.ndarray
    score: dict[str, float]
    facts: dict[str, Any] = field(default_factory=dict)
