"""What ``twinrank fit`` tries: how judgements are divided, and what their images suggest."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from twinrank.core.context import Context
from twinrank.core.machine import available_threads
from twinrank.core.messages import counted
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.images.reading import Fit, Reading
from twinrank.data.split import PARTS, Split, split_votes
from twinrank.errors import InputError

if TYPE_CHECKING:
    import torch

    from twinrank.models.siamese import SiameseNet

SHARES = (0.7, 0.1, 0.2)
"""Of the images: those of the first two parts are fitted, those of the third are the test."""
_FEWEST_FOLDERS, _IMAGES_A_FOLDER = 5, 3
"""Folders that are held out whole: so many at least, with so many images on average."""
_LARGE, _NATIVE = 300, 224
_SIZES_SEEN = 500
_LEAST_NATIVE = 0.75
"""Share of the images that fill a native crop, from which on it is tried."""
_LEAST_TEST = 10
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
        return [Candidate(given.fit, given.fit, min(given.shape) if given.size is not None else _LARGE)]
    seen = list(dict.fromkeys(files))
    every = max(1, len(seen) // _SIZES_SEEN)
    sizes = Counter(_size(path) for path in seen[::every])
    sizes.pop(None, None)
    sides = np.array([min(size) for size in sizes.elements() if size is not None] or [_LARGE])
    whole = Candidate("whole", "resize" if len(sizes) == 1 else "pad", int(np.clip(sides.max(), 64, _LARGE)))
    native = [Candidate("native", "native", _NATIVE)] if np.mean(sides >= _NATIVE) >= _LEAST_NATIVE else []
    return [whole, *native] if len(sizes) > 1 or sides.max() > _LARGE else [whole]


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
    from twinrank.models.registry import create_model

    prepare_cpu(available_threads() if context.threads is None else context.threads)
    model = create_model(MODEL, 3, candidate.size).eval()
    model.precision = "float32"
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


def divided(
    votes: VoteTable,
    files: tuple[Sequence[Path], Sequence[Path]],
    folder: Path,
    seed: int,
    say: Callable[[str], None],
    by_folder: bool = True,
) -> tuple[VoteTable, Split]:
    """Hold out images, or groups of images, for the test.

    Groups are those of the table. Without any, they are the folders of the images, where there are many with several
    images each: images of one folder are often of one thing.

    Args:
        votes: N judgements.
        files: Files of their left and right images, (N,) each.
        folder: Folder of the images.
        seed: Seed of the division.
        say: Listener.
        by_folder: Whether folders may be groups.

    Returns:
        The judgements, with their groups, and the division.

    Raises:
        InputError: There are too few judgements or images to hold any out.
    """
    stated = votes.left_group is not None or votes.right_group is not None
    folders = None if stated or not by_folder else _folders(files, folder)
    made = None
    if folders is not None:
        of = dict(zip([*files[0], *files[1]], folders, strict=True))
        sides = [[of[file] for file in side] for side in files]
        grouped, count = replace(votes, left_group=sides[0], right_group=sides[1]), len(set(folders))
        with suppress(InputError):
            made = split_votes(grouped, "group", SHARES, seed, files)
        if made is None or len(made.rows(PARTS[2])) < _LEAST_TEST:
            made = None
            say(f"the images lie in {count} folders, too few judgements to hold folders out; images are held out")
        else:
            votes = grouped
            say(f"the images lie in {count} folders, which are held out whole (`groups` none holds out images)")
    if made is None:
        try:
            made = split_votes(votes, "group" if stated else "image", SHARES, seed, files)
        except InputError as error:
            count = counted(len(votes), "judgement", "judgements")
            raise InputError(
                f"{votes.path}: {count} of so few images, or so connected, leave none to test on; judge"
                " pairs of more images"
            ) from error
    test = len(made.rows(PARTS[2]))
    if test < _LEAST_TEST:
        raise InputError(
            f"{votes.path}: {counted(len(votes), 'judgement', 'judgements')} leave {test} to test on; judge more pairs"
        )
    return votes, made


def _folders(files: tuple[Sequence[Path], Sequence[Path]], folder: Path) -> list[str] | None:
    both = [*files[0], *files[1]]
    names = [path.parent.relative_to(folder).as_posix() if path.is_relative_to(folder) else "" for path in both]
    images = dict(zip(both, names, strict=True))
    counts = Counter(images.values())
    if "." in counts or "" in counts or len(counts) < _FEWEST_FOLDERS:
        return None
    return names if len(images) >= _IMAGES_A_FOLDER * len(counts) else None
