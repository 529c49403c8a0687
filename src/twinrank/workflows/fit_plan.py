"""What ``twinrank fit`` tries: what the images suggest, and what there is time for."""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from twinrank.config import LARGEST, SMALLEST, RunSpec
from twinrank.core.context import Context
from twinrank.core.files import read_json, write_json
from twinrank.core.machine import available_threads
from twinrank.core.memory import available_memory
from twinrank.core.messages import counted
from twinrank.core.records import as_record
from twinrank.core.values import with_values
from twinrank.data.images.files import image_files
from twinrank.data.images.reading import Fit, Reading
from twinrank.data.images.store import ImageStore
from twinrank.errors import InputError
from twinrank.models.registry import entry
from twinrank.workflows.fit_parts import DEVELOPMENT, VAL, Parts

if TYPE_CHECKING:
    import torch

    from twinrank.models.siamese import SiameseNet

LARGE = 224
"""Pixels at most of whole images, which is also the size where a way of reading is stated without one."""
_SIZES_SEEN = 500
_LEAST_NATIVE = 0.25
"""Share of the images with a side above :data:`LARGE`, from which on their own resolution is tried."""
_SMALL, _MANY = 64, 10_000
"""Pixels of a side up to which images are small, and number from which on they are many: then a network is trained from
scratch. It is also the least size of images that a head gets."""
_LEAST_TRAIN, LEAST_VAL = 1_000, 100
"""Judgements to train a network from scratch, and to choose its epoch."""
_LEAST_MIXED, _MOST_MIXED = 1_000, 20_000
"""Judgements from which on, and images up to which, a head has a latent order besides a linear score."""
_WIDTHS, _FOLDS = (24, 16, 8), 5
_SHARE, _SHARE_BESIDE, _LATE = 0.5, 0.25, 1.5
"""Shares of the time that the features of all images may take in one way of reading them: alone, and beside a network
that is trained from scratch. The latter may be exceeded by a factor before such a way is left out."""
_HEAD_SECONDS, _HEAD_BYTES = 0.02, 150_000
"""Time and memory that fitting heads takes for each image, once its features are there."""
_MOST_TIMED, _TIMES = 32, 4
_KEPT, _IMAGES = "plan.json", "images.json"
MODEL = "efficientnet_lite0"
"""The network with public weights."""


@dataclass(frozen=True)
class Candidate:
    """A network, and a way in which images become its pixels.

    Attributes:
        name: Name of its run folder.
        fit: How an image file is brought to the size.
        size: Pixels in height and width; images that are arrays have this size already.
        model: Name of the network.
        options: Options of the network that differ from its defaults.
        train: Training values that differ from those of the network.
        folds: Folds of a cross-validation over images that judges it; 0 judges it by the images that choose its epoch.
        cheaper: Options that replace ``options`` where these leave too little time, the dearest first.
        covered: Share of the pixels that images fill on average, where margins are cut off.
        beside: Name of another candidate; this one is tried only where that one is the best so far. "" is always.
    """

    name: str
    fit: Fit
    size: int
    model: str = MODEL
    options: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    folds: int = 0
    cheaper: list[dict[str, Any]] = field(default_factory=list)
    covered: float = 1.0
    beside: str = ""

    @property
    def by_epochs(self) -> bool:
        """Whether it is trained by epochs, which held-out images choose; else it is a head, cross-validated."""
        return entry(self.model).by_epochs(self.options)

    @property
    def words(self) -> str:
        """What it is, in a few words."""
        ways = {"resize": "whole images,", "pad": "whole images, padded to", "native": "at their own resolution, up to"}
        network = f"{self.model} from scratch, " if self.by_epochs else ""
        turned = ", upside down, too" if self.options.get("turned") else ""
        return f"{network}{ways.get(self.fit, self.fit)} {self.size} pixels{turned}"

    def reading(self, given: Reading) -> Reading:
        """The reading of a user, with this fit and size."""
        return replace(given, fit=self.fit, size=self.size)

    def spec(self, seed: int) -> RunSpec:
        """What is trained.

        Args:
            seed: Seed of all random numbers.
        """
        values = self.train | {"seed": seed}
        return RunSpec(self.model, with_values(entry(self.model).train, values, self.name), self.options)


