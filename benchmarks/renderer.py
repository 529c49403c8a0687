"""The batch renderer (``benchmark/renderer.py``) against the exact one (``benchmark/corruption.py``): alike? faster?

Run as ``python benchmarks/renderer.py [DIGITS] [--classifier]``. Both corrupt the same digits of MNIST's training part
at severity 6, on one core. ``--classifier`` also trains small networks, which takes some minutes. Two classify digits:
each is fitted to one kind and scored on both. One separates the two kinds (Lopez-Paz and Oquab 2017, arXiv:1610.06545).
"""

import argparse
import random
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage, stats
from torch import nn
from torch.nn import functional

from twinrank.benchmark.corruption import CORRUPTION, draw_corruption, render
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.benchmark.renderer import corrupt_batch
from twinrank.config import MAX_SEVERITY
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import seed_torch, torch_generator

BATCH = 512
ROUNDS = 9
FITTED_DIGITS = 10_000
SCORED_DIGITS = 20_000
EPOCHS = 8

Kind = Callable[[np.ndarray, int], np.ndarray]
"""Corrupts digits, uint8 (N, 28, 28), with a seed."""


def exact(digits: np.ndarray, seed: int, severity: int = MAX_SEVERITY) -> np.ndarray:
    rng = random.Random(seed)
    return render(digits, np.array([draw_corruption(rng, severity) for _ in digits], CORRUPTION))


def fresh(digits: np.ndarray, seed: int, severity: int = MAX_SEVERITY) -> np.ndarray:
    generator = torch_generator(seed, "renderer")
    parts = torch.from_numpy(digits).split(BATCH)
    return torch.cat([corrupt_batch(part, severity, generator) for part in parts]).numpy()


KINDS: tuple[Kind, Kind] = (exact, fresh)


def hole_sizes(image: np.ndarray) -> np.ndarray:
    """Sizes of an image's connected regions of zeros, int (M,)."""
    labels = ndimage.label(image == 0)[0]  # pyright: ignore[reportIndexIssue]
    return np.bincount(labels.ravel())[1:]


def statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """By name, a number for each image (for sizes of holes: for each hole); profiles are (N, 28)."""
    pixels, visible = images.astype(np.float64), images > 0
    shown = visible.sum((1, 2)).clip(1)
    mean = pixels.sum((1, 2)) / shown
    spread = np.where(visible, (pixels - mean[:, None, None]) ** 2, 0).sum((1, 2)) / shown
    beside = visible[:, :, 1:] & visible[:, :, :-1]
    holes = [hole_sizes(image) for image in images]
    # The median looks past the digit's few edges, at the noise.
    steps = np.ma.masked_array(np.abs(np.diff(pixels, axis=2)), ~beside).reshape(len(images), -1)
    return {
        "visible share": visible.mean((1, 2)),
        "mean of the visible": mean,
        "their deviation": spread**0.5,
        "brightest pixel": pixels.max((1, 2)),
        "noise (median step)": np.ma.median(steps, axis=1).filled(0),
        "holes": np.array([len(each) for each in holes]),
        "size of a hole": np.concatenate(holes),
        "row profile": pixels.mean(2),
        "column profile": pixels.mean(1),
    }


def compare(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Distance of two samples in standard deviations, in the furthest column, and its probability by chance."""
    effect = np.abs(one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / 2).clip(1e-9)
    if one.ndim == 1:
        return float(effect), float(stats.ks_2samp(one, other).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
    chances = np.asarray(stats.ttest_ind(one, other, equal_var=False)[1])
    return float(effect.max()), min(1.0, float(np.nanmin(chances)) * one.shape[1])


def print_statistics(digits: np.ndarray) -> None:
    one, other = (statistics(kind(digits, 1)) for kind in KINDS)
    print(f"{'':<20} {'exact':>9} {'fresh':>9} {'apart, sd':>9} {'p':>6}   ({len(digits):,} digits)")
    for name in one:
        effect, chance = compare(one[name], other[name])
        print(f"{name:<20} {one[name].mean():>9.4f} {other[name].mean():>9.4f} {effect:>9.4f} {chance:>6.3f}")


def print_speed(digits: np.ndarray) -> None:
    rates = []
    for number in range(ROUNDS):
        seconds = []
        for kind in KINDS:
            # Time of the processor, since other work on the machine must not count.
            started = time.process_time()
            kind(digits, number)
            seconds.append(time.process_time() - started)
        rates.append(len(digits) / np.array(seconds))
    (slow, fast), ratio = np.median(rates, 0), np.median([fast / slow for slow, fast in rates])
    print(f"digits a second on one core: exact {slow:,.0f}, fresh {fast:,.0f}, ratio {ratio:.1f} ({ROUNDS} rounds)")


def network(classes: int) -> nn.Module:
    widths = (1, 16, 32, 64)
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in pairwise(widths)
    ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 9, classes))


def fit(images: np.ndarray, labels: np.ndarray) -> nn.Module:
    seed_torch(0, "classifier")
    model, order = network(int(labels.max()) + 1), numpy_generator(0, "order")
    steps = EPOCHS * (len(images) // 100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    x, y = torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()
    for _ in range(EPOCHS):
        for rows in torch.from_numpy(order.permutation(len(images))).split(100)[: len(images) // 100]:
            functional.cross_entropy(model(x[rows] / 255), y[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return model.eval()


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        predicted = torch.cat([model(part[:, None] / 255).argmax(1) for part in torch.from_numpy(images).split(500)])
    return 100 * float((predicted.numpy() == labels).mean())


def print_classifier(images: np.ndarray, labels: np.ndarray) -> None:
    chosen = numpy_generator(0, "digits").permutation(len(images))[: FITTED_DIGITS + SCORED_DIGITS]
    digits, classes = images[chosen], labels[chosen]
    one, other = (kind(digits, 2) for kind in KINDS)
    fitted, scored = slice(FITTED_DIGITS), slice(FITTED_DIGITS, None)
    for name, kind in ("exact", one), ("fresh", other):
        model = fit(kind[fitted], classes[fitted])
        on = [accuracy(model, each[scored], classes[scored]) for each in (one, other)]
        print(f"fitted to {FITTED_DIGITS:,} {name} digits: right on {on[0]:.2f}% exact, {on[1]:.2f}% fresh", end=" ")
        print(f"(of {SCORED_DIGITS:,} digits)", flush=True)
    model = fit(np.concatenate([one[fitted], other[fitted]]), np.repeat([0, 1], FITTED_DIGITS))
    right = accuracy(model, np.concatenate([one[scored], other[scored]]), np.repeat([0, 1], SCORED_DIGITS))
    print(f"fitted to the kind: right on {right:.2f}% of {2 * SCORED_DIGITS:,} (chance is 50%)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=int, nargs="?", default=10_000)
    parser.add_argument("--classifier", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mnist = fetch_mnist()
    digits = mnist.train_images[numpy_generator(0, "digits").permutation(len(mnist.train_images))[: arguments.digits]]
    fresh(digits[:1], 0)  # Its tables are made once.
    print_statistics(digits)
    print_speed(digits[: 8 * BATCH])
    if arguments.classifier:
        print_classifier(mnist.train_images, mnist.train_labels)


if __name__ == "__main__":
    main()
