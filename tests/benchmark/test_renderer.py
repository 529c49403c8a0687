import random

import numpy as np
import pytest
import torch
from benchmarks.renderer import compare, exact, fresh, statistics
from PIL import Image, ImageDraw
from scipy import stats

from twinrank.benchmark.corruption import CORRUPTION, draw_corruption, render
from twinrank.benchmark.mnist import Mnist
from twinrank.benchmark.renderer import Draws, corrupt_batch, draw_corruptions, render_batch
from twinrank.core.torch_random import torch_generator

SEVERITIES = range(7)


def corruptions(n: int, severity: int, seed: int = 0) -> np.ndarray:
    rng = random.Random(seed)
    return np.array([draw_corruption(rng, severity) for _ in range(n)], CORRUPTION)


def as_draws(drawn: np.ndarray, severity: int) -> Draws:
    """The exact generator's draws for the batch renderer."""
    source = np.random.RandomState()
    noise = np.empty((len(drawn), 28, 28), np.float32)
    for field, seed in zip(noise, drawn["noise_seed"], strict=True):
        source.seed(seed)
        field[:] = source.normal(size=(28, 28))

    def field_of(name: str, dtype: type) -> torch.Tensor:
        return torch.from_numpy(drawn[name].astype(dtype))

    return Draws(
        **{name: field_of(name, np.int64) for name in ("side", "crop", "line", "line_width")},
        **{name: field_of(name, np.float32) for name in ("angle", "contrast", "brightness")},
        cutouts=field_of("cutouts", np.int64)[:, : severity // 2],
        noise=torch.from_numpy(noise),
    )


@pytest.mark.parametrize("severity", SEVERITIES)
def test_from_the_same_draws_comes_the_same_image(digits: Mnist, severity: int) -> None:
    drawn = corruptions(300, severity)
    expected = render(digits.train_images, drawn).astype(int)
    images = render_batch(torch.from_numpy(digits.train_images), as_draws(drawn, severity), severity).numpy()
    apart = np.abs(images - expected)
    assert (apart > 0).mean() < 0.01
    assert apart.max() <= 3
    assert ((images == 0) != (expected == 0)).mean() < 2e-4


def test_lines_and_cutouts_are_pillows_and_exactly_0() -> None:
    drawn = corruptions(1000, 6)
    # Of a black digit the same noise everywhere leaves an even grey.
    draws = as_draws(drawn, 6)._replace(noise=torch.full((1000, 28, 28), 5.0))
    images = render_batch(torch.zeros(1000, 28, 28, dtype=torch.uint8), draws, 6)
    for image, corruption in zip(images.numpy(), drawn, strict=True):
        expected = Image.new("L", (28, 28), 5 * 18)
        draw = ImageDraw.Draw(expected)
        if corruption["line_width"]:
            draw.line(corruption["line"].tolist(), fill=0, width=int(corruption["line_width"]))
        for x, y, width, height in corruption["cutouts"].tolist():
            draw.rectangle((x, y, x + width, y + height), fill=0)
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_draws_have_the_distributions_of_the_exact_generators(severity: int) -> None:
    theirs, ours = corruptions(4000, severity), draw_corruptions(4000, severity, torch_generator(1, "draws"))
    for name in ("angle", "contrast", "brightness"):
        samples = getattr(ours, name).numpy(), theirs[name].astype(np.float32)
        assert compare(*samples)[1] > 1e-3, name
    lined = theirs["line_width"] > 0
    whole = [(ours.side, theirs["side"]), (ours.line_width, theirs["line_width"])]
    whole += [(ours.crop[:, axis], theirs["crop"][:, axis]) for axis in (0, 1)]
    whole += [(ours.line[ours.line_width > 0, end], theirs["line"][lined, end]) for end in range(4)]
    for slot in range(severity // 2):
        sizes = theirs["cutouts"][:, slot]
        whole += [(ours.cutouts[:, slot, field], sizes[:, field]) for field in range(4)]
        # Where a cutout may lie depends on its size.
        correlations = [np.corrcoef(each.T) for each in (ours.cutouts[:, slot].numpy(), sizes)]
        np.testing.assert_allclose(correlations[0], correlations[1], atol=0.08)
    for one, other in whole:
        counts = np.stack([np.bincount(each, minlength=64) for each in (one, other)])
        counts = counts[:, counts.sum(0) > 0]
        assert counts.shape[1] < 2 or stats.chi2_contingency(counts)[1] > 1e-3  # pyright: ignore[reportOperatorIssue]


def test_noise_is_standard_normal() -> None:
    noise = draw_corruptions(300, 6, torch_generator(2, "draws")).noise.double().numpy()
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    # Four of one random word stand side by side.
    assert np.abs(np.corrcoef(noise.reshape(-1, 4).T) - np.eye(4)).max() < 0.02


@pytest.mark.parametrize("severity", [0, 3, 6])
def test_digits_look_like_the_exact_generators(mnist: Mnist, severity: int) -> None:
    digits = mnist.train_images[:500]
    one, other = (statistics(kind(digits, 1, severity)) for kind in (exact, fresh))
    for name in one:
        effect, chance = compare(one[name], other[name])
        assert effect < (0.3 if "profile" in name else 0.2), name
        assert chance > 1e-3, name


def test_severity_0_leaves_digits_as_they_are(digits: Mnist) -> None:
    images = torch.from_numpy(digits.train_images)
    assert torch.equal(corrupt_batch(images, 0, torch_generator(0, "any")), images)
    noise = torch.randint(256, (500, 28, 28), generator=torch_generator(0, "noise")).to(torch.uint8)
    assert torch.equal(corrupt_batch(noise, 0, torch_generator(0, "any")), noise)


def test_the_same_state_gives_the_same_images_and_nothing_else_is_drawn_from(digits: Mnist) -> None:
    images = torch.from_numpy(digits.train_images)
    before, state = images.clone(), torch.get_rng_state()
    generator = torch_generator(3, "renderer")
    first, second = (corrupt_batch(images, 6, generator) for _ in range(2))
    again = corrupt_batch(images, 6, torch_generator(3, "renderer"))
    assert torch.equal(first, again)
    assert (first != second).flatten(1).any(1).all(), "each call corrupts every digit anew"
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert (first.dtype, first.shape) == (torch.uint8, images.shape)
    assert corrupt_batch(images[:0], 6, generator).shape == (0, 28, 28)


@pytest.mark.gpu
def test_a_gpu_renders_the_same_draws_alike(digits: Mnist) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    images = torch.from_numpy(digits.train_images)
    here, there = (corrupt_batch(images.to(device), 6, torch_generator(0, "any")).cpu() for device in ("cpu", "cuda"))
    assert (here != there).float().mean() < 0.01
    generator = torch.Generator("cuda").manual_seed(0)
    assert corrupt_batch(images.cuda(), 6, generator).float().mean().item() == pytest.approx(
        here.float().mean().item(), rel=0.1
    )
