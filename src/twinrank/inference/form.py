"""The images that a predictor takes: their size, and how files become such images."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twinrank.core.context import Context
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source
from twinrank.data.stream import PairStream, stream_pairs
from twinrank.errors import InputError

_LARGEST_DRAWN = 64
"""Sides of images that people may draw, in pixels."""


@dataclass(frozen=True)
class ImageForm:
    """The form of the images of a training.

    Attributes:
        name: Name of the predictor, for messages.
        shape: Shape of an image, (C, H, W).
        reading: How image files became pixels; None where the images were arrays.
        resized: Whether image files of several sizes were brought to this one. Then files of any size fit.
        exact: Whether height and width are known; older runs know only the shorter side.
        columns: What was stated about the columns of the table of the training.
        question: Question that people answered in the judgements of the training; None where it is not known.
    """

    name: str
    shape: tuple[int, int, int]
    reading: Reading | None = None
    resized: bool = False
    exact: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None

    @classmethod
    def of_run(cls, config: Mapping[str, Any], name: str, channels: int, shorter_side: int) -> "ImageForm":
        """The form of the images of a run.

        Args:
            config: Run configuration.
            name: Name of the predictor.
            channels: Channels of the network.
            shorter_side: Shorter side that the weights were trained with, in pixels.
        """
        exact = "image_shape" in config
        images = config.get("images", {})
        reading = Reading.from_json(images["reading"], "config.json: 'images'") if "reading" in images else None
        known = tuple(config["image_shape"]) if exact else (channels, shorter_side, shorter_side)
        fitted = config["data"]["train"]
        where = "config.json: 'source'"
        source = Source.from_json(fitted["source"], where) if "source" in fitted else Source()
        columns = source.columns or source.recorded
        return cls(name, known, reading, images.get("resized", False), exact, columns, source.question)

    def source(self, given: Source | None) -> Source:
        """How tables and folders are read for this predictor: as in training, but for where the images are.

        Columns that were stated in training count where the same is not stated now, and the table has them.
        """
        given = replace(given or Source(), recorded=self.columns)
        if self.reading is not None:
            return replace(given, reading=self.reading)
        size = self.shape[1:] if given.resize else given.reading.size
        return replace(given, reading=replace(given.reading, size=size, channels=self.shape[0]))

    def load(
        self, path: Path, labels: Path | None = None, source: Source | None = None, context: Context = Context()
    ) -> Judgements:
        """Judgements with images of this form.

        Args:
            path: Anything that :func:`twinrank.data.judgements.load_pairs` reads.
            labels: CSV ``id,label``.
            source: Where the images of a table are.
            context: Listeners.

        Raises:
            InputError: As :func:`twinrank.data.judgements.load_pairs`, or the images have another form.
        """
        data = load_pairs(path, labels, self.source(source), context)
        return replace(data, images=self.fitted(data.images, path, source is not None and source.resize))

    @contextmanager
    def stream(self, path: Path, source: Source | None = None, context: Context = Context()) -> Iterator[PairStream]:
        """Judgements for prediction, see :func:`twinrank.data.stream.stream_pairs`, with images of this form."""
        resize = source is not None and source.resize
        with stream_pairs(path, source=self.source(source), context=context) as stream:
            chunks = (replace(each, images=self.fitted(each.images, path, resize)) for each in stream.chunks)
            yield stream._replace(chunks=chunks)

    def folder(self, path: Path, source: Source | None = None, context: Context = Context()) -> ImageStore:
        """The images of a folder, in this form.

        Args:
            path: Folder of image files.
            source: Whether images of another size are brought to that of the training.
            context: Listeners.

        Raises:
            InputError: As :meth:`ImageStore.from_folder`, or the images have another form.
        """
        store = ImageStore.from_folder(path, reading=self.source(source).reading, progress=context.progress)
        return self.fitted(store, path, source is not None and source.resize)

    def fitted(self, images: ImageStore, path: Path, resize: bool) -> ImageStore:
        """Images of this form, resized where that was asked for.

        Args:
            images: Images.
            path: Their place, for messages.
            resize: Whether images of another size are resized.

        Raises:
            InputError: They have another form. Arrays are not resized where the training rescaled no image.
        """
        if self.fits(images.shape) and (self.resized or not images.resized or resize):
            return images
        if resize and images.shape[0] == self.shape[0] and self.exact and not self._native:
            return images.at_size(*self.shape[1:])
        self.require(images.shape, path, images.resized)
        return images

    def reading_of(self, height: int, width: int, where: Path, resize: bool = False) -> Reading:
        """How one image file becomes an image of this form.

        Args:
            height: Pixels of the file.
            width: Pixels, likewise.
            where: Its place, for the message.
            resize: Whether an image of another size is resized.

        Raises:
            InputError: The image has another form, as of :meth:`fitted`.
        """
        reading, own = self.source(Source(resize=resize)).reading, (height, width)
        if resize or (self.resized and reading.size is not None) or (reading.size is not None and reading.shape == own):
            return reading
        self.require((self.shape[0], *own), where)
        return replace(reading, size=own)

    @property
    def drawn(self) -> bool:
        """Whether people can draw such images: small ones in grey, as arrays and not from photographs."""
        channels, height, width = self.shape
        return channels == 1 and max(height, width) <= _LARGEST_DRAWN and self.reading is None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape (C, H, W) have this form."""
        sides = shape[1:] if self.exact else (min(shape[1:]),) * 2
        return (shape[0], *sides) == tuple(self.shape)

    def require(self, shape: tuple[int, ...], path: Path, resized: bool = False) -> None:
        """Refuse images of other channels or another size than those of training.

        Args:
            shape: Shape of an image, (C, H, W).
            path: Place of the images, for the message.
            resized: Whether files of another size were brought to this shape.

        Raises:
            InputError: They have another form.
        """
        if shape[0] != self.shape[0]:
            raise InputError(
                f"{path}: images of {shape[0]} channels; {self.name} was trained on {self.shape[0]}; convert them"
            )
        height, width = self.shape[1:]
        known = f"{height} x {width}" if self.exact else f"a shorter side of {height}"
        if resized and not self.resized:
            found = "images of other sizes"
        elif not self.fits(shape):
            found = f"images of {shape[1]} x {shape[2]} pixels"
        else:
            return
        remedy = "resize them, or let `resize` do it"
        if self._native:
            remedy = "let `resize` take their middle" if resized else "cut them, or add margins; do not rescale them"
        raise InputError(f"{path}: {found}; {self.name} was trained on {known}; {remedy}")

    def require_images(self, images: ImageStore, path: Path) -> None:
        """Refuse images of another form than those of training, or from files that were read in another way.

        Args:
            images: Images.
            path: Their place, for the message.

        Raises:
            InputError: They have another form, or were read in another way.
        """
        self.require(images.shape, path)
        if self.reading is None or images.reading is None:
            return
        if other := images.reading.difference(self.reading, images.resized):
            raise InputError(f"{path}: images were read with {other}, as for {self.name}; read them as in its training")

    @property
    def _native(self) -> bool:
        """Whether files were read without being rescaled."""
        return self.reading is not None and self.reading.fit == "native"
