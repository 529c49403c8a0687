"""The program and the command that made a file."""

import subprocess
from pathlib import Path

import twinrank


def provenance(command: str) -> dict[str, str | None]:
    """``version`` and ``commit`` of this package, and the ``command`` that was run."""
    return {"version": twinrank.__version__, "commit": _commit(), "command": command}


def _commit(source: Path = Path(__file__)) -> str | None:
    """The commit of the source tree that this package runs from, with ``-dirty`` if it was changed, or None.

    Args:
        source: File of the package.
    """
    # An environment may lie in the repository of another project, which does not track it.
    if _git(source, "ls-files", "--error-unmatch", source.name) is None:
        return None
    return _git(source, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(source: Path, *arguments: str) -> str | None:
    """Output of a command in the folder of a file, or None if it fails."""
    try:
        found = subprocess.run(["git", *arguments], cwd=source.parent, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