def kept_plan(parts: Parts, out: Path, seconds: float, context: Context) -> list[Candidate]:
    """What is tried; kept for the next call, which may have other time.

    Args:
        parts: The judgements.
        out: Folder in which the plan is kept.
        seconds: Time for everything.
        context: Listeners and threads.
    """
    kept = out / _KEPT
    if not kept.exists():
        keep_plan(planned(parts, seconds, context), out)
    read: Any = as_record(read_json(kept), list[Candidate], str(kept), "a plan of fit")
    plan = [Candidate(**each) for each in read]
    if not isinstance(parts.images, ImageStore):
        # Images that nobody judged are ranked, too: what cannot be used is said before anything is fitted.
        reading = plan[0].reading(parts.source.reading)
        store = ImageStore.from_folder(parts.images, reading, context.progress, context.threads)
        _require_same_images(store, parts, out)
    return plan


def _require_same_images(store: ImageStore, parts: Parts, out: Path) -> None:
    """Keep the digest of the images that were judged, or make sure that they are what they were."""
    assert store.names is not None
    assert store.digests is not None
    assert isinstance(parts.images, Path)
    places = {parts.images / name: place for place, name in enumerate(store.names.tolist())}
    judged = [store.digests[places[path]].tobytes() for path in sorted(parts.files) if path in places]
    digest = hashlib.sha256(b"".join(judged)).hexdigest()
    kept = out / _IMAGES
    if not kept.exists():
        write_json(kept, {"sha256": digest})
    elif read_json(kept) != {"sha256": digest}:
        raise InputError(f"{out}: was begun with images of other content; choose another folder with `out`")


def keep_plan(plan: Sequence[Candidate], out: Path) -> None:
    """Write what is tried.

    Args:
        plan: Candidates.
        out: Folder in which the plan is kept.
    """
    write_json(out / _KEPT, [asdict(each) for each in plan])


def planned(parts: Parts, seconds: float, context: Context) -> list[Candidate]:
    """What is tried, one after the other, at sizes for which there is time.

    Heads on a frozen network come first, then the best of them with images upside down, too. Where images are small or
    many, and judgements are not few, a network is trained from scratch in the time that is left. Heads then get less
    time, and are left out where their features take more of it, or more memory than there is.

    Args:
        parts: The judgements.
        seconds: Time for everything.
        context: Listener, and threads.
    """
    images, given = parts.images, parts.source.reading
    if isinstance(images, ImageStore):
        heads, side, count = [Candidate("arrays", "resize", min(images.shape[1:]))], max(images.shape[1:]), len(images)
    else:
        heads, side = candidates(parts.files, given), _largest_side(parts.files, given)
        count = max(len(parts.files), len(image_files(images)))
    scratch = [] if parts.counts[DEVELOPMENT] < _LEAST_TRAIN else from_scratch(heads[0], side, count)
    if any(not each.folds for each in scratch) and parts.counts[VAL] < LEAST_VAL:
        scratch = []
    share, kept = _SHARE_BESIDE if scratch else _SHARE, list[Candidate]()
    for head in heads:
        if scratch and (problem := _too_dear(count)):
            context.say(f"{head.name}: left out, since features of {counted(count, 'image', 'images')} need {problem}")
            continue
        fitting = affordable(head, count, share * seconds, context, isinstance(images, ImageStore), bool(scratch))
        kept += [] if fitting is None else [fitting]
    if parts.counts[DEVELOPMENT] >= _LEAST_MIXED and count <= _MOST_MIXED:
        kept = [replace(head, options=head.options | {"head": "mixed"}) for head in kept]
    return [*kept, *map(_turned, kept), *scratch]


def _turned(head: Candidate) -> Candidate:
    """The same with images upside down, too."""
    return replace(head, name=f"{head.name}_turned", options=head.options | {"turned": True}, beside=head.name)


