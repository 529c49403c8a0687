"""What the machine gives to this process."""

import os

from twinrank.core.run_records import MAX_THREADS
from twinrank.errors import InputError


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_threads(threads: int) -> None:
    """Make sure that so many threads are possible.

    Raises:
        InputError: They are not.
    """
    if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise InputError(f"`threads` is {threads!r}; use 1 to {MAX_THREADS}")
