"""A check that data fit in memory, before anything is allocated."""

import os
from pathlib import Path

from twinrank.errors import InputError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process can still use, or None where that is not known.

    On Linux the smaller of ``MemAvailable`` and what the control group (a container's limit) leaves; elsewhere the
    physical memory, an upper bound.
    """
    known = [size for size in (_system_memory(), _cgroup_memory()) if size is not None]
    return min(known, default=None)


def require_memory(path: Path, needed: int) -> None:
    """Refuse a file whose loading needs more memory than there is.

    Args:
        path: File, named in the message.
        needed: Bytes at the peak of loading.

    Raises:
        InputError: More is needed than is available.
    """
    require_room(
        f"{path}: loading", needed, "split the file, store the images as uint8, or use a machine with more memory"
    )


def require_room(what: str, needed: int, remedy: str) -> None:
    """Refuse what needs more memory than there is.

    Args:
        what: What needs the memory, as the subject of the message.
        needed: Bytes at the peak.
        remedy: What to do instead.

    Raises:
        InputError: More is needed than is available.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise InputError(f"{what} needs {needed:,} bytes of memory and {available:,} are available; {remedy}")


def _system_memory() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup_memory() -> int | None:
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # File pages that nobody uses are counted as used, but are given back on demand.
        return max(0, limit - used + int(statistics.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
