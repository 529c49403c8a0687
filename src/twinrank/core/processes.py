"""Processes that this one starts: no code from the working folder runs in them, and they end when this one does."""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_PARENT = "TWINRANK_PARENT"
_POLL, _GRACE = 0.5, 10.0
"""Seconds between two looks at the parent, and between the polite and the certain end of a process."""
_watching = threading.Lock()


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process that this one starts.

    Python looks for modules in the working folder first, unless ``PYTHONSAFEPATH`` is set. A user's ``joblib.py`` there
    would run. A child that is a twinrank process calls :func:`end_with_parent`, which reads the rest.

    Args:
        changes: Variables that differ from those of this process.
    """
    return {**os.environ, **_safe(), **changes}


@contextmanager
def safe_children(changes: Mapping[str, str | None] | None = None) -> Iterator[None]:
    """A block in which a library starts processes: they get :func:`child_environment`.

    Args:
        changes: Variables that differ from those of this process; None takes a variable away.
    """
    changed = {**_safe(), **(changes or {})}
    before = {name: os.environ.get(name) for name in changed}
    _change_environment(changed)
    try:
        yield
    finally:
        _change_environment(before)


def _change_environment(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def end_with_parent() -> None:
    """Let this process end when the one that started it is gone, however that ended; idle or not.

    It gets SIGTERM, the polite end, and 10 seconds later SIGKILL. To be called early, once; more calls do nothing.
    A thread watches the parent. Linux could send a signal by itself (PR_SET_PDEATHSIG). But it does so when the thread
    ends that started this process, even if the parent lives on.
    """
    if not _watching.acquire(blocking=False):
        return
    # Taken out, since it is not the parent of what this process starts.
    parent = int(os.environ.pop(_PARENT, 0)) or os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="end_with_parent", daemon=True).start()


def _safe() -> dict[str, str]:
    return {"PYTHONSAFEPATH": "1", _PARENT: str(os.getpid())}


def _watch(parent: int) -> None:
    _wait_for(parent)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(parent: int) -> None:
    try:
        handle = os.pidfd_open(parent)
    except (AttributeError, OSError):  # Not Linux, an old one, or the parent is gone.
        handle = None
    if handle is not None and os.getppid() == parent:
        # Ready when the process has ended; no time passes in which it is not watched.
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll()
    while os.getppid() == parent:
        time.sleep(_POLL)
