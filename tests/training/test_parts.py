import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from twinrank.config import TrainConfig
from twinrank.core.randomness import derive
from twinrank.core.torch_random import torch_generator
from twinrank.data.batches import Batch, Batches
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.models.comparators import LatentOrder
from twinrank.models.registry import create_model
from twinrank.training.muon import Muon
from twinrank.training.objectives import LatentTerm, Objective, focal_loss, soft_loss
from twinrank.training.schedule import beta1_at, learning_rate_factor


def pairs(n: int, size: int = 8, seed: int = 0) -> Judgements:
    """Pairs in which row i shows about i / n of its pixels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (2, n, 1, size, size), np.uint8)
    hidden = rng.random(images.shape) > np.arange(1, n + 1)[:, None, None, None] / n
    images[hidden] = 0
    y = rng.integers(0, 2, n).astype(np.int8)
    return Judgements.of_pairs(PairArrays(images[0], images[1], y, None), Path("pairs.npz"), "")


def rows_of(batches: Batches, data: Judgements, epoch: int) -> list[int]:
    """The rows of an epoch, recognised by their pixels."""
    known = {image.tobytes(): row for row, image in enumerate(data.xa)}
    return [known[image.numpy().tobytes()] for batch in batches.epoch(epoch) for image in batch.xa]


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
    assert [len(batch.y) for batch in batches.epoch(1)] == [7]


def test_augmentation_begins_at_its_share_of_the_run() -> None:
    data = pairs(40)
    config = TrainConfig(epochs=4, batch_size=10, shift=2, augment_from=0.5)
    batches = Batches(data, config, torch.device("cpu"))
    known = {image.tobytes() for image in data.xa}
    unchanged = [
        np.mean([image.numpy().tobytes() in known for batch in batches.epoch(epoch) for image in batch.xa])
        for epoch in range(1, 5)
    ]
    assert unchanged[:2] == [1, 1]
    assert max(unchanged[2:]) < 0.3


def test_the_draws_of_a_row_do_not_depend_on_the_batch_size() -> None:
    data = pairs(48)
    augmented = []
    for size in (6, 16):
        config = TrainConfig(batch_size=size, rotate=10, randaugment=2, cutout=1, shift=1, brightness=0.2, swap=True)
        batches = Batches(data, config, torch.device("cpu"))
        each = [(batch.xa, batch.xb, batch.y) for batch in batches.epoch(3)]
        augmented.append([torch.cat(part) for part in zip(*each, strict=True)])
    for first, second in zip(*augmented, strict=True):
        assert torch.equal(first, second)


def test_a_swapped_pair_has_the_other_label() -> None:
    data = pairs(80)
    labels = {(a.tobytes(), b.tobytes()): y for a, b, y in zip(data.xa, data.xb, data.y, strict=True)}  # pyright: ignore[reportArgumentType]
    batches = Batches(data, TrainConfig(batch_size=80, swap=True), torch.device("cpu"))
    swapped = 0
    for batch in batches.epoch(1):
        for left, right, label in zip(batch.xa.numpy(), batch.xb.numpy(), batch.y, strict=True):
            pair = left.tobytes(), right.tobytes()
            swapped += pair not in labels
            assert label == (labels[pair] if pair in labels else 1 - labels[pair[::-1]])
    assert 20 < swapped < 60


def test_predictions_of_a_teacher_stay_with_their_pairs_and_are_swapped_with_them() -> None:
    data = pairs(60)
    teacher = np.arange(1, 61, dtype=np.float32)
    levels = np.arange(60 * 2 * 3, dtype=np.float32).reshape(60, 2, 3)
    known = {image.tobytes(): row for side in (data.xa, data.xb) for row, image in enumerate(side)}
    lefts = {image.tobytes() for image in data.xa}
    config = TrainConfig(epochs=2, batch_size=10, swap=True, easy_share=0.4)
    signs = []
    for batch in Batches(data, config, torch.device("cpu"), teacher, levels).epoch(1):
        assert batch.teacher is not None
        assert batch.levels is not None
        for left, label, logit, both in zip(batch.xa.numpy(), batch.y, batch.teacher, batch.levels, strict=True):
            row, sign = known[left.tobytes()], 1 if left.tobytes() in lefts else -1
            assert logit == sign * teacher[row]
            np.testing.assert_array_equal(both, levels[row][::sign])
            assert label == (data.y[row] if sign > 0 else 1 - data.y[row])  # pyright: ignore[reportOptionalSubscript]
            signs.append(sign)
    assert 15 < signs.count(-1) < 45


def test_levels_that_are_inferred_are_bayes_rule() -> None:
    head = LatentOrder(4, 3)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        head.table.copy_(torch.from_numpy(rng.normal(size=(3, 3))))
    left, right = (torch.from_numpy(rng.normal(size=(2, 3))).float().log_softmax(1) for _ in range(2))
    y = torch.tensor([1.0, 0.0])
    found = head.inferred(left, right, y)
    table = head.table.detach().exp().numpy()
    for row, label in enumerate(y):
        weights = table if label else table.T
        joint = np.outer(left[row].exp(), right[row].exp()) * weights
        np.testing.assert_allclose(found[0][row].detach(), joint.sum(1) / joint.sum(), rtol=1e-5)
        np.testing.assert_allclose(found[1][row].detach(), joint.sum(0) / joint.sum(), rtol=1e-5)
    # What is certain stays certain.
    certain = torch.tensor([[0.0, -torch.inf, -torch.inf], [-torch.inf, 0.0, -torch.inf]])
    for side in head.inferred(certain, certain.flip(0), y):
        assert set(side.flatten().tolist()) == {0.0, 1.0}


def factors(config: TrainConfig, steps: int = 100) -> list[float]:
    return [learning_rate_factor(config, step / steps) for step in range(steps + 1)]


def test_the_learning_rate_rises_to_its_largest_and_falls_to_zero() -> None:
    found = factors(TrainConfig(schedule="cosine", warmup=0.2))
    assert found[0] == 0
    assert found[20] == max(found) == 1
    assert found[10] == pytest.approx(0.5)
    assert found[60] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0)
    assert factors(TrainConfig(schedule="constant", warmup=0))[90] == 1
    assert factors(TrainConfig(schedule="cosine", warmup=1))[-1] == 1


def test_one_cycle_is_torchs() -> None:
    config = TrainConfig(schedule="one_cycle", warmup=0.3, lr=0.1)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10_001, pct_start=0.3001)
    for step in range(10_001):
        group = optimizer.param_groups[0]
        if step % 500 == 0:
            assert config.lr * learning_rate_factor(config, step / 10_000) == pytest.approx(group["lr"], rel=2e-2)
            assert beta1_at(config, step / 10_000) == pytest.approx(group["betas"][0], abs=1e-3)
        optimizer.step()
        if step < 10_000:
            theirs.step()
    assert beta1_at(replace(config, schedule="cosine"), 0.5) == config.beta1


@given(st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), max_size=30), st.integers(1, 4))
def test_plateau_is_torchs(values: list[float], patience: int) -> None:
    config = TrainConfig(schedule="plateau", warmup=0, plateau_patience=patience)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, patience, threshold=0, eps=0)
    for value in values:
        theirs.step(value)
    assert learning_rate_factor(config, 0.5, values) == optimizer.param_groups[0]["lr"]


def numbers(low: float, high: float, n: int = 5) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=n, max_size=n)


@given(
    numbers(-20, 20),
    st.lists(st.integers(0, 1), min_size=5, max_size=5),
    st.floats(0, 4),
    st.floats(0, 0.5),
)
def test_the_focal_loss_is_its_formula(logits: list[float], labels: list[int], gamma: float, smoothing: float) -> None:
    expected = []
    for z, y in zip(logits, labels, strict=True):
        t = y * (1 - smoothing) + smoothing / 2
        p, q = 1 / (1 + math.exp(-z)), 1 / (1 + math.exp(z))
        expected.append(-0.7 * (t * q**gamma * math.log(p) + (1 - t) * p**gamma * math.log(q)))
    found = focal_loss(torch.tensor(logits).double(), torch.tensor(labels).double(), gamma, 0.7, smoothing)
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_the_pair_loss_is_that_of_its_value(gamma: float, smoothing: float) -> None:
    generator = torch_generator(0, "logits")
    logit = (3 * torch.randn(7, generator=generator, dtype=torch.double)).requires_grad_()
    y = torch.tensor([1.0, 0, 1, 0, 0, 1, 1], dtype=torch.double)
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, y, gamma, 1.5, smoothing), logit)


@given(numbers(-20, 20), numbers(-20, 20), st.floats(0.5, 8))
def test_the_soft_loss_is_its_formula(logits: list[float], teacher: list[float], temperature: float) -> None:
    expected = []
    for z, t in zip(logits, teacher, strict=True):
        target, p = (1 / (1 + math.exp(-each / temperature)) for each in (t, z))
        q = 1 / (1 + math.exp(z / temperature))
        expected.append(-(temperature**2) * (target * math.log(p) + (1 - target) * math.log(q)))
    found = soft_loss(torch.tensor(logits).double(), torch.tensor(teacher).double(), temperature)
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-6, abs=1e-9)


def test_at_temperature_1_the_soft_loss_of_a_sure_teacher_has_the_gradient_of_cross_entropy() -> None:
    generator = torch_generator(0, "logits")
    logit = (3 * torch.randn(7, generator=generator, dtype=torch.double)).requires_grad_()
    y = torch.tensor([1.0, 0, 1, 0, 0, 1, 1], dtype=torch.double)
    soft, hard = soft_loss(logit, 100 * (2 * y - 1), 1), focal_loss(logit, y, 0)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logit)[0] for loss in (soft, hard)))
    teacher = torch.randn(7, generator=generator, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda z: soft_loss(z, teacher, 3), logit)
    (gradient,) = torch.autograd.grad(soft_loss(logit, teacher, 3), logit)
    torch.testing.assert_close(gradient, 3 * ((logit / 3).sigmoid() - (teacher / 3).sigmoid()) / 7)


def test_the_gradient_of_the_latent_term_is_that_of_its_value() -> None:
    generator = torch_generator(0, "scores")
    scores = [torch.randn(5, 4, generator=generator, dtype=torch.double).requires_grad_() for _ in range(2)]
    table = torch.randn(4, 4, generator=generator, dtype=torch.double).requires_grad_()
    y = torch.tensor([1.0, 0, 1, 1, 0])
    term = LatentTerm(4, momentum=0.0).double()
    assert torch.autograd.gradcheck(
        lambda left, right, w: term(left.log_softmax(1), right.log_softmax(1), w, y), (*scores, table)
    )


def batch(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch_generator(seed, "batch")
    xa, xb = (torch.randint(256, (n, 1, 28, 28), generator=generator, dtype=torch.uint8) for _ in range(2))
    return xa, xb, torch.randint(2, (n,), generator=generator).float()


def test_the_latent_objective_is_its_formula() -> None:
    torch.manual_seed(0)
    model = create_model("order_net", options={"width": 4, "levels": 3})
    model.precision = "float32"
    xa, xb, y = batch(6, 0)
    objective = Objective(TrainConfig(contrastive_weight=0.7, balance_weight=1.3), model)
    assert objective.auxiliary is None
    assert objective.latent is not None
    objective.latent.momentum = 1.0
    loss = objective(model, Batch.of_pairs(xa, xb, y))

    head = model.comparator
    assert isinstance(head, LatentOrder)
    left, right = (head.posterior(side.features).double() for side in model.embed(xa, xb))
    table = head.table.detach().double()
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


def test_any_network_can_have_the_latent_term_which_alone_trains_its_backbone() -> None:
    torch.manual_seed(0)
    model = create_model("compare_net")
    objective = Objective(TrainConfig(contrastive_weight=1.0, balance_weight=2.0, auxiliary_levels=4), model)
    loss = objective(model, Batch.of_pairs(*batch(8, 2)))
    assert set(loss.terms) == {"pair_loss", "auxiliary_loss", "contrastive_loss", "balance_loss"}
    weights = {"pair_loss": 1, "auxiliary_loss": 1, "contrastive_loss": 1, "balance_loss": 2}
    total = sum(weights[name] * term for name, term in loss.terms.items())
    torch.testing.assert_close(loss.total, total)
    loss.total.backward()
    assert objective.auxiliary is not None
    for parameter in [*objective.parameters(), *model.parameters()]:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    embedded = model.embed(*batch(8, 2)[:2], detached=True)
    model.zero_grad()
    model.comparator(*(side.features for side in embedded)).sum().backward()
    assert all(parameter.grad is None for parameter in model.tower.backbone.parameters())
    assert all(parameter.grad is not None for parameter in model.tower.neck.parameters())


@pytest.mark.parametrize("name", ["order_net", "compare_net"])
def test_a_teacher_has_its_share_of_every_pair_loss_and_the_other_terms_keep_the_labels(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name)
    config = TrainConfig(contrastive_weight=1.0, balance_weight=2.0, auxiliary_levels=4, loss="focal")
    objectives = [Objective(replace(config, distill_weight=weight), model) for weight in (0.0, 0.7)]
    objectives[1].load_state_dict(objectives[0].state_dict())
    xa, xb, y = batch(8, 2)
    teacher = torch.linspace(-4, 4, 8)
    # Dropout is the same.
    losses = []
    for objective in objectives:
        torch.manual_seed(1)
        losses.append(objective(model, Batch.of_pairs(xa, xb, y, teacher)))
    labels, both = losses
    torch.testing.assert_close(
        labels.total, sum(config_weight(config, key) * term for key, term in labels.terms.items())
    )
    soft = {"soft_loss": "pair_loss"} | ({"auxiliary_soft_loss": "auxiliary_loss"} if name == "compare_net" else {})
    assert both.terms.keys() - labels.terms.keys() == soft.keys()
    for key, term in labels.terms.items():
        torch.testing.assert_close(both.terms[key], term)
    gained = sum(0.7 * (both.terms[key] - both.terms[hard]) for key, hard in soft.items())
    torch.testing.assert_close(both.total, labels.total + gained)


def config_weight(config: TrainConfig, term: str) -> float:
    return {"contrastive_loss": config.contrastive_weight, "balance_loss": config.balance_weight}.get(term, 1)


def test_the_loss_does_not_depend_on_which_image_is_left() -> None:
    torch.manual_seed(0)
    model = create_model("order_net", options={"width": 4})
    xa, xb, y = batch(8, 1)
    config = TrainConfig(contrastive_weight=1.0, balance_weight=2.0)
    losses = [Objective(config, model)(model, Batch.of_pairs(*each)).total for each in ((xa, xb, y), (xb, xa, 1 - y))]
    torch.testing.assert_close(*losses, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16), (4, 2, 3, 3), (4, 3, 1, 1)])
def test_muon_moves_along_the_singular_vectors_all_equally_far(shape: tuple[int, ...]) -> None:
    generator = torch_generator(1, "muon")
    kernel = torch.nn.Parameter(torch.randn(shape, generator=generator))
    other = torch.nn.Parameter(torch.randn(5, generator=generator))
    twin = torch.nn.Parameter(other.detach().clone())
    before = kernel.detach().clone()
    optimizer, adamw = (
        Muon([kernel], [other], 0.1, 0.5, (0.9, 0.99)),
        torch.optim.AdamW([twin], 0.1, (0.9, 0.99), weight_decay=0),
    )
    kernel.grad = torch.randn(shape, generator=generator)
    left, _, right = torch.linalg.svd(kernel.grad.flatten(1), full_matrices=False)
    other.grad = twin.grad = torch.randn(5, generator=generator)
    optimizer.step()
    adamw.step()
    moved = (0.95 * before - kernel.detach()).flatten(1)
    along = left.T @ moved @ right.T / (0.1 * 0.2 * max(moved.shape) ** 0.5)
    lengths = along.diagonal()
    assert ((lengths > 0.6) & (lengths < 1.3)).all(), "0.7 to 1.2, but for bfloat16"
    assert (along - lengths.diag()).abs().max() < 0.1
    torch.testing.assert_close(other, twin)


def test_purposes_have_streams_of_their_own() -> None:
    purposes = [("rows", 1), ("rows", 2), ("augment", 1), (1, "rows"), ("rows",)]
    states = {tuple(derive(seed, *purpose).generate_state(4)) for purpose in purposes for seed in (0, 1)}
    assert len(states) == 2 * len(purposes)
