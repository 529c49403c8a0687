"""The images of a page to judge on, as browsers show them; those that had to be converted are kept for a while."""

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from twinrank.core.files import read_bytes
from twinrank.data.images.display import for_browser

_MOST = 256 << 20
"""Bytes of converted images that are kept."""


class Pictures:
    """Image files by number. Several threads may ask at once; an image is converted once for all of them.

    Args:
        files: Image files.
        most: Bytes of converted images that are kept. One larger image is kept alone.
        keep_digest: Keeps the SHA-256 of the file of an image, by number, and tells whether it could. It is called
            until it could.
    """

    def __init__(
        self,
        files: Sequence[Path],
        most: int = _MOST,
        keep_digest: Callable[[int, str], bool] = lambda number, sha256: True,
    ) -> None:
        self._files, self._most = files, most
        self._keep_digest, self._digested = keep_digest, set[int]()
        self._kept = OrderedDict[int, tuple[bytes, str]]()
        self._bytes = 0
        self._lock, self._locks = Lock(), defaultdict[int, Lock](Lock)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> tuple[bytes, str]:
        """The bytes of an image, and the name of its format.

        Raises:
            InputError: The file cannot be read.
            UnusableImage: It is no image that can be shown.
        """
        with self._lock:
            own = self._locks[number]
        with own:
            with self._lock:
                if number in self._kept:
                    self._kept.move_to_end(number)
                    return self._kept[number]
            plain = read_bytes(self._files[number])
            shown = for_browser(plain)
            if number not in self._digested and self._keep_digest(number, hashlib.sha256(plain).hexdigest()):
                self._digested.add(number)
            if shown[0] is not plain:
                self._keep(number, shown)
            return shown

    def _keep(self, number: int, shown: tuple[bytes, str]) -> None:
        with self._lock:
            self._kept[number] = shown
            self._bytes += len(shown[0])
            while self._bytes > self._most and len(self._kept) > 1:
                _, (dropped, _) = self._kept.popitem(last=False)
                self._bytes -= len(dropped)
