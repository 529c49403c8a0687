"""Every network by name: a function that puts parts together, with the training values that suit the network.

Names, options and training values are known without torch. A function imports its parts when it builds.
"""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from twinrank.config import LARGEST, SMALLEST, TrainConfig
from twinrank.core.messages import counted, quoted, shown
from twinrank.core.values import described, fits
from twinrank.errors import InputError, nearest
from twinrank.models.names import FITTED_HEADS

if TYPE_CHECKING:
    from twinrank.models.pretrained.sources import Load
    from twinrank.models.siamese import SiameseNet

_BELOW_ONE = ("dropout", "drop_path")
_LEAST = {"levels": 2}
_MOST_WIDTH, _MOST_TIMES = 4096, 16
_MOST_ENTRIES, _MOST_BLOCKS = 8, 256
"""Of a list, such as that of the blocks of each stage. More take minutes to lay out."""


class Images(NamedTuple):
    """Kind of images that a network is built for.

    Attributes:
        channels: Channels of the images, 1 or 3.
        size: Shorter side of the images, in pixels.
    """

    channels: int = 1
    size: int = 28


Build = Callable[..., "SiameseNet"]


@dataclass(frozen=True)
class ModelEntry:
    """A registered network.

    Attributes:
        name: Name by which it is chosen.
        build: Function that makes it from :class:`Images` and its options.
        train: Training values that suit it.
        stage: Stage of the training guide that it belongs to; 0 if the guide does not have it.
        source: Papers that it comes from.
        summary: Description in one line.
        pretrained: Function that loads public weights into a new network; None for a network without any.
        size: Pixels in height and width at which image files are read, unless a size is stated; None for no preference.
        listed: Whether it is one of the networks that :func:`entries` lists.
    """

    name: str
    build: Build
    train: TrainConfig
    stage: int
    source: str
    summary: str
    pretrained: "Load | None" = None
    size: int | tuple[int, int] | None = None
    listed: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """Options with their defaults."""
        parameters = list(inspect.signature(self.build).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def option_types(self) -> dict[str, Any]:
        """Types of the options."""
        # Only the options, since the return type would have to be imported.
        parameters = inspect.signature(self.build).parameters
        return {name: parameters[name].annotation for name in self.options}

    @property
    def documentation(self) -> str:
        """Docstring of the function, whose section Args describes the options."""
        return inspect.getdoc(_function(self.build)) or ""

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options, those given checked; lists become tuples.

        Raises:
            InputError: An option does not exist, or its value is impossible.
        """
        known = self.options
        for key, value in options.items():
            if key not in known:
                raise InputError(f"model '{self.name}' has no option {quoted(key)}{nearest(key, known)}")
            hint = self.option_types[key]
            if not fits(value, hint):
                raise InputError(f"model '{self.name}': option '{key}' is {shown(value)}; it must be {described(hint)}")
            entries = value if isinstance(value, list | tuple) else (value,)
            if not 1 <= len(entries) <= _MOST_ENTRIES:
                raise InputError(
                    f"model '{self.name}': option '{key}' is {shown(value)}; it must be {described(hint)}, with 1 to"
                    f" {_MOST_ENTRIES} entries"
                )
            most = _MOST_BLOCKS if entries is value else _MOST_WIDTH
            for number in entries:
                if problem := _out_of_range(key, number, most):
                    raise InputError(f"model '{self.name}': option '{key}' is {shown(value)}; it must be {problem}")
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        return known | given

    def by_epochs(self, options: Mapping[str, Any]) -> bool:
        """Whether a network with some options is trained by epochs, and not fitted at once.

        Raises:
            InputError: As :meth:`complete`.
        """
        return self.complete(options).get("head") not in FITTED_HEADS


_ENTRIES: dict[str, ModelEntry] = {}
_SOURCES: dict[str, Callable[[str], ModelEntry]] = {}
"""Functions from what follows a prefix and a colon, such as ``hf:``, to a network."""


def register(
    stage: int,
    source: str,
    train: TrainConfig,
    name: str | None = None,
    summary: str | None = None,
    pretrained: "Load | None" = None,
    size: int | None = None,
    listed: bool = True,
) -> Callable[[Build], Build]:
    """Register a function. Its first argument is :class:`Images`, the others are options.

    Args:
        stage: Stage of the training guide.
        source: Papers that it comes from.
        train: Training values that suit it.
        name: Name; that of the function by default.
        summary: Description in one line; the first line of the docstring by default.
        pretrained: Function that loads public weights.
        size: Pixels at which image files are read, unless a size is stated.
        listed: Whether :func:`entries` lists it.
    """

    def keep(build: Build) -> Build:
        key = name or build.__name__
        if key in _ENTRIES:
            raise ValueError(f"model '{key}' is registered twice")
        line = summary or (inspect.getdoc(build) or "").splitlines()[0]
        _ENTRIES[key] = ModelEntry(key, build, train, stage, source, line, pretrained, size, listed)
        return build

    return keep


def register_source(prefix: str, resolve: Callable[[str], ModelEntry]) -> None:
    """Register where networks with pretrained weights come from.

    Args:
        prefix: What stands before the colon in their names.
        resolve: Function from what stands behind it to the network.
    """
    _SOURCES[prefix] = resolve


def register_variant(name: str, of: str, summary: str, **options: Any) -> None:
    """Register a network again under another name, with other defaults.

    Args:
        name: Name of the variant.
        of: Name of the network.
        summary: Description in one line.
        options: Options with other defaults.
    """
    base = _ENTRIES[of]
    register(base.stage, base.source, base.train, name, summary)(functools.partial(base.build, **options))


def entries() -> list[ModelEntry]:
    """All registered networks that are chosen by their own name, by stage and name."""
    listed = (each for each in _ENTRIES.values() if each.listed)
    return sorted(listed, key=lambda entry: (entry.stage or math.inf, entry.name))


def is_source(name: str) -> bool:
    """Whether a name is one with a known prefix, such as ``run:runs/first``."""
    prefix, colon, _ = name.partition(":")
    return bool(colon) and prefix in _SOURCES


def entry(name: str) -> ModelEntry:
    """A registered network, or one with pretrained weights of another source.

    Args:
        name: Name of a registered network; else ``run:FOLDER``, ``hf:NAME`` or ``hf:FOLDER``, ``timm:NAME``.

    Raises:
        InputError: There is none of that name.
    """
    if isinstance(name, str) and is_source(name):
        prefix, _, rest = name.partition(":")
        return _SOURCES[prefix](rest)
    if not isinstance(name, str) or name not in _ENTRIES:
        raise InputError(f"model {quoted(name)} does not exist{nearest(str(name), [each.name for each in entries()])}")
    return _ENTRIES[name]


def create_model(
    name: str, channels: int = 1, image_size: int = 28, options: Mapping[str, Any] | None = None
) -> "SiameseNet":
    """Build a network, with new weights from torch's global generator.

    Args:
        name: Name of a registered network.
        channels: Channels of the images, 1 or 3.
        image_size: Shorter side of the images, in pixels.
        options: Options that differ from the defaults.

    Raises:
        InputError: The name, an option, or its value is wrong, or no images are of that kind.
    """
    if channels not in (1, 3) or not SMALLEST <= image_size <= LARGEST:
        raise InputError(
            f"images of {counted(channels, 'channel', 'channels')} and {image_size} pixels: 1 or 3 channels are"
            f" possible, and {SMALLEST} to {LARGEST} pixels"
        )
    found = entry(name)
    return found.build(Images(channels, image_size), **found.complete(options or {}))


def _function(build: Build) -> Callable[..., Any]:
    return build.func if isinstance(build, functools.partial) else build


def _out_of_range(option: str, value: Any, most: int) -> str | None:
    if isinstance(value, bool | str):
        return None
    if option in _BELOW_ONE:
        return None if 0 <= value < 1 else "at least 0 and below 1"
    if isinstance(value, int):
        least = _LEAST.get(option, 1)
        return None if least <= value <= most else f"{least} to {most}"
    return None if 0 < value <= _MOST_TIMES else f"above 0 and at most {_MOST_TIMES}"
