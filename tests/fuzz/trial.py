"""One command on a bent file, in a process of its own, with little memory and little time."""

import importlib
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz.bend import bend
from tests.fuzz.world import TARGETS, copied

from twinrank.cli.main import main

# What commands import late, so that not every child does.
_OURS = ("inference.evaluate", "labelling.server", "reporting.plots", "workflows.rank", "workflows.report")
for late in (*(f"twinrank.{name}" for name in (*_OURS, "workflows.verify")), "scipy.stats"):
    importlib.import_module(late)

SECONDS, MEMORY = 60, 6 << 30
"""A command that takes longer hangs; one that takes more bytes of address space fails."""
_CRASHED = 98
LONGEST = 1_500
"""Characters of a message."""


class Trial(NamedTuple):
    """What a command did with a bent file.

    Attributes:
        what: The file, what was done to it, and the command.
        status: Exit status; None where it took too long, and negative where a signal ended it.
        text: What it printed.
        peak: Memory at the peak, in bytes.
    """

    what: str
    status: int | None
    text: str
    peak: int

    @property
    def problem(self) -> str | None:
        """What is wrong with that; None where it worked, or was refused with one clear line."""
        if self.status is None:
            return "hangs"
        if self.status not in (0, 1, 2) or "Traceback" in self.text:
            return "crashes"
        lines = [line for line in self.text.splitlines() if line.startswith("twinrank: error")]
        if self.status == 2 and len(lines) != 1:
            return "does not say what is wrong in one line"
        if any(len(line) > LONGEST for line in lines):
            return "says too much"
        if any(ord(letter) < 32 and letter not in "\n\t\r" for letter in self.text):
            return "prints control characters"
        return None


def trial(world: Path, folder: Path, name: str, random: Random) -> Trial:
    """Bend a file of a copy of the corpus, and give it to a command.

    Args:
        world: Corpus.
        folder: Folder for the copy.
        name: Name of a target.
        random: What is drawn from.
    """
    target, here = TARGETS[name], copied(world, folder)
    files = sorted(path for pattern in target.files for path in here.glob(pattern) if path.is_file())
    file = random.choice(files)
    relative = str(file.relative_to(here))
    done = bend(file, random)
    command = random.choice(target.commands)
    words = [relative if word == "FILE" else word for word in command.split()]
    return Trial(f"{relative} ({done}): {command}", *_run(words, here))


def _run(words: Sequence[str], folder: Path) -> tuple[int | None, str, int]:
    """Exit status, output, and bytes of memory of a command in a child process."""
    with tempfile.TemporaryFile() as out:
        child = started(words, folder, out.fileno())
        until, status, usage = time.monotonic() + SECONDS, None, None
        while status is None and time.monotonic() < until:
            done, found, usage = os.wait4(child, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(found)
            else:
                time.sleep(0.002)
        if status is None:
            os.kill(child, 9)
            usage = os.wait4(child, 0)[2]
        assert usage is not None
        out.seek(0)
        return status, out.read().decode(errors="replace"), usage.ru_maxrss * 1024


def started(words: Sequence[str], folder: Path, out: int) -> int:
    """The number of a process that runs a command.

    Args:
        words: Command line, without ``twinrank``.
        folder: Its working folder.
        out: File descriptor of its output.
    """
    if not (child := os.fork()):
        _become(words, folder, out)
    return child


def _become(words: Sequence[str], folder: Path, out: int) -> None:
    status: int | str | None = 0
    try:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(out, stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        main([*words])
    except SystemExit as stopped:
        status = stopped.code
    except BaseException:
        traceback.print_exc()
        status = _CRASHED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else _CRASHED)
