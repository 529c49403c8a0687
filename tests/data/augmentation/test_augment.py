import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from twinrank.config import TrainConfig
from twinrank.core.torch_random import torch_generator
from twinrank.data.augmentation.augment import RANDAUGMENT, Augmentation, cutout, line, random_crop, shift
from twinrank.data.augmentation.geometry import rotation, scaling, translation, warp
from twinrank.data.augmentation.photometry import (
    autocontrast,
    brightness,
    contrast,
    hue,
    posterize,
    saturation,
    sharpness,
    solarize,
)

EVERYTHING = TrainConfig(
    rotate=10,
    translate=0.1,
    crop_scale=0.9,
    randaugment=2,
    brightness=0.2,
    contrast=0.2,
    shift=2,
    flip=True,
    cutout=1,
    lines=1,
)


def some_images(n: int = 6, channels: int = 1, size: int = 20, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    """Bright images with a covered rectangle."""
    images = torch.randint(30, 256, (n, channels, size, size), generator=torch_generator(n, "images"))
    images[:, :, 4:9, 5:15] = 0
    return images.to(torch.uint8) if dtype == torch.uint8 else images.to(dtype) / 255


def uniform(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, width, generator=torch_generator(seed, "draws"))


def hidden(images: torch.Tensor) -> torch.Tensor:
    return (images == 0).all(1)


@given(distance=st.integers(0, 7), seed=st.integers(0, 1000), size=st.integers(8, 12))
def test_a_shift_moves_pixels_and_mirrors_the_border(distance: int, seed: int, size: int) -> None:
    images = torch.arange(2 * 3 * size * 9, dtype=torch.int64).reshape(2, 3, size, 9)
    moved = shift(images, distance, uniform(2, 2, seed))
    padded = functional.pad(images.double(), (distance,) * 4, mode="reflect").long()
    for image, candidates in zip(moved, padded, strict=True):
        windows = [
            candidates[:, y : y + size, x : x + 9] for y in range(2 * distance + 1) for x in range(2 * distance + 1)
        ]
        assert any(torch.equal(image, window) for window in windows)


def test_every_shift_occurs_equally_often() -> None:
    place = torch.arange(9).repeat(9, 1)[None, None].repeat(4000, 1, 1, 1)
    moved = shift(place, 2, uniform(4000, 2))[:, 0, 4, 4] - 4
    counts = torch.bincount(moved + 2, minlength=5)
    assert len(counts) == 5
    assert counts.min() > 700


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_stay_images_and_what_is_visible_stays_above_zero(dtype: torch.dtype, channels: int) -> None:
    images = some_images(50, channels, dtype=dtype)
    augment = Augmentation(EVERYTHING)
    assert augment
    augmented = augment(images, uniform(50, augment.draws))
    assert augmented.shape == images.shape
    assert augmented.dtype == dtype
    assert augmented.max() <= (255 if dtype == torch.uint8 else 1)
    assert not torch.equal(augmented, images)
    visible = augmented[~hidden(augmented)[:, None].expand_as(augmented)]
    assert (visible > 0).all()
    # The covered rectangle is carried along, and only cutout and lines cover more.
    gentle = Augmentation(replace(EVERYTHING, cutout=0, lines=0, randaugment=0, crop_scale=1.0))
    shares = hidden(gentle(images, uniform(50, gentle.draws))).float().mean((1, 2))
    torch.testing.assert_close(shares, torch.full((50,), 50 / 400), atol=0.05, rtol=0)


def test_the_defaults_change_nothing() -> None:
    augment = Augmentation(TrainConfig())
    assert not augment
    assert torch.equal(augment(some_images(), uniform(6, augment.draws)), some_images())


def test_each_image_has_its_own_augmentation() -> None:
    images = some_images(1).repeat(20, 1, 1, 1)
    for name, value in {"rotate": 10, "translate": 0.2, "crop_scale": 0.5, "shift": 3, "cutout": 1, "lines": 1}.items():
        augment = Augmentation(replace(TrainConfig(), **{name: value}))
        augmented = augment(images, uniform(20, augment.draws))
        assert len({image.numpy().tobytes() for image in augmented}) > 15, name


def test_a_map_that_changes_nothing_changes_no_pixel() -> None:
    images = some_images()
    for matrix in (rotation(torch.zeros(6)), translation(torch.zeros(6, 2)), scaling(torch.ones(6))):
        assert torch.equal(warp(images, matrix), images)


def test_a_quarter_turn_is_torchs() -> None:
    images = some_images()
    turned = warp(images, rotation(torch.full((6,), math.pi / 2)))
    assert torch.equal(turned, images.rot90(1, (2, 3)))


def test_a_translation_by_whole_pixels_moves_them() -> None:
    images = some_images()
    moved = warp(images, translation(torch.tensor([[2 * 3 / 20, 0.0]]).repeat(6, 1)))
    assert torch.equal(moved[..., :-3], images[..., 3:])


def test_covered_pixels_do_not_bleed_into_visible_ones() -> None:
    images = torch.full((1, 1, 20, 20), 200, dtype=torch.uint8)
    images[:, :, 4:9, 5:15] = 0
    turned = warp(images, rotation(torch.tensor([0.3])))
    assert set(turned.unique().tolist()) == {0, 200}


def test_cutout_covers_a_rectangle_and_a_line_covers_a_line() -> None:
    images = torch.full((200, 1, 20, 20), 9, dtype=torch.uint8)
    for image in hidden(cutout(images, uniform(200, 4))):
        rows, columns = image.any(1).sum(), image.any(0).sum()
        assert 1 <= rows <= 11
        assert 1 <= columns <= 11
        assert image.sum() == rows * columns
    covered = hidden(line(images, torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0]]).repeat(200, 1)))
    assert torch.equal(covered[0], torch.eye(20, dtype=torch.bool))


