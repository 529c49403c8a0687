"""Every network by name. An entry is a function that puts parts together, with the training values that suit it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twinrank.config import TrainConfig
from twinrank.errors import InputError
from twinrank.models.comparators import Antisymmetric, ConcatenatedMLP, LatentOrder
from twinrank.models.encode import Encode
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.plain import PlainTower
from twinrank.models.towers.residual import ResidualTower

Build = Callable[..., SiameseNet]


@dataclass(frozen=True)
class Entry:
    """A registered network.

    Attributes:
        name: by which it is chosen.
        build: makes it from the number of image channels and its options.
        train: the training values that suit it.
    """

    name: str
    build: Build
    train: TrainConfig

    @property
    def options(self) -> dict[str, Any]:
        """Options with their defaults."""
        parameters = list(inspect.signature(self.build).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return (inspect.getdoc(self.build) or "").splitlines()[0]


_ENTRIES: dict[str, Entry] = {}


def register(train: TrainConfig) -> Callable[[Build], Build]:
    """Register a function under its own name. Its first argument is the number of channels, the others are options."""

    def keep(build: Build) -> Build:
        if build.__name__ in _ENTRIES:
            raise ValueError(f"model '{build.__name__}' is registered twice")
        _ENTRIES[build.__name__] = Entry(build.__name__, build, train)
        return build

    return keep


def entries() -> list[Entry]:
    """All registered networks, by name."""
    return [_ENTRIES[name] for name in sorted(_ENTRIES)]


def entry(name: str) -> Entry:
    """A registered network.

    Raises:
        InputError: there is none of that name.
    """
    if name not in _ENTRIES:
        raise InputError(f"model '{name}' does not exist; choose from {', '.join(sorted(_ENTRIES))}")
    return _ENTRIES[name]


def create_model(name: str, channels: int = 1, options: Mapping[str, Any] | None = None) -> SiameseNet:
    """Build a network, with new weights from torch's global generator.

    Args:
        name: as registered.
        channels: of the images, 1 or 3.
        options: that differ from the defaults.

    Raises:
        InputError: the name, an option, or its type is wrong.
    """
    found = entry(name)
    defaults, options = found.options, options or {}
    for key, value in options.items():
        if key not in defaults:
            raise InputError(f"model '{name}' has no option '{key}'; it has {', '.join(defaults)}")
        wanted = type(defaults[key])
        if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
            raise InputError(f"model '{name}': option '{key}' is {value!r}, not {wanted.__name__}")
        if wanted is int and value < 1:
            raise InputError(f"model '{name}': option '{key}' is {value}; it is at least 1")
    return found.build(channels, **options)


@register(TrainConfig(epochs=30, lr=1e-3, weight_decay=5e-4, shift=2))
def compare_net(channels: int, mask: bool = False, antisymmetric: bool = True) -> SiameseNet:
    """The training guide's baseline: two plain towers, features joined, a small network.

    Without a mask and not antisymmetric it is the guide's own form; 175,681 parameters.

    Args:
        channels: Of the images.
        mask: The tower sees which pixels are covered.
        antisymmetric: Swapping the images negates the logit.
    """
    encode = Encode(channels, mask)
    tower = PlainTower(encode.out_channels)
    comparator = ConcatenatedMLP(tower.features)
    return SiameseNet(encode, tower, Antisymmetric(comparator) if antisymmetric else comparator)


@register(
    TrainConfig(
        epochs=14,
        lr=1.5e-2,
        objective="latent_order",
        easy_share=0.3,
        shift=2,
        augment_from=0.3,
    )
)
def order_net(channels: int, width: int = 16, levels: int = 10, mask: bool = True) -> SiameseNet:
    """A small residual tower with a latent order head: it finds the levels from comparisons alone.

    Args:
        channels: Of the images.
        width: Channels of the tower's stem; its last stage has eight times as many.
        levels: Latent levels, K.
        mask: The tower sees which pixels are covered.
    """
    encode = Encode(channels, mask)
    tower = ResidualTower(encode.out_channels, width)
    return SiameseNet(encode, tower, LatentOrder(tower.features, levels))
