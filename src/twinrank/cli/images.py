"""Flags that say where the images of tables are, and how they become pixels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from twinrank.cli.arguments import Columns, OptionalImages, OptionalNumber, listed
from twinrank.errors import InputError

if TYPE_CHECKING:
    from twinrank.data.source import Source


@dataclass(frozen=True)
class ImageFlags:
    """Tables of judgements: their images and columns."""

    images: OptionalImages = None
    """Folder of the images that tables name; that of the table by default."""
    columns: Columns = None
    """Columns of a table where their names do not tell, such as left=photo_1,right=photo_2."""
    size: listed(int) = ()  # pyright: ignore[reportInvalidTypeForm]
    """Pixels that images are brought to: one number, or height and width. By default their common size, else 128."""
    fit: Literal["resize", "crop", "pad", "native"] = "resize"
    """How an image of another size is brought to that size: rescaled, or (native) its middle at its own resolution."""
    channels: OptionalNumber = None
    """1 for grey, 3 for RGB. By default 1 if all images are grey, else 3."""
    background: Annotated[str, tyro.conf.arg(metavar="COLOUR")] = "white"
    """Colour behind transparent pixels, and of margins."""
    range: listed(float) = ()  # pyright: ignore[reportInvalidTypeForm]
    """Values that become black and white, for images of more than 8 bits, such as 0,4095."""
    page: OptionalNumber = None
    """Page or frame of files with several, from 0."""

    def source(self) -> "Source":
        """How tables are read.

        Raises:
            InputError: A value is impossible.
        """
        from twinrank.data.images.reading import Reading
        from twinrank.data.source import Source

        if len(self.size) > 2:
            raise InputError("`size` has more than two numbers; give one, or height and width")
        size = self.size[0] if len(self.size) == 1 else self.size or None
        reading = Reading(size, self.fit, self.channels, self.background, self.range or None, self.page)
        return Source(self.images, self.columns or {}, reading)
