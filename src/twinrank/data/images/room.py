"""Room in the cache of pixels: what was not used for long makes way, and never what is in use."""

import math
import os
import shutil
from pathlib import Path

from twinrank.core.messages import quoted
from twinrank.data.images.segments import ENDING, remove_unused, segment_files
from twinrank.errors import InputError

DEFAULT_LIMIT = 50
"""Gigabytes (10**9 bytes) of pixels that are kept, unless ``TWINRANK_CACHE_GB`` says otherwise."""
_GIGABYTE = 10**9


def limit() -> float:
    """Bytes of pixels that are kept.

    Raises:
        InputError: ``TWINRANK_CACHE_GB`` is no number of 0 or more.
    """
    text = os.environ.get("TWINRANK_CACHE_GB") or str(DEFAULT_LIMIT)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not gigabytes >= 0:
        raise InputError(f"TWINRANK_CACHE_GB is {quoted(text)}; it must be a number of gigabytes, 0 or more")
    return gigabytes * _GIGABYTE


def make_room(root: Path, needed: int) -> None:
    """Remove the segments that were not used for longest, until the others and a new one fit.

    They fit if they are within the limit, and if the disk has room for the new one. Segments in use stay, so the limit
    may be exceeded.

    Args:
        root: Folder of the cache, with a folder of segments for each reading.
        needed: Bytes of the new segment.

    Raises:
        InputError: The disk has no room, whatever is removed.
    """
    segments = []
    for path in segment_files(root, f"*/*{ENDING}"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # Another process was faster.
            continue
        segments.append((stat.st_atime_ns, stat.st_blocks * 512, path))
    excess = sum(size for _, size, _ in segments) + needed - limit()
    short = needed - shutil.disk_usage(root).free
    for _, size, path in sorted(segments):
        if (excess > 0 or short > 0) and remove_unused(path):
            excess, short = excess - size, short - size
    free = shutil.disk_usage(root).free
    if needed > free:
        raise InputError(
            f"{root}: the pixels of the images need {needed:,} bytes and {free:,} are free; free space, or name a"
            " folder on another disk in the environment variable TWINRANK_CACHE"
        )
