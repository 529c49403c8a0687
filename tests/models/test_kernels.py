"""Kernels of our own do what torch's operations do."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from twinrank.config import Precision
from twinrank.core.torch_random import torch_generator
from twinrank.models.kernels import norms
from twinrank.models.registry import create_model
from twinrank.models.towers import convolution
from twinrank.models.towers.convolution import Convolution
from twinrank.models.towers.residual import ResidualBlock
from twinrank.training.muon import orthogonalised

SHAPES = [(6, 5, 7, 9), (3, 16, 1, 1), (70, 3, 4, 4)]


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's operations alone."""
    with monkeypatch.context() as patch:
        patch.setattr(norms, "_kernels", lambda: None)
        patch.setattr(convolution, "processor_has", lambda name: False)
        yield


def drawn(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """A map, channels last, far from mean 0."""
    values = torch.randn(shape, generator=torch_generator(seed, "map")) + 0.5
    return values.to(dtype, memory_format=torch.channels_last).requires_grad_()


def norm(channels: int, seed: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    with torch.no_grad():
        layer.weight.copy_(torch.rand(channels, generator=torch_generator(seed, "norm")) + 0.5)
        layer.bias.copy_(torch.randn(channels, generator=torch_generator(seed, "bias")))
    return layer


def close(found: torch.Tensor, expected: torch.Tensor, relative: float = 1e-2) -> None:
    """As equal as sums and products in bfloat16 are, or by less."""
    found, expected = found.double(), expected.double()
    assert (found - expected).norm() <= relative * expected.norm() + 1e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kept", ["none", "normed", "plain"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 1e-2), (torch.float32, 1e-5)])
def test_norm_sum_and_relu_are_those_of_torch_in_float64(
    shape: tuple[int, ...], kept: str, dtype: torch.dtype, error: float
) -> None:
    x, z, gradient = (drawn(shape, seed, dtype) for seed in (1, 2, 3))
    gradient = gradient.detach()
    layers = [norm(shape[1], 4)] + [norm(shape[1], 5)] * (kept == "normed")
    if not norms.fusable([x, z], layers):
        pytest.skip("Numba is not installed")
    exact = [norm(shape[1], 4).double(), norm(shape[1], 5).double()]
    x64, z64 = (each.detach().double().requires_grad_() for each in (x, z))
    total = exact[0](x64)
    if kept == "none":
        y = norms.norm_relu(x, layers[0])
    else:
        y = norms.sum_relu(x, layers[0], z, layers[1] if kept == "normed" else None)
        total = total + (exact[1](z64) if kept == "normed" else z64)
    # The same places are above 0, whatever rounding makes of those near it.
    y64 = total * (y.detach() > 0)
    y.backward(gradient)
    y64.backward(gradient.double())
    close(y, functional.relu(total), error)
    inputs = [(x, x64)] if kept == "none" else [(x, x64), (z, z64)]
    for mine, usual in inputs:
        assert mine.grad is not None
        assert usual.grad is not None
        close(mine.grad, usual.grad, error)
    for layer, usual in zip(layers, exact, strict=False):
        for mine, theirs in zip(layer.parameters(), usual.parameters(), strict=True):
            assert mine.grad is not None
            assert theirs.grad is not None
            close(mine.grad, theirs.grad, error)
        for name, buffer in layer.named_buffers():
            torch.testing.assert_close(buffer.double(), usual.get_buffer(name).double(), rtol=1e-5, atol=1e-6)


def test_a_mean_far_from_0_costs_no_digits() -> None:
    x = (drawn((40, 6, 9, 9), 1, torch.float32).detach() / 50 + 30).contiguous(memory_format=torch.channels_last)
    layer, exact = norm(6, 2), norm(6, 2).double()
    y = norms.norm_relu(x, layer) if norms.fusable([x], [layer]) else layer(x).relu()
    close(y, exact(x.double()).relu(), 1e-3)
    close(layer.get_buffer("running_var"), exact.get_buffer("running_var"), 1e-5)


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    x, gradient = drawn((40, 6, 9, 9), 1), drawn((40, 6, 9, 9), 2).detach()
    found = []
    threads = torch.get_num_threads()
    for number in (1, 2):
        torch.set_num_threads(number)
        layer = norm(6, 3)
        y = norms.norm_relu(x, layer) if norms.fusable([x], [layer]) else layer(x)
        assert torch.get_num_threads() == number
        found.append([y, *torch.autograd.grad(y, [x, *layer.parameters()], gradient), layer.running_var])
    torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_so(value: float) -> None:
    x = drawn((4, 3, 5, 5), 1)
    with torch.no_grad():
        x[1, 2, 3, 4] = value
    block = ResidualBlock(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = block(x)
    assert not y[:, :, 2:, 3:].isfinite().all()


@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 0.999), ("float32", 1 - 1e-6)])
def test_a_network_learns_the_same_with_and_without_them(
    precision: Precision, least: float, request: pytest.FixtureRequest
) -> None:
    xa, xb = torch.randint(0, 256, (2, 16, 1, 28, 28), dtype=torch.uint8, generator=torch_generator(1, "images"))

    def learned() -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = create_model("order_net", options={"width": 4}).train()
        model.precision = precision
        model(xa, xb).square().mean().backward()
        return [each.grad for each in model.parameters() if each.grad is not None] + [*model.buffers()]

    mine = learned()
    request.getfixturevalue("without_kernels")
    usual = learned()
    together, apart = (torch.cat([each.flatten().double() for each in parts]) for parts in (mine, usual))
    assert not torch.equal(together, apart)
    assert functional.cosine_similarity(together, apart, 0) > least


@pytest.mark.parametrize(("side", "stride"), [(4, 1), (7, 2), (13, 2), (3, 1), (1, 1)])
def test_the_gradient_of_a_kernel_is_that_of_patches(side: int, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "processor_has", lambda name: True)
    layer = Convolution(8, 12, 3, stride)
    x = drawn((5, 8, side, side), 1)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert "_Patched" in str(y.grad_fn)
    gradient = torch.randn(y.shape, generator=torch_generator(2, "gradient"))
    found = torch.autograd.grad(y, [x, layer.weight], gradient.to(y))
    x64, weight = x.detach().double().requires_grad_(), layer.weight.detach().double().requires_grad_()
    exact = functional.conv2d(x64, weight, None, stride, 1)
    close(y, exact)
    for mine, usual in zip(found, torch.autograd.grad(exact, [x64, weight], gradient.double()), strict=True):
        close(mine, usual)


def test_matrices_of_many_shapes_become_orthogonal_together() -> None:
    generator = torch_generator(1, "matrices")
    matrices = [torch.randn(shape, generator=generator) for shape in [(8, 30), (30, 8), (8, 8), (3, 5), (1, 4)]]
    matrices.append(torch.zeros(8, 9))
    found = orthogonalised(matrices)
    for matrix, each in zip(matrices, found, strict=True):
        alone = orthogonalised([matrix])[0]
        assert each.shape == matrix.shape
        torch.testing.assert_close(each, alone, rtol=1e-2, atol=1e-3)
    assert not found[-1].any()
    for each in found[:-1]:
        values = torch.linalg.svdvals(each)
        assert ((values > 0.6) & (values < 1.3)).all()
