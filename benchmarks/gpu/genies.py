"""Genies: networks that see digits before a part of their corruption. What they reach bounds the ceiling from above.

Run as ``python -m benchmarks.gpu.genies --out genies.json``; a genie takes 40 seconds on an H100. ``--width 16 --epochs
25`` is for a CPU, and ``--tiny`` for a test. MNIST must lie in twinrank's cache, or be fetched.

A genie sees the benchmark's images before noise, before a cutout, and so on. It knows more than anybody can. So the
best possible accuracy on the benchmark is at most the best possible accuracy of a genie. The latter is above what the
genie's network reaches, by what more training would bring. All networks are alike, and are trained as long.

Covered pixels are told from black ones, whatever a network is spared. The digits of ``val`` and of the test are MNIST's
test digits, which no training sees. All tests have the same digits and draws.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch

from benchmarks.gpu.trainings import WIDTH, trained
from benchmarks.gpu.work import Work
from twinrank.benchmark.corruption import IMAGE_SIZE, MARGIN
from twinrank.benchmark.fresh import write_fresh
from twinrank.benchmark.mnist import Mnist, fetch_mnist
from twinrank.benchmark.renderer import Draws, draw_corruptions, render_batch, visible
from twinrank.config import FreshConfig
from twinrank.core.device import pick_device
from twinrank.core.files import write_json
from twinrank.core.provenance import provenance
from twinrank.workflows.recipe import read_recipe

FILES = {"train": (20_000, 1), "val": (5_000, 2), "test_private": (20_000, 3)}
"""Pairs and seed of each file. Training draws pairs of its own; the first one tells how many an epoch has."""
_SHARP = 2
"""A severity at which nothing is blurred."""


class Genie(NamedTuple):
    """What a network is spared.

    Attributes:
        words: That, in words.
        spared: Draws without it; the severity is given, too.
        severity: Strength that digits are rendered with.
    """

    words: str
    spared: Callable[[Draws, int], Draws]
    severity: int = FreshConfig.severity


def _nothing(draws: Draws, severity: int) -> Draws:
    return draws


def _last_cutout(draws: Draws, severity: int) -> Draws:
    return draws._replace(cutouts=draws.cutouts[:, :-1])


def _covers(draws: Draws, severity: int) -> Draws:
    return draws._replace(cutouts=draws.cutouts[:, :0], line_width=torch.zeros_like(draws.line_width))


def _noise(draws: Draws, severity: int) -> Draws:
    return draws._replace(noise=torch.zeros_like(draws.noise))


def _place(draws: Draws, severity: int) -> Draws:
    upright = {"side": IMAGE_SIZE, "crop": MARGIN, "angle": 0}
    return draws._replace(**{name: torch.full_like(getattr(draws, name), value) for name, value in upright.items()})


_NO_BOUND = ", which is no strict bound: "
GENIES = {
    "all": Genie("nothing: the benchmark's images", _nothing),
    "noise": Genie("noise", _noise),
    "last cutout": Genie("the last of three cutouts", _last_cutout),
    "covers": Genie("all cutouts and the line", _covers),
    "noise and blur": Genie(f"noise and blur{_NO_BOUND}blur brings light from under the covers", _noise, _SHARP),
    "place": Genie(f"shift, rotation and scaling{_NO_BOUND}covers lie elsewhere on the digit", _place),
}
"""The ladder."""


def corrupted(genie: Genie, digits: torch.Tensor, severity: int, generator: torch.Generator) -> torch.Tensor:
    """What a genie sees of digits; arguments of :func:`twinrank.benchmark.renderer.corrupt_batch`."""
    draws = draw_corruptions(len(digits), severity, generator)
    draws = genie.spared(Draws(*(field.to(digits.device) for field in draws)), severity)
    # What is covered is 0. Noise tells it from a black background, and so does this where there is none.
    seen = visible(draws)
    return (render_batch(digits, draws, genie.severity).int().clamp_min(1) * seen).to(torch.uint8)


def ladder(out: Path, names: list[str], width: int, epochs: int, tiny: bool) -> None:
    """Train a network for each genie, and write what it reaches.

    Args:
        out: JSON file.
        names: Genies.
        width: Width of the networks.
        epochs: Epochs of each, of 20,000 pairs.
        tiny: Whether everything is as small as possible.
    """
    mnist = fetch_mnist(say=print)
    unseen = Mnist(mnist.test_images, mnist.test_labels, mnist.test_images, mnist.test_labels)
    on_gpu = pick_device().type == "cuda"
    about = provenance(" ".join(["python -m benchmarks.gpu.genies", *sys.argv[1:]])) | {
        "device": torch.cuda.get_device_name() if on_gpu else "cpu"
    }
    write_json(out, {"about": about, "words": {name: GENIES[name].words for name in names}})
    spec = next(iter(read_recipe("open").runs.values()))
    for name in names:
        with (
            patch("twinrank.benchmark.fresh.corrupt_batch", partial(corrupted, GENIES[name])),
            tempfile.TemporaryDirectory() as folder,
        ):
            work = Work(name, Path(folder), out, 0, tiny)
            for file, (pairs, seed) in FILES.items():
                config = FreshConfig(pairs=min(pairs, 96) if tiny else pairs, seed=seed)
                write_fresh(mnist if file == "train" else unseen, Path(folder) / f"{file}.npz", config)
            values = vars(spec.train) | {"epochs": epochs}
            trained(work, "order_net", work.spec(spec.model, spec.options | {"width": width}, **values), Path(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train networks that are spared a part of the corruption.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--genies", nargs="*", default=[*GENIES], choices=GENIES)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--epochs", type=int, default=54)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    ladder(given.out, given.genies, given.width, given.epochs, given.tiny)
