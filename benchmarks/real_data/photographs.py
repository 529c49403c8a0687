"""Photographs that were degraded: which piece is in the better state?

Photographs are those that come with scikit-image, scikit-learn, PyWavelets and matplotlib, and that their authors gave
free: public domain, CC0, or no known restrictions. Photographs that are out of focus themselves are left out. A piece
is blurred, compressed as a JPEG, made noisy, or scaled down and up again, and never two of these.
"""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.real_data.picture import Picture
from twinrank.errors import InputError

SCIKIT_IMAGE = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "retina",
    "rocket",
)
PYWAVELETS = ("aero", "ascent")
LOGITS = 10.0
"""Log-odds between an intact image and one degraded as much as possible."""
AMOUNTS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
WAYS = {
    "blur": (0.0, 0.64, 0.81, 1.11, 1.52, 2.07, 2.84),
    "jpeg": (100.0, 82.5, 55.0, 18.0, 8.8, 5.0, 3.5),
    "noise": (0.0, 3.3, 4.9, 7.6, 10.2, 13.0, 16.1),
    "scaling": (1.0, 1.16, 1.45, 2.3, 3.25, 4.4, 5.95),
}
"""Strength of each way to degrade at each of :data:`AMOUNTS`, linear in between.

They are the standard deviation of the blur in pixels, the quality of the JPEG, the standard deviation of the noise in
grey values, and the factor of the scaling. An amount costs the same whichever way it is: the middle 300 x 300 pixels of
the photographs lose 0.35 x amount of their structural similarity to the intact ones (Wang et al. 2004), on average.
"""
LEAST_CONTRAST = 10.0
"""Standard deviation in grey values below which a piece shows too little to be judged."""


def photographs(
    count: int, seed: int, sides: tuple[int, int] = (128, 128), names: Sequence[str] | None = None
) -> Iterator[Picture]:
    """Pieces of photographs.

    Args:
        count: Number of images.
        seed: Seed of all choices.
        sides: Least and greatest height and width in pixels; a photograph that is smaller limits them.
        names: Photographs to take pieces of; None for all.

    Raises:
        InputError: A package with photographs is not installed.
    """
    rng = np.random.default_rng(seed)
    sources = photograph_sources()
    names = [*sources] if names is None else names
    for number in range(count):
        name = names[int(rng.integers(len(names)))]
        piece, left, top = _piece(sources[name], sides, rng)
        way, amount = [*WAYS][int(rng.integers(len(WAYS)))], float(rng.uniform())
        yield Picture(
            name=f"{name}/{number:04d}.png",
            score=LOGITS * (1 - amount),
            write=partial(_write, piece=piece, way=way, amount=amount, seed=(seed, number)),
            facts={"photograph": name, "way": way, "amount": round(amount, 4), "left": left, "top": top},
        )


def photograph_sources() -> dict[str, Image.Image]:
    """All photographs by name, of mode RGB.

    Raises:
        InputError: A package with photographs is not installed.
    """
    from matplotlib import get_data_path
    from sklearn.datasets import load_sample_images

    try:
        import pywt.data  # pyright: ignore[reportMissingImports]
        from skimage import data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        needed = "degraded photographs need scikit-image and PyWavelets: pip install 'twinrank[real]'"
        raise InputError(needed) from error
    sample = load_sample_images()
    found = {Path(name).stem: pixels for name, pixels in zip(sample.filenames, sample.images, strict=True)}
    found |= {name: getattr(data, name)() for name in SCIKIT_IMAGE}
    found |= {"motorcycle": data.stereo_motorcycle()[0]}
    found |= {name: getattr(pywt.data, name)() for name in PYWAVELETS}
    images = {name: Image.fromarray(pixels).convert("RGB") for name, pixels in found.items()}
    with Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return images | {"grace_hopper": image.convert("RGB")}


def _piece(photo: Image.Image, sides: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, int, int]:
    """A piece that shows something, and its left and upper end."""
    while True:
        width, height = (int(rng.integers(min(sides[0], room), min(sides[1], room) + 1)) for room in photo.size)
        left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
        piece = photo.crop((left, top, left + width, top + height))
        if np.asarray(piece.convert("L")).std() >= LEAST_CONTRAST:
            return piece, left, top


def _write(path: Path, piece: Image.Image, way: str, amount: float, seed: tuple[int, int]) -> None:
    degrade(piece, way, amount, np.random.default_rng(seed)).save(path)


def degrade(image: Image.Image, way: str, amount: float, rng: np.random.Generator) -> Image.Image:
    """A degraded copy of an image.

    Args:
        image: Image of mode RGB.
        way: One of :data:`WAYS`.
        amount: 0 for (almost) none to 1 for most.
        rng: Source of the noise.
    """
    strength = float(np.interp(amount, AMOUNTS, WAYS[way]))
    if way == "blur":
        return image.filter(ImageFilter.GaussianBlur(strength))
    if way == "jpeg":
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=round(strength))
        return Image.open(stored)
    if way == "scaling":
        small = (round(image.width / strength), round(image.height / strength))
        return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    noisy = np.asarray(image) + rng.normal(0, strength, (image.height, image.width, 3))
    return Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))