def test_changes_of_light_are_their_formulas_and_leave_covered_pixels_alone() -> None:
    images = torch.tensor([[0, 50, 100, 150], [200, 250, 100, 50]], dtype=torch.uint8)[None, None]
    factor = torch.tensor([0.5])
    assert brightness(images, factor).flatten().tolist() == [0, 25, 50, 75, 100, 125, 50, 25]
    mean = (50 + 100 + 150 + 200 + 250 + 100 + 50) / 7
    expected = [0] + [round(mean + (p - mean) / 2) for p in (50, 100, 150, 200, 250, 100, 50)]
    assert contrast(images, factor).flatten().tolist() == expected
    assert posterize(images, torch.tensor([2.0])).flatten().tolist() == [0, 1, 64, 128, 192, 192, 64, 1]
    assert solarize(images, torch.tensor([0.6])).flatten().tolist() == [0, 50, 100, 150, 55, 5, 100, 50]
    assert autocontrast(images).flatten().tolist()[:6] == [0, 1, 64, 128, 191, 255]
    assert torch.equal(sharpness(images, torch.tensor([1.0])), images)


def test_colours_change_and_greys_stay() -> None:
    images = torch.tensor([[200, 100, 0], [100, 100, 0], [50, 100, 0]], dtype=torch.uint8)[None, :, None]
    assert saturation(images, torch.tensor([0.0]))[0, :, 0].tolist() == [[124, 100, 0]] * 3
    assert torch.equal(saturation(images, torch.tensor([1.0])), images)
    third = hue(images, torch.tensor([2 * math.pi / 3]))
    assert torch.equal(third, images.roll(1, 1))


def test_flips_and_crops_move_pixels_and_change_none() -> None:
    images = some_images(40, 3)
    for config, axis in ((TrainConfig(flip=True), 3), (TrainConfig(flip_vertical=True), 2)):
        augment = Augmentation(config)
        flipped = augment(images, uniform(40, augment.draws))
        mirrored = [torch.equal(new, old.flip(axis - 1)) for new, old in zip(flipped, images, strict=True)]
        same = [torch.equal(new, old) for new, old in zip(flipped, images, strict=True)]
        assert all(a != b for a, b in zip(mirrored, same, strict=True)), axis
        assert 10 < sum(mirrored) < 30, axis
    place = torch.arange(40 * 30).reshape(1, 1, 40, 30).repeat(200, 1, 1, 1)
    cut = random_crop(place, 28, uniform(200, 2))
    corners = cut[:, 0, 0, 0]
    assert torch.equal(cut - corners[:, None, None, None], place[:, :, :28, :28])
    assert {*(corners // 30).tolist()} == {*range(13)}
    assert {*(corners % 30).tolist()} == {0, 1, 2}


def test_randaugment_does_each_of_its_operations() -> None:
    images = some_images(1).repeat(13, 1, 1, 1)
    augment = Augmentation(TrainConfig(randaugment=1, magnitude=15))
    places = (torch.arange(len(RANDAUGMENT)) + 0.5) / len(RANDAUGMENT)
    draws = torch.full((len(RANDAUGMENT), augment.draws), 0.5)
    draws[:, 6] = places
    draws[:, 3] = 1
    results = augment(some_images(1).repeat(len(RANDAUGMENT), 1, 1, 1), draws)
    assert torch.equal(results[0], images[0]), "the first is the identity"
    assert len({result.numpy().tobytes() for result in results}) == len(RANDAUGMENT)
