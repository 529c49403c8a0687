"""What genies are spared, and that nothing else changes."""

import torch
from benchmarks.gpu.genies import GENIES, corrupted

from twinrank.benchmark.mnist import Mnist
from twinrank.benchmark.renderer import corrupt_batch


def test_a_genie_is_spared_one_thing(digits: Mnist) -> None:
    some = torch.from_numpy(digits.train_images[:64])
    seen = {name: corrupted(genie, some, 6, torch.Generator().manual_seed(0)) for name, genie in GENIES.items()}
    benchmark = corrupt_batch(some, 6, torch.Generator().manual_seed(0))
    assert ((benchmark > 0) <= (seen["all"] > 0)).all()
    assert (benchmark == seen["all"])[benchmark > 0].all()
    covered = {name: float((images == 0).float().mean()) for name, images in seen.items()}
    assert covered["covers"] == 0 < covered["last cutout"] < covered["all"]
    assert covered["all"] == covered["noise and blur"] == covered["noise"] == covered["place"]
    assert (seen["last cutout"] == seen["all"])[seen["all"] > 0].all()
    # Without noise, most of the background has one value.
    assert (seen["noise and blur"] == 1).float().mean() > (seen["all"] == 1).float().mean() + 0.2
