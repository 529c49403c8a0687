"""One image of a set, with its place in the true order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """An image that is yet to be written.

    Attributes:
        name: File name, below the folder of images.
        score: True score, as a log-odds: of two images whose scores differ by 1, a usual person prefers the higher
            one in 73% of the decided votes.
        write: Writes the image to a path.
        facts: Further columns of ``truth.csv``.
    """

    name: str
    score: float
    write: Callable[[Path], None]
    facts: dict[str, str | float] = field(default_factory=dict)

    def row(self) -> dict[str, str | float]:
        """Line of ``truth.csv``."""
        return {"image": self.name, "score": round(self.score, 4)} | self.facts
