"""Blocks of one size: the prediction for a pair then depends on that pair alone, to the bit.

Kernels choose their order of summation by the size of a batch. A server batches what clients happen to send together.
So it fills each batch up to a size that never changes. The place in a block and the other rows do not matter to the
kernels that were measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_STEADY: ContextVar[bool] = ContextVar("steady", default=False)
PAIRS_A_BLOCK = 32
"""Pairs whose features are compared together."""
_IMAGES_A_BLOCK, _PIXELS_A_BLOCK = 32, 32 * 28 * 28


@contextmanager
def steady_blocks() -> Iterator[None]:
    """Let this thread predict in blocks of one size, and keep no features on disk.

    >>> with steady_blocks():
    ...     is_steady()
    True
    """
    token = _STEADY.set(True)
    try:
        yield
    finally:
        _STEADY.reset(token)


def is_steady() -> bool:
    """Whether this thread predicts in blocks of one size."""
    return _STEADY.get()


def images_a_block(height: int, width: int) -> int:
    """Number of images of this size that go through a tower together.

    Args:
        height: Pixels.
        width: Pixels.
    """
    return min(_IMAGES_A_BLOCK, max(1, _PIXELS_A_BLOCK // (height * width)))


def filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Numbers of rows, (..., N), up to a multiple of a size: the last one is repeated.

    >>> filled(np.array([4, 7, 2]), 2).tolist()
    [4, 7, 2, 2]

    Args:
        rows: Numbers of at least one row.
        size: Rows of a block.
    """
    return np.concatenate([rows, np.repeat(rows[..., -1:], -rows.shape[-1] % size, axis=-1)], axis=-1)
