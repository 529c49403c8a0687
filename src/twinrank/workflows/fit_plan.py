"""What ``twinrank fit`` tries: what the images suggest, and what there is time for."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from twinrank.core.context import Context
from twinrank.core.machine import available_threads
from twinrank.core.messages import counted
from twinrank.data.images.reading import Fit, Reading

if TYPE_CHECKING:
    import torch

    from twinrank.models.siamese import SiameseNet

LARGE, _NATIVE = 300, 224
"""Pixels at most of whole images, which is also the size where a way of reading is stated without one; pixels of the
middle at its own resolution."""
_SIZES_SEEN = 500
_LEAST_NATIVE = 0.75
"""Share of the images that fill a native crop, from which on it is tried."""
_TIMED, _TIMES, _SMALLEST = 4, 4, 64
MODEL = "efficientnet_lite0"
"""The network with public weights."""


@dataclass(frozen=True)
class Candidate:
    """A way in which images become pixels for a frozen network.

    Attributes:
        name: Name of its run folder.
        fit: How an image is brought to the size.
        size: Pixels in height and width.
    """

    name: str
    fit: Fit
    size: int

    def reading(self, given: Reading) -> Reading:
        """The reading of a user, with this fit and size."""
        return replace(given, fit=self.fit, size=self.size)


def candidates(files: Sequence[Path], given: Reading) -> list[Candidate]:
    """The ways in which images may be read, the most promising first.

    Images of one size are taken whole. Those of several sizes are padded, which keeps their aspect. Where most are
    large, the middle at its own resolution is another way: blur, noise and texture survive it. A size or a fit that the
    user states is the only one.

    Args:
        files: Image files.
        given: What the user states.
    """
    if given.size is not None or given.fit != "resize":
        return [Candidate(given.fit, given.fit, min(given.shape) if given.size is not None else LARGE)]
    seen = list(dict.fromkeys(files))
    every = max(1, len(seen) // _SIZES_SEEN)
    sizes = Counter(_size(path) for path in seen[::every])
    sizes.pop(None, None)
    sides = np.array([min(size) for size in sizes.elements() if size is not None] or [LARGE])
    whole = Candidate("whole", "resize" if len(sizes) == 1 else "pad", int(np.clip(sides.max(), 64, LARGE)))
    native = [Candidate("native", "native", _NATIVE)] if np.mean(sides >= _NATIVE) >= _LEAST_NATIVE else []
    return [whole, *native] if len(sizes) > 1 or sides.max() > LARGE else [whole]


def affordable(candidate: Candidate, images: int, seconds: float, context: Context) -> Candidate:
    """A candidate at a smaller size, where the features of all images would take too long.

    Args:
        candidate: Candidate.
        images: Number of images.
        seconds: Time for their features.
        context: Listener, and threads.
    """
    import torch

    from twinrank.core.device import prepare_cpu
    from twinrank.inference.features import for_prediction
    from twinrank.models.registry import create_model

    prepare_cpu(available_threads() if context.threads is None else context.threads)
    model = for_prediction(create_model(MODEL, 3, candidate.size).eval())
    batch = torch.rand(_TIMED, 3, candidate.size, candidate.size)
    with torch.inference_mode():
        model.embed_batch(batch[:1])
        # The quickest of several: other processes may slow down the others.
        needed = images * min(_seconds(model, batch) for _ in range(_TIMES)) / _TIMED
    if needed <= seconds:
        return candidate
    size = max(_SMALLEST, int(candidate.size * (seconds / needed) ** 0.5) // 8 * 8)
    if size < candidate.size:
        context.say(
            f"{candidate.name}: {size} pixels instead of {candidate.size}, since features of"
            f" {counted(images, 'image', 'images')} would take {needed / 60:.0f} minutes; give more `minutes` for more"
        )
    return replace(candidate, size=min(size, candidate.size))


def _seconds(model: "SiameseNet", batch: "torch.Tensor") -> float:
    began = time.perf_counter()
    model.embed_batch(batch)
    return time.perf_counter() - began


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        # Reading refuses it later, with all others.
        return None
