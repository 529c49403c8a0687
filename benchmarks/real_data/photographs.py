"""Pieces of photographs, degraded by known amounts: which is the better picture?

The photographs come with scikit-learn (china, flower: CC BY 2.0, by danielbuechele and vultilion on Flickr) and with
scikit-image (public domain or CC0). A piece is blurred, compressed as a JPEG, or made noisy, and never two of these.
"""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.real_data.picture import Picture
from twinrank.errors import InputError

FREE = ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "hubble_deep_field", "rocket")
"""Photographs of scikit-image that are in the public domain or under CC0."""
LOGITS = 10.0
"""Log-odds between an intact image and one degraded as much as possible."""
WAYS = ("blur", "jpeg", "noise")


def photographs(count: int, seed: int, side: int = 128) -> Iterator[Picture]:
    """Pieces of photographs.

    Args:
        count: Number of images.
        seed: Seed of all choices.
        side: Height and width in pixels.

    Raises:
        InputError: scikit-image is not installed.
    """
    rng = np.random.default_rng(seed)
    sources = _sources()
    names = list(sources)
    for number in range(count):
        name = names[int(rng.integers(len(names)))]
        photo = sources[name]
        left, top = (int(rng.integers(room - side + 1)) for room in photo.size)
        way, amount = WAYS[int(rng.integers(len(WAYS)))], float(rng.uniform())
        piece = photo.crop((left, top, left + side, top + side))
        yield Picture(
            name=f"{name}/{number:04d}.png",
            score=LOGITS * (1 - amount),
            write=partial(_write, piece=piece, way=way, amount=amount, seed=(seed, number)),
            facts={"photograph": name, "way": way, "amount": round(amount, 4), "left": left, "top": top},
        )


def _sources() -> dict[str, Image.Image]:
    from sklearn.datasets import load_sample_images

    try:
        from skimage import data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("degraded photographs need scikit-image: pip install 'twinrank[real]'") from error
    sample = load_sample_images()
    found = {Path(name).stem: pixels for name, pixels in zip(sample.filenames, sample.images, strict=True)}
    found |= {name: getattr(data, name)() for name in FREE}
    return {name: Image.fromarray(pixels).convert("RGB") for name, pixels in found.items()}


def _write(path: Path, piece: Image.Image, way: str, amount: float, seed: tuple[int, int]) -> None:
    degrade(piece, way, amount, np.random.default_rng(seed)).save(path)


def degrade(image: Image.Image, way: str, amount: float, rng: np.random.Generator) -> Image.Image:
    """A degraded copy of an image.

    Args:
        image: Image of mode RGB.
        way: "blur", "jpeg" or "noise".
        amount: 0 for (almost) none to 1 for most: a blur of 0 to 4 pixels, a JPEG quality of 95 to 3, or noise of a
            standard deviation of 0 to 60 grey values.
        rng: Source of the noise.
    """
    if way == "blur":
        return image.filter(ImageFilter.GaussianBlur(4 * amount))
    if way == "jpeg":
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=round(95 * (3 / 95) ** amount))
        return Image.open(stored)
    noisy = np.asarray(image) + rng.normal(0, 60 * amount, (image.height, image.width, 3))
    return Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))
