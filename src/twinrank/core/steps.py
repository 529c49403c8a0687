"""Steps that are done once: a step with the same inputs and unchanged outputs is not done again.

Several commands may keep steps in one file. Each reads what the others have added.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinrank.core.files import sha256, write_json
from twinrank.core.records import read_record
from twinrank.core.run_records import StepRecord
from twinrank.errors import InputError


class Steps:
    """The steps that are done, kept in a file, with the time and the memory that each took.

    Args:
        path: JSON file.
        say: Listener for a line at each step.

    Raises:
        InputError: The file is there and holds something else.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._read()

    @contextmanager
    def step(self, name: str, inputs: Mapping[str, Any], outputs: Sequence[Path]) -> Iterator[bool]:
        """Give whether the step is still to do; when it is done, keep it with the digests of its outputs.

        Args:
            name: Step name.
            inputs: Everything that the outputs depend on, as JSON values.
            outputs: Files that the step writes.
        """
        before = next((step for step in self._read() if step["step"] == name), None)
        # As they will be read: JSON has no tuples.
        stored: dict[str, Any] = json.loads(json.dumps(inputs))
        unchanged = before and before["inputs"] == stored and all(map(Path.is_file, outputs))
        if before and unchanged and before["outputs"] == digests(*outputs):
            self._say(f"{name}: done before ({before['seconds']:,.1f} s)")
            yield False
            return
        self._say(f"{name} ...")
        started = time.perf_counter()
        yield True
        seconds = time.perf_counter() - started
        done: StepRecord = {
            "step": name,
            "seconds": round(seconds, 1),
            "peak_memory_mb": round(peak_memory() / 1e6),
            "inputs": stored,
            "outputs": digests(*outputs),
        }
        write_json(self._path, [*(step for step in self._read() if step["step"] != name), done])
        self._say(f"{name}: {seconds:,.1f} s")

    def _read(self) -> list[StepRecord]:
        if not self._path.exists():
            return []
        try:
            return read_record(self._path, list[StepRecord], "a list of steps")
        except InputError as error:
            raise InputError(f"{error}; without it all steps are done again") from error


def digests(*files: Path) -> dict[str, str]:
    """SHA-256 of files, by path."""
    return {str(file): sha256(file) for file in files}


def peak_memory() -> int:
    """Largest resident size so far of this process or one that it started, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
