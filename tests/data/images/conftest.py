"""What tests of images have in common: a folder of images, a cache of its own, and counts of what is opened."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinrank.data.images import cache
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 3, 16, 24), np.uint8)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of images."""
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 images, 00.png to 19.png, in two folders."""
    for number, pixels in enumerate(PIXELS):
        save(tmp_path / "photos" / ("left" if number < 10 else "right") / f"{number:02}.png", pixels)
    return tmp_path / "photos"


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(path)


class Opened:
    """Counts what is done with files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded, self.read = 0, 0
        decode, opened = cache.decode, cache.opened

        def counted_decode(content: bytes, reading: Reading) -> np.ndarray:
            self.decoded += 1
            return decode(content, reading)

        def counted_opened(path: Path) -> Any:
            self.read += 1
            return opened(path)

        monkeypatch.setattr(cache, "decode", counted_decode)
        monkeypatch.setattr(cache, "opened", counted_opened)

    def since(self) -> tuple[int, int]:
        """Images decoded and files opened since the last call."""
        counts = self.decoded, self.read
        self.decoded = self.read = 0
        return counts


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


def pixels_of(store: ImageStore) -> np.ndarray:
    return store.take(np.arange(len(store)))