def candidates(files: Sequence[Path], given: Reading) -> list[Candidate]:
    """Heads on a frozen network: the ways in which image files may be read, the most promising first.

    Images of one size are taken whole. Those of several sizes are padded, which keeps their aspect. Where many are
    large, their own resolution is another way: blur, noise and texture survive it. What is larger than a network takes
    is cut to its middle. A size or a fit that the user states is the only one.

    Args:
        files: Image files.
        given: What the user states.
    """
    if given.size is not None or given.fit != "resize":
        return [Candidate(given.fit, given.fit, min(given.shape) if given.size is not None else LARGE)]
    sizes = _sizes(files)
    seen = np.array([*sizes.elements()] or [(LARGE, LARGE)])
    shorter, longer = seen.min(1), seen.max(1)
    whole = Candidate("whole", "resize" if len(sizes) == 1 else "pad", int(np.clip(shorter.max(), _SMALL, LARGE)))
    if np.mean(longer > LARGE) < _LEAST_NATIVE:
        return [whole]
    size = min(int(longer.max()), LARGEST)
    covered = float(np.minimum(seen, size).prod(1).mean()) / size**2
    return [whole, Candidate("native", "native", size, options={"trim": True}, covered=covered)]


def from_scratch(like: Candidate, side: int, count: int) -> list[Candidate]:
    """A network that is trained from scratch, where images are small or many; else nothing.

    It is ``order_net`` of width 24, or a narrower one where there is little time. Many images are judged by those that
    choose the epoch, others by a cross-validation.

    Args:
        like: How image files are read.
        side: Largest side of an image, in pixels.
        count: Number of images.
    """
    if side > _SMALL and count < _MANY:
        return []
    widths = [{"width": width} for width in _WIDTHS]
    size = int(np.clip(side, SMALLEST, _SMALL))
    folds = 0 if count >= _MANY else _FOLDS
    return [Candidate("scratch", like.fit, size, "order_net", widths[0], folds=folds, cheaper=widths[1:])]


def affordable(
    candidate: Candidate,
    images: int,
    seconds: float,
    context: Context,
    arrays: bool = False,
    others: bool = False,
) -> Candidate | None:
    """A head at a smaller size, where the features of all images would take too long.

    Args:
        candidate: Head on a frozen network.
        images: Number of images.
        seconds: Time for their features.
        context: Listener, and threads.
        arrays: Whether the images have their size already.
        others: Whether something else is tried; then what takes too long at any size is left out, and gives None.
    """
    import torch

    from twinrank.core.device import prepare_cpu
    from twinrank.inference.features import for_prediction, images_a_batch
    from twinrank.models.registry import create_model

    prepare_cpu(available_threads() if context.threads is None else context.threads)
    model = for_prediction(create_model(candidate.model, 3, candidate.size, candidate.options).eval())
    rows = min(_MOST_TIMED, images_a_batch(candidate.size, candidate.size))
    batch = torch.rand(rows, 3, candidate.size, candidate.size)
    with torch.inference_mode():
        model.embed_batch(batch[:1])
        # The quickest of several: other processes may slow down the others.
        needed = candidate.covered * images * min(_seconds(model, batch) for _ in range(_TIMES)) / rows
    if others:
        needed += images * _HEAD_SECONDS
    if needed <= seconds:
        return candidate
    size = candidate.size if arrays else max(_SMALL, int(candidate.size * (seconds / needed) ** 0.5) // 8 * 8)
    size = min(size, candidate.size)
    took = f"features of {counted(images, 'image', 'images')} would take {max(needed / 60, 0.1):.1f} minutes"
    if others and needed * (size / candidate.size) ** 2 > _LATE * seconds:
        context.say(f"{candidate.name}: left out, since {took}")
        return None
    if size < candidate.size:
        context.say(
            f"{candidate.name}: {size} pixels instead of {candidate.size}, since {took}; give more `minutes` for more"
        )
    return replace(candidate, size=size)


def _too_dear(images: int) -> str | None:
    """The memory that the features of all images need, where that is more than there is; else None."""
    needed, there = images * _HEAD_BYTES, available_memory()
    if there is None or needed <= there:
        return None
    return f"{needed / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are there"


def _seconds(model: "SiameseNet", batch: "torch.Tensor") -> float:
    began = time.perf_counter()
    model.embed_batch(batch)
    return time.perf_counter() - began


def _largest_side(files: Sequence[Path], given: Reading) -> int:
    """Pixels of the largest side of image files, as they are read."""
    return max(given.shape) if given.size is not None else max(map(max, _sizes(files)), default=LARGE)


def _sizes(files: Sequence[Path]) -> Counter[tuple[int, int]]:
    """Width and height of some image files, with the number of each."""
    seen = list(dict.fromkeys(files))
    every = max(1, len(seen) // _SIZES_SEEN)
    return Counter(size for path in seen[::every] if (size := _size(path)) is not None)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        # Reading refuses it later, with all others.
        return None
