import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from twinrank.config import TrainConfig
from twinrank.data.augment import shift
from twinrank.data.batches import Batches
from twinrank.data.pairs import PairData
from twinrank.models.registry import create_model
from twinrank.randomness import derive, torch_generator
from twinrank.training.objectives import LatentOrderObjective
from twinrank.training.schedule import learning_rate_factor


def pairs(n: int, size: int = 8, seed: int = 0) -> PairData:
    """Pairs in which row i shows about i / n of its pixels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (2, n, 1, size, size), np.uint8)
    hidden = rng.random(images.shape) > np.arange(1, n + 1)[:, None, None, None] / n
    images[hidden] = 0
    return PairData(images[0], images[1], rng.integers(0, 2, n).astype(np.int8), None, None, "")  # pyright: ignore[reportArgumentType]


def rows_of(batches: Batches, data: PairData, epoch: int) -> list[int]:
    """The rows of an epoch, recognised by their pixels."""
    known = {image.tobytes(): row for row, image in enumerate(data.xa)}
    return [known[image.numpy().tobytes()] for xa, _, _ in batches.epoch(epoch) for image in xa]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    data = pairs(60)
    batches = Batches(data, TrainConfig(batch_size=20), torch.device("cpu"))
    first, second = (rows_of(batches, data, epoch) for epoch in (1, 2))
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second
    assert first == rows_of(batches, data, 1), "an epoch depends on its number alone"


def test_the_curriculum_begins_with_the_pairs_that_show_most_and_ends_with_all() -> None:
    data = pairs(100, size=20)
    config = TrainConfig(epochs=10, batch_size=10, easy_share=0.3, easy_until=0.5)
    batches = Batches(data, config, torch.device("cpu"))
    first = rows_of(batches, data, 1)
    assert len(first) == 100
    assert np.mean(np.array(first[:20])) > 75
    sizes = [len(set(rows_of(batches, data, epoch))) for epoch in range(1, 11)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 60
    assert sizes[5:] == [100] * 5


def test_a_batch_larger_than_the_file_is_the_file() -> None:
    batches = Batches(pairs(7), TrainConfig(batch_size=100), torch.device("cpu"))
    assert [len(y) for _, _, y in batches.epoch(1)] == [7]


def test_augmentation_begins_when_it_is_told_to() -> None:
    data = pairs(40)
    config = TrainConfig(epochs=4, batch_size=10, shift=2, augment_from=0.5)
    batches = Batches(data, config, torch.device("cpu"))
    known = {image.tobytes() for image in data.xa}
    unchanged = [
        np.mean([image.numpy().tobytes() in known for xa, _, _ in batches.epoch(epoch) for image in xa])
        for epoch in range(1, 5)
    ]
    assert unchanged[:2] == [1, 1]
    assert max(unchanged[2:]) < 0.3


@given(distance=st.integers(0, 7), seed=st.integers(0, 1000), size=st.integers(8, 12))
def test_a_shift_moves_pixels_and_mirrors_the_border(distance: int, seed: int, size: int) -> None:
    images = torch.arange(2 * 3 * size * 9, dtype=torch.int64).reshape(2, 3, size, 9)
    moved = shift(images, distance, torch_generator(seed, "shift"))
    padded = functional.pad(images.double(), (distance,) * 4, mode="reflect").long()
    for image, candidates in zip(moved, padded, strict=True):
        windows = [
            candidates[:, y : y + size, x : x + 9] for y in range(2 * distance + 1) for x in range(2 * distance + 1)
        ]
        assert any(torch.equal(image, window) for window in windows)


def test_the_learning_rate_rises_to_its_largest_and_falls_to_zero() -> None:
    factors = [learning_rate_factor("one_cycle", 0.2, progress) for progress in np.linspace(0, 1, 101)]
    assert factors[0] == 0
    assert factors[20] == max(factors) == 1
    assert factors[10] == pytest.approx(0.5)
    assert factors[60] == pytest.approx(0.5)
    assert factors[-1] == pytest.approx(0)
    assert learning_rate_factor("constant", 0.0, 0.9) == 1
    assert learning_rate_factor("one_cycle", 1.0, 1.0) == 1


def test_the_latent_objective_is_its_formula() -> None:
    torch.manual_seed(0)
    model = create_model("order_net", options={"width": 4, "levels": 3})
    model.precision = "float32"
    generator = torch_generator(0, "batch")
    xa, xb = (torch.randint(256, (6, 1, 28, 28), generator=generator, dtype=torch.uint8) for _ in range(2))
    y = torch.tensor([1.0, 0, 1, 1, 0, 0])
    objective = LatentOrderObjective(3, contrastive_weight=0.7, balance_weight=1.3, momentum=1.0)
    loss = objective(model, xa, xb, y)

    left, right = (model.comparator.posterior(side).double() for side in model.features(xa, xb))  # pyright: ignore[reportCallIssue]
    table = model.comparator.table.detach().double()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    assert isinstance(table, torch.Tensor)
    greater, lesser = torch.where(y[:, None] > 0, left, right), torch.where(y[:, None] > 0, right, left)
    pair = functional.softplus(
        torch.logsumexp(lesser[:, :, None] + greater[:, None, :] + table, (1, 2))
        - torch.logsumexp(greater[:, :, None] + lesser[:, None, :] + table, (1, 2))
    ).mean()
    g, m = (side - side.exp().mean(0).log() for side in (greater, lesser))
    scores = torch.logsumexp(g[:, None, :, None] + m[None, :, None, :] + table, (2, 3))
    partner = torch.arange(6)
    contrastive = (functional.cross_entropy(scores, partner) + functional.cross_entropy(scores.T, partner)) / 2
    usage = torch.cat([left, right]).exp().mean(0)
    balance = math.log(3) + (usage * usage.log()).sum()
    expected = pair + 0.7 * contrastive + 1.3 * balance
    torch.testing.assert_close(loss.total.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.terms["balance_loss"].double(), balance, rtol=1e-3, atol=1e-5)


def test_the_loss_does_not_depend_on_which_image_is_left() -> None:
    torch.manual_seed(0)
    model = create_model("order_net", options={"width": 4})
    generator = torch_generator(1, "batch")
    xa, xb = (torch.randint(256, (8, 1, 28, 28), generator=generator, dtype=torch.uint8) for _ in range(2))
    y = torch.tensor([1.0, 0, 1, 1, 0, 0, 1, 0])
    losses = [LatentOrderObjective(10)(model, *batch).total for batch in ((xa, xb, y), (xb, xa, 1 - y))]
    torch.testing.assert_close(*losses, rtol=1e-2, atol=1e-2)


def test_purposes_have_streams_of_their_own() -> None:
    purposes = [("rows", 1), ("rows", 2), ("augment", 1), (1, "rows"), ("rows",)]
    states = {tuple(derive(seed, *purpose).generate_state(4)) for purpose in purposes for seed in (0, 1)}
    assert len(states) == 2 * len(purposes)
