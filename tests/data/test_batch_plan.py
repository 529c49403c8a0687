import numpy as np
import pytest

from twinrank.data.batch_plan import plan


@pytest.mark.parametrize(("images", "rows", "size"), [(1500, 20_000, 128), (100, 5_000, 32), (50_000, 20_000, 128)])
def test_every_row_is_in_one_batch(images: int, rows: int, size: int) -> None:
    generator = np.random.default_rng(0)
    left, right = generator.integers(0, images, (2, rows))
    chunks = plan(left, right, generator.permutation(rows), size, generator)
    np.testing.assert_array_equal(np.sort(np.concatenate(chunks)), np.arange(rows))
    assert max(map(len, chunks)) <= 20 * size


@pytest.mark.parametrize(("images", "rows", "least"), [(1500, 20_000, 5), (100, 119_000, 20)])
def test_an_epoch_costs_far_less_than_pairs_stored_apart(images: int, rows: int, least: float) -> None:
    generator = np.random.default_rng(1)
    left, right = generator.integers(0, images, (2, rows))
    chunks = plan(left, right, np.arange(rows), 128, generator)
    passes = sum(len(np.unique([left[chunk], right[chunk]])) for chunk in chunks)
    assert 2 * rows / passes > least
