"""The folder of everything that can be fetched or computed again."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder of downloads and pixels: ``TWINRANK_CACHE``, or ``twinrank`` in the user's cache folder."""
    if chosen := os.environ.get("TWINRANK_CACHE"):
        return Path(chosen).expanduser()
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "twinrank"
