"""Numbers of pairs in a batch and in a chunk, by the size of their images."""

_PIXELS_A_BATCH = 500 * 28 * 28
_BATCHES_A_CHUNK = 4


def rows_a_batch(height: int, width: int) -> int:
    """Number of pairs of images of this size that go through a network together."""
    return max(1, _PIXELS_A_BATCH // (height * width))


def rows_a_chunk(height: int, width: int) -> int:
    """Number of pairs that are read together.

    A chunk is made of whole batches, so a network predicts the same bits for a file in chunks as for a whole one.
    """
    return _BATCHES_A_CHUNK * rows_a_batch(height, width)
