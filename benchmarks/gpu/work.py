"""What a part of the benchmark works with: data, time, and the file of results."""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from twinrank.config import RunSpec
from twinrank.core.files import read_json, write_json
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.models.registry import entry

GUIDE = "resnet_optimized_1.12"
"""The guide's best network."""


@dataclass
class Work:
    """A part of the benchmark.

    Attributes:
        part: Its name.
        data: Folder with the benchmark.
        out: JSON file with all results.
        seconds: Time of the part.
        tiny: Whether everything is as small as possible.
    """

    part: str
    data: Path
    out: Path
    seconds: float
    tiny: bool

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    @cached_property
    def train(self) -> Judgements:
        return self.load("train", 96)

    @cached_property
    def val(self) -> Judgements:
        return self.load("val", 32)

    def load(self, name: str, tiny: int) -> Judgements:
        """A file of the benchmark, or so many pairs of it where everything is tiny."""
        pairs = load_pairs(self.data / f"{name}.npz")
        return pairs.select(slice(tiny)) if self.tiny else pairs

    def spec(self, model: str, options: dict[str, Any], **values: Any) -> RunSpec:
        """A network with its own training values but for some; a tiny one where everything is tiny."""
        if self.tiny:
            small = {"width": 4, "width_mult": 0.1, "layers": (1, 1, 1), "stem_stride": 2}
            options = options | {key: small[key] for key in small.keys() & entry(model).options}
            values["batch_size"] = 16
        return RunSpec(model, replace(entry(model).train, **values), options)

    def keep(self, key: str, value: Any, line: str) -> None:
        """Print a result, and put it into the file."""
        print(f"{self.part}: {line}", flush=True)
        found = read_json(self.out)
        found.setdefault(self.part, {})[key] = value
        write_json(self.out, found)
