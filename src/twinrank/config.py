"""Frozen dataclasses: the only source of defaults. Command-line flags and recipes are derived from them."""

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from twinrank.errors import InputError

Split = Literal["train", "val", "test_public", "test_private"]
Monitor = Literal["accuracy", "f1", "log_loss"]
Schedule = Literal["one_cycle", "constant"]
Objective = Literal["pair", "latent_order"]
Precision = Literal["auto", "float32", "bfloat16"]

SPLITS: tuple[Split, ...] = get_args(Split)
_SPLITS_BY_NAME: dict[str, Split] = {split: split for split in SPLITS}
MAX_SEVERITY = 6
MAX_PAIRS = 10_000_000
"""Ids have seven digits."""

Config = TypeVar("Config", "BenchmarkConfig", "TrainConfig")


@dataclass(frozen=True)
class BenchmarkConfig:
    """The occluded-digit benchmark. The defaults are the benchmark proper.

    Raises:
        InputError: a value is out of range.
    """

    seed: int = 42
    """S: train is drawn with S, val with S + 1, test_public with S + 2, test_private with S + 3."""
    severity: int = 6
    """Strength of the corruption, 0 (none) to 6, of every split that has none of its own."""
    severity_train: int | None = None
    """Severity of train.npz, if it differs."""
    severity_val: int | None = None
    """Severity of val.npz, if it differs."""
    severity_public: int | None = None
    """Severity of test_public.npz, if it differs."""
    severity_private: int | None = None
    """Severity of test_private.npz, if it differs."""
    weight_diff1: float = 0.8
    """Probability that a pair is drawn as neighbours, such as 4 and 5."""
    pairs_train: int = 50_000
    """Pairs in train.npz."""
    pairs_val: int = 10_000
    """Pairs in val.npz."""
    pairs_public: int = 2_000
    """Pairs in test_public.npz."""
    pairs_private: int = 8_000
    """Pairs in test_private.npz."""

    def __post_init__(self) -> None:
        _require(self, "seed", at_least=0)
        _require(self, "weight_diff1", at_least=0, at_most=1)
        for part in ("train", "val", "public", "private"):
            _require(self, f"pairs_{part}", at_least=1, at_most=MAX_PAIRS)
            _require(self, f"severity_{part}", at_least=0, at_most=MAX_SEVERITY)
        _require(self, "severity", at_least=0, at_most=MAX_SEVERITY)

    def pairs_of(self, split: Split) -> int:
        """Number of pairs of a split."""
        return getattr(self, f"pairs_{split.removeprefix('test_')}")

    def severity_of(self, split: Split) -> int:
        """Severity of a split."""
        own = getattr(self, f"severity_{split.removeprefix('test_')}")
        return self.severity if own is None else own

    def seed_of(self, split: Split) -> int:
        """Seed of a split."""
        return self.seed + SPLITS.index(split)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Each model of the registry brings the values that suit it.

    Raises:
        InputError: a value is out of range.
    """

    epochs: int = 30
    """How many times as many pairs as the file has are trained on."""
    batch_size: int = 128
    """Pairs in a step."""
    lr: float = 1e-3
    """Largest learning rate of AdamW."""
    weight_decay: float = 0.05
    """Decoupled weight decay of AdamW, on convolutions and linear layers only."""
    beta1: float = 0.9
    """Decay of AdamW's running mean of gradients."""
    beta2: float = 0.99
    """Decay of AdamW's running mean of squared gradients."""
    schedule: Schedule = "one_cycle"
    """Learning rate: linear warm-up then cosine to zero, or constant after the warm-up."""
    warmup: float = 0.2
    """Share of the run over which the learning rate rises from 0."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    objective: Objective = "pair"
    """What is minimised: the pairs' cross-entropy, or the objective of networks with latent levels."""
    label_smoothing: float = 0.0
    """In the pair loss, labels become smoothing / 2 and 1 - smoothing / 2."""
    contrastive_weight: float = 1.0
    """Weight of the contrastive term of latent_order."""
    balance_weight: float = 2.0
    """Weight of the balance term of latent_order."""
    easy_share: float = 1.0
    """Share of the pairs, those that show most, with which training begins; 1 is all of them from the start."""
    easy_until: float = 0.5
    """Share of the run at which every pair has come in."""
    shift: int = 0
    """Augmentation: each image is moved by up to so many pixels along each axis."""
    augment_from: float = 0.0
    """Share of the run after which augmentation begins."""
    monitor: Monitor = "accuracy"
    """Metric on the validation file that chooses the best epoch and stops early."""
    patience: int | None = None
    """Stop after so many epochs without a better value; None, never."""
    precision: Precision = "auto"
    """Arithmetic of the tower: auto is bfloat16 where the processor computes in it, else float32."""
    seed: int = 42
    """Root of every random number of the run."""

    def __post_init__(self) -> None:
        _require(self, "epochs", at_least=1)
        _require(self, "batch_size", at_least=2)
        _require(self, "lr", above=0)
        _require(self, "clip_norm", above=0)
        _require(self, "patience", at_least=1)
        for name in ("weight_decay", "contrastive_weight", "balance_weight", "shift", "seed"):
            _require(self, name, at_least=0)
        for name in ("warmup", "label_smoothing", "easy_until", "augment_from"):
            _require(self, name, at_least=0, at_most=1)
        _require(self, "easy_share", above=0, at_most=1)
        for name in ("beta1", "beta2"):
            _require(self, name, at_least=0, below=1)


@dataclass(frozen=True)
class Recipe:
    """Everything from nothing to a report: what ``twinrank run`` reads."""

    model: str
    """A network that ``twinrank models`` lists."""
    train: TrainConfig
    """Its training."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the network that differ from its defaults."""
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    """The data."""


def split_named(name: str) -> Split | None:
    """The split of that name, or None."""
    return _SPLITS_BY_NAME.get(name)


def with_values(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """A configuration with some values replaced, checked by name and type.

    Args:
        config: to start from.
        values: by field, as YAML or JSON gives them.
        where: they come from, for the message.

    Raises:
        InputError: a field does not exist, or a value has the wrong type or is out of range.
    """
    hints = get_type_hints(type(config))
    known = [each.name for each in fields(config)]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}: unknown key '{name}'; it is one of {', '.join(known)}")
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: '{name}' is {value!r}; it must be {_described(hints[name])}")
    try:
        return replace(config, **values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def _described(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_described(option) for option in get_args(hint))
    return {int: "a whole number", float: "a number", type(None): "null"}[hint]


def _require(
    config: Any,
    name: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    value = getattr(config, name)
    if value is None or (math.isfinite(value) and at_least <= value <= at_most and above < value < below):
        return
    limits = {"at least": at_least, "at most": at_most, "above": above, "below": below}
    possible = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit))
    raise InputError(f"{name} is {value}; it must be {possible}")
