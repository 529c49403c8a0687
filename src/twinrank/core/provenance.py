"""The program and the command that made a file."""

import subprocess
from pathlib import Path

import twinrank


def provenance(command: str) -> dict[str, str | None]:
    """``version`` and ``commit`` of this package, and the ``command`` that was run."""
    return {"version": twinrank.__version__, "commit": _commit(), "command": command}


def _commit() -> str | None:
    """The commit of the source tree that this package runs from, with ``-dirty`` if it was changed, or None."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
