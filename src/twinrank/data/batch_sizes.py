"""How many pairs go together, by the size of their images."""


def rows_a_batch(height: int, width: int) -> int:
    """How many pairs of images of this size go through a network together."""
    return max(1, _PIXELS_A_BATCH // (height * width))


def rows_a_chunk(height: int, width: int) -> int:
    """How many of them are read together: whole batches, so that a network says what it would say of a whole file."""
    return _BATCHES_A_CHUNK * rows_a_batch(height, width)


_PIXELS_A_BATCH = 500 * 28 * 28


_BATCHES_A_CHUNK = 4
