"""How image files become pixels: a choice that a run records."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from PIL import ImageColor

from twinrank.config import LARGEST, SMALLEST
from twinrank.core.messages import shown
from twinrank.core.values import require_range, require_types, with_values
from twinrank.errors import InputError

Fit = Literal["resize", "crop", "pad", "native"]
DEFAULT_SIZE = 128
"""Pixels in height and width where images of several sizes are read and no size is stated."""


class Header(NamedTuple):
    """What a file says about its image before any pixel is decoded.

    Attributes:
        height: Pixels, after the orientation that a camera has noted is applied.
        width: Pixels, likewise.
        grey: Whether the image has no colour, and none comes from a background.
    """

    height: int
    width: int
    grey: bool


@dataclass(frozen=True)
class Reading:
    """How image files become pixels. It holds the choice alone, and nothing that was found in files.

    >>> Reading(size=96, fit="pad").to_json()["size"]
    96

    Raises:
        InputError: A value has the wrong type or is out of range.
    """

    size: int | tuple[int, int] | None = None
    """Pixels in height and width, 8 to 512: one number for both, or the two. None is the common size of all images. If
    they have none, or if it is out of that range, it is 128."""
    fit: Fit = "resize"
    """How an image of another size is brought to that size. ``resize`` changes its aspect ratio, ``crop`` cuts the
    middle out, and ``pad`` adds margins of the background. These three rescale. ``native`` takes the middle at the
    image's own resolution, with such margins where the image is smaller."""
    channels: int | None = None
    """1 for grey, 3 for RGB. None is 1 if all images are grey, else 3."""
    background: str = "white"
    """Colour behind transparent pixels and of margins, by name or as ``#rrggbb``."""
    range: tuple[float, float] | None = None
    """Values that become black and white, for images of more than 8 bits; values beyond them are clipped. None refuses
    such images. Images of 8 bits do not use it."""
    page: int | None = None
    """Page or frame of each file, from 0. None refuses files that have several."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("size", "range"):
            if isinstance(value := getattr(self, name), list | tuple):
                if len(value) != 2:
                    raise InputError(f"{name} is {shown(value)}; it must have two values")
                object.__setattr__(self, name, tuple(value))
        if self.size is not None and not all(SMALLEST <= side <= LARGEST for side in self.shape):
            raise InputError(f"size is {shown(self.size)}; it must be {SMALLEST} to {LARGEST} pixels")
        if self.channels not in (None, 1, 3):
            raise InputError(f"channels is {self.channels}; it must be 1 (grey) or 3 (RGB)")
        if self.range is not None and not -1e30 < self.range[0] < self.range[1] < 1e30:
            raise InputError(f"range is {shown(self.range)}; its first value must be below the second")
        require_range(self, "page", at_least=0, at_most=1_000_000)
        self._check_background()

    def _check_background(self) -> None:
        try:
            opaque = len(ImageColor.getrgb(self.background)) == 3
        except ValueError:
            opaque = False
        if not opaque:
            raise InputError(
                f"background is {shown(self.background)}; it must be a colour, such as 'white' or '#ff8000'"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, where a size is stated.

        Raises:
            ValueError: None is stated.
        """
        if self.size is None:
            raise ValueError("the size depends on the files")
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def grey_background(self) -> bool:
        """Whether the background has no colour."""
        return len(set(ImageColor.getrgb(self.background))) == 1

    def effective(self, headers: Iterable[Header]) -> "Reading":
        """The reading with size and channels that fit some files.

        Args:
            headers: Headers of all files, at least one.
        """
        every = set(headers)
        sizes = {(header.height, header.width) for header in every}
        size, channels = self.size, self.channels
        if size is None:
            size = next(iter(sizes)) if len(sizes) == 1 else (DEFAULT_SIZE, DEFAULT_SIZE)
            if not all(SMALLEST <= side <= LARGEST for side in size):
                size = (DEFAULT_SIZE, DEFAULT_SIZE)
        if channels is None:
            channels = 1 if all(header.grey for header in every) else 3
        return replace(self, size=size, channels=channels)

    def difference(self, other: "Reading", resized: bool = True) -> str | None:
        """The first choice by which the same files become other pixels, in words; None where there is none.

        Size and channels are left out, since the images show them. So is a page, since it is another image of a file. A
        range counts where both readings have one.

        Args:
            other: Other reading.
            resized: Whether images are brought to another size.
        """
        colours = ImageColor.getrgb(self.background), ImageColor.getrgb(other.background)
        differ = {
            "fit": resized and self.fit != other.fit,
            "background": colours[0] != colours[1],
            "range": bool(self.range and other.range and self.range != other.range),
        }
        field = next((name for name, differs in differ.items() if differs), None)
        if field is None:
            return None
        return f"`{field}` {shown(getattr(self, field))} instead of {shown(getattr(other, field))}"

    def to_json(self) -> dict[str, Any]:
        """The values by field, as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> "Reading":
        """The reading that :meth:`to_json` has written; fields that are missing have their defaults.

        Args:
            values: Values by field.
            where: Place of the values, for the message.

        Raises:
            InputError: A field is unknown, or a value has the wrong type or is out of range.
        """
        return with_values(cls(), values, where)
