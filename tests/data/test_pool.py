from pathlib import Path

import numpy as np
import pytest

from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.data.pool import pool_of
from twinrank.errors import InputError

ROWS = 20


def pairs(different: int) -> Judgements:
    """Images whose pixels all have the number of the image."""
    which = np.arange(2 * ROWS, dtype=np.uint8).reshape(ROWS, 2) % different
    xa, xb = (np.broadcast_to(side[:, None, None, None], (ROWS, 1, 8, 8)) for side in which.T)
    return Judgements.of_pairs(
        PairArrays(xa, xb, None, np.array([f"R{row}" for row in range(ROWS)])), Path("pairs.npz"), "ab"
    )


def test_each_image_is_there_once_from_where_its_name_says() -> None:
    data = pairs(2 * ROWS)
    pool = pool_of(data, 30)
    assert (pool.images.shape, pool.images.dtype, len(pool)) == ((30, 1, 8, 8), np.uint8, 30)
    assert len(np.unique(pool.images[:, 0, 0, 0])) == 30
    for image, name in zip(pool.images, pool.names, strict=True):
        row, side = name.split()
        assert np.array_equal(image, (data.xa if side == "left" else data.xb)[int(row[1:])])
    assert {name.split()[1] for name in pool.names} == {"left", "right"}
    assert (pool.path, pool.sha256) == (data.path, data.sha256)


def test_the_seed_chooses_and_a_smaller_pool_begins_a_larger_one() -> None:
    data = pairs(2 * ROWS)
    large, small, other = pool_of(data, 30, 1), pool_of(data, 10, 1), pool_of(data, 30, 2)
    assert large.names[:10] == small.names
    assert large.names != other.names


def test_the_same_pixels_count_once() -> None:
    assert sorted(pool_of(pairs(5), 5).images[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"^pairs.npz: 5 different images, but `number` is 6; use fewer"):
        pool_of(pairs(5), 6)


@pytest.mark.parametrize("images", [-1, 2, 501])
def test_impossible_sizes_are_refused(images: int) -> None:
    with pytest.raises(InputError, match=f"`number` is {images}; use 3 to 500"):
        pool_of(pairs(5), images)
