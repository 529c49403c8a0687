"""Blocks of fixed sizes: the prediction for a pair then depends on that pair alone, to the bit.

Kernels choose their order of summation by the size of a batch. A server batches what clients happen to send together.
So it fills each batch up to a size that never changes, or to one of a few that give the same bits. The place in a block
and the other rows do not matter to the kernels that were measured.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

PAIRS_A_BLOCK = 32
"""Pairs whose features are compared together."""
IMAGES_A_BLOCK = 32
"""Images that go through a tower together, unless they are large."""
_PIXELS_A_BLOCK = IMAGES_A_BLOCK * 28 * 28
_FILLING = 6
"""Images that take about as long as a block more does, whatever is in it."""
_SIZES: ContextVar[tuple[int, ...]] = ContextVar("sizes", default=())


@contextmanager
def steady_blocks(sizes: Sequence[int] = (IMAGES_A_BLOCK,)) -> Iterator[None]:
    """Let this thread predict in blocks of fixed sizes, and keep no features on disk.

    >>> with steady_blocks():
    ...     is_steady()
    True

    Args:
        sizes: Numbers of images that may go through a tower together. Images that are larger than digits go in smaller
            blocks, whatever is said here.
    """
    token = _SIZES.set(tuple(sorted(sizes, reverse=True)))
    try:
        yield
    finally:
        _SIZES.reset(token)


def is_steady() -> bool:
    """Whether this thread predicts in blocks of fixed sizes."""
    return bool(_SIZES.get())


def small(height: int, width: int) -> bool:
    """Whether images are as small as digits, so that several sizes of blocks are possible.

    Args:
        height: Pixels.
        width: Pixels.
    """
    return IMAGES_A_BLOCK * height * width <= _PIXELS_A_BLOCK


def image_blocks(chosen: np.ndarray, height: int, width: int, alone: bool = False) -> Iterator[np.ndarray]:
    """Numbers of images by blocks; the last block is filled up with its last image.

    >>> with steady_blocks([2, 4]):
    ...     [block.tolist() for block in image_blocks(np.arange(7), 28, 28)]
    [[0, 1, 2, 3], [4, 5, 6, 6]]

    Args:
        chosen: Numbers of images, int (M,).
        height: Pixels of an image.
        width: Pixels.
        alone: Whether each image goes alone.
    """
    sizes = _SIZES.get() if small(height, width) else (max(1, _PIXELS_A_BLOCK // (height * width)),)
    start = 0
    while start < len(chosen):
        size = 1 if alone else _size(len(chosen) - start, sizes)
        yield filled(chosen[start : start + size], size)
        start += size


def _size(images: int, sizes: Sequence[int]) -> int:
    """The size of the next block: one that takes all images that are left, unless too much of it would be empty."""
    enough = [size for size in sizes if images <= size <= images + _FILLING]
    return min(enough) if enough else next((size for size in sizes if size <= images), sizes[-1])


def filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Numbers of rows, (..., N), up to a multiple of a size: the last one is repeated.

    >>> filled(np.array([4, 7, 2]), 2).tolist()
    [4, 7, 2, 2]

    Args:
        rows: Numbers of at least one row.
        size: Rows of a block.
    """
    return np.concatenate([rows, np.repeat(rows[..., -1:], -rows.shape[-1] % size, axis=-1)], axis=-1)
