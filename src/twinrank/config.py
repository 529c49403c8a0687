"""Frozen dataclasses: the only source of defaults. Command-line flags and recipes are derived from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from twinrank.core.messages import quoted
from twinrank.core.values import require_range, require_types
from twinrank.errors import InputError, nearest

Split = Literal["train", "val", "test_public", "test_private"]
Track = Literal["pairs-only", "open"]
"""Data that a network is trained on for the benchmark: the pairs of its training file alone, or other data, too, such
as clean digits and their classes."""
Monitor = Literal["accuracy", "f1", "log_loss"]
OptimizerName = Literal["adamw", "muon"]
Schedule = Literal["cosine", "one_cycle", "plateau", "constant"]
PairLoss = Literal["bce", "focal"]
Mode = Literal["holdout", "oof"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Freeze = Literal["none", "stages", "all"]

_LOWER_IS_BETTER: set[Monitor] = {"log_loss"}

SPLITS: tuple[Split, ...] = get_args(Split)
PAIRS_ONLY: Track = "pairs-only"
OPEN: Track = "open"
_SPLITS_BY_NAME: dict[str, Split] = {split: split for split in SPLITS}
MAX_SEVERITY = 6
SMALLEST, LARGEST = 8, 512
"""Accepted heights and widths of one image, in pixels."""
MAX_PAIRS = 10_000_000
"""Ids have seven digits."""
MAX_EPOCHS = 1_000_000
"""Also of steps that are accumulated, and of epochs without a better value."""
MAX_LR = 1e35
"""Beyond it, a product with a learning rate is no float32 number."""
OPEN_IDS = "OPEN_"
"""How ids of fresh pairs begin: whatever is trained on them is of the open track."""
DISTILL_WEIGHT = 0.7
"""Weight of a teacher where there is one."""
MAX_LOSS_WEIGHT = 1000.0
"""Beyond it, a loss leaves nothing of the others."""
TEACHER_WEIGHTS = ("distill_weight", "level_weight", "subclass_weight")
"""Weights of the losses whose targets a teacher predicts."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """The occluded-digit benchmark. The defaults are the benchmark proper.

    Raises:
        InputError: A value has the wrong type or is out of range.
    """

    seed: int = 42
    """Seed of train. The seeds of val, test_public and test_private are 1, 2 and 3 higher."""
    severity: int = 6
    """Strength of the corruption, 0 (none) to 6, of all splits without a severity of their own."""
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
        require_types(self)
        require_range(self, "seed", at_least=0)
        require_range(self, "weight_diff1", at_least=0, at_most=1)
        for part in ("train", "val", "public", "private"):
            require_range(self, f"pairs_{part}", at_least=1, at_most=MAX_PAIRS)
            require_range(self, f"severity_{part}", at_least=0, at_most=MAX_SEVERITY)
        require_range(self, "severity", at_least=0, at_most=MAX_SEVERITY)

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
class FreshConfig:
    """Freshly rendered pairs of the open track.

    Raises:
        InputError: A value has the wrong type or is out of range.
    """

    pairs: int = BenchmarkConfig.pairs_train
    """Number of pairs."""
    seed: int = BenchmarkConfig.seed
    """Seed of all random numbers."""
    severity: int = BenchmarkConfig.severity
    """Strength of the corruption, 0 (none) to 6."""
    weight_diff1: float = BenchmarkConfig.weight_diff1
    """Probability that a pair is drawn as neighbours, such as 4 and 5."""

    def __post_init__(self) -> None:
        require_types(self)
        require_range(self, "pairs", at_least=1, at_most=MAX_PAIRS)
        require_range(self, "seed", at_least=0)
        require_range(self, "severity", at_least=0, at_most=MAX_SEVERITY)
        require_range(self, "weight_diff1", at_least=0, at_most=1)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Each model of the registry brings the values that suit it.

    Raises:
        InputError: A value has the wrong type or is out of range.
    """

    epochs: int = 30
    """Number of epochs. An epoch has as many pairs as the training file."""
    batch_size: int = 128
    """Number of pairs in a batch."""
    accumulate: int = 1
    """Number of batches whose gradients are averaged for one step."""
    optimizer: OptimizerName = "adamw"
    """Optimiser of convolutions and linear layers: adamw, or muon, which makes their updates orthogonal. AdamW moves
    all other parameters in both cases."""
    lr: float = 1e-3
    """Largest learning rate."""
    weight_decay: float = 0.05
    """Decoupled weight decay of convolutions and linear layers; other parameters have none."""
    beta1: float = 0.9
    """Decay of AdamW's running mean of gradients."""
    beta2: float = 0.99
    """Decay of AdamW's running mean of squared gradients."""
    schedule: Schedule = "cosine"
    """Learning rate after the warm-up. cosine falls to zero, and constant stays. plateau cuts it when the monitored
    metric stalls. one_cycle is Smith's, and moves beta1 the other way."""
    warmup: float = 0.2
    """Share of the run in which the learning rate rises."""
    plateau_factor: float = 0.5
    """Factor by which plateau multiplies the learning rate."""
    plateau_patience: int = 3
    """Number of epochs without a better value that plateau allows."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; a larger gradient is scaled down to it."""
    ema: float = 0.0
    """Decay of a running mean of the weights at each step; 0 is no mean. The mean is what is evaluated and kept."""
    loss: PairLoss = "bce"
    """Loss of a pair: bce is cross-entropy, and focal gives a pair more weight the more wrong its prediction is."""
    focal_alpha: float = 1.0
    """Factor of the focal loss."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss; 0 is cross-entropy."""
    rater_bias: bool = False
    """Whether each rater's preference for one side is fitted, too. Prediction leaves it out."""
    label_smoothing: float = 0.0
    """Smoothing of labels in the pair loss. Labels 0 and 1 become smoothing / 2 and 1 - smoothing / 2."""
    distill_weight: float = 0.0
    """Share of the pair loss that compares logits with a teacher's instead of with labels; 0 is no teacher. 'twinrank
    distill' uses 0.7. A run of a recipe that has a teacher sets its own."""
    distill_temperature: float = 3.0
    """Number that divides the logits of teacher and network before they are compared."""
    contrastive_weight: float = 0.0
    """Weight of the contrastive term, which predicts which images of a batch were paired. A network without latent
    levels gets an auxiliary head for it."""
    balance_weight: float = 0.0
    """Weight of the balance term, which keeps every latent level in use."""
    auxiliary_levels: int = 10
    """Latent levels of the auxiliary head."""
    fresh: bool = False
    """Open track: whether each epoch has new pairs, rendered from MNIST's clean training digits. They replace the pairs
    of the training file, and are as many. Curriculum and augmentation apply to pairs of the file alone."""
    level_weight: float = 0.0
    """Weight of the cross-entropy between latent levels and target levels. Target levels of fresh pairs are the classes
    of their digits. Those of a teacher are its latent levels, corrected by the label of the pair."""
    subclass_weight: float = 0.0
    """Weight of the cross-entropy of an auxiliary head that predicts the subclass of an image. Fresh pairs have
    subclasses: the digits of a class are divided by how they look before they are corrupted. A teacher has some, too:
    images of a level are divided by their features."""
    subclasses: int = 50
    """Number of subclasses of each class, or of each level of a teacher."""
    easy_share: float = 1.0
    """Share of the pairs with which training begins, those that show most; 1 is all pairs from the start."""
    easy_until: float = 0.5
    """Share of the run after which all pairs are in use."""
    swap: bool = False
    """Augmentation: whether a random half of the pairs is swapped, with their labels."""
    crop: int = 0
    """Augmentation: side in pixels of a random crop of each image, which is not rescaled; 0 is no crop. Training sees
    crops alone, from the first epoch on, and prediction the whole images. The tower is built for images of this
    side."""
    flip: bool = False
    """Augmentation: whether a random half of the images is mirrored, left to right."""
    flip_vertical: bool = False
    """Augmentation: whether a random half of the images is mirrored, top to bottom."""
    shift: int = 0
    """Augmentation: largest move along each axis, in whole pixels."""
    rotate: float = 0.0
    """Augmentation: largest rotation, in degrees."""
    translate: float = 0.0
    """Augmentation: largest translation along each axis, as a share of the side."""
    crop_scale: float = 1.0
    """Augmentation: smallest area of a crop, as a share of the image; 1 is no crop. A crop is enlarged to full size."""
    randaugment: int = 0
    """Augmentation: number of operations of RandAugment on each image."""
    magnitude: float = 9.0
    """Strength of RandAugment, 0 to 30."""
    cutout: int = 0
    """Augmentation: number of additional covered rectangles, with sides up to half the image's."""
    lines: int = 0
    """Augmentation: number of additional covered lines, up to a tenth of a side wide."""
    brightness: float = 0.0
    """Augmentation: largest relative change of the pixels; 0.2 multiplies them by 0.8 to 1.2."""
    contrast: float = 0.0
    """Augmentation: largest relative change of the pixels' distance from the mean of the image."""
    saturation: float = 0.0
    """Augmentation: largest relative change of the pixels' distance from grey, for images in colour."""
    hue: float = 0.0
    """Augmentation: largest turn of the colours, as a share of the circle of colours, for images in colour."""
    augment_from: float = 0.0
    """Share of the run after which augmentation begins."""
    monitor: Monitor = "accuracy"
    """Metric on the validation file. It chooses the best epoch, can stop training early, and drives plateau."""
    patience: int | None = None
    """Number of epochs without a better value after which training stops; None is never."""
    min_delta: float = 0.0
    """Improvement of the metric that patience requires."""
    freeze: Freeze = "none"
    """Part of the tower that training keeps as it is: none, all stages of the backbone but the last (stages), or all of
    the tower. Features of a frozen tower are computed once, and cached."""
    precision: Precision = "auto"
    """Arithmetic of the tower. auto is bfloat16 where the processor is faster in it, else float32. float16 scales
    gradients, and needs CUDA."""
    compile: bool = False
    """Whether torch.compile compiles the tower, which needs a C++ compiler."""
    checkpoint_stages: bool = False
    """Whether the backward pass computes the tower's stages again instead of keeping them. Training needs less memory,
    and a third more time."""
    deterministic: bool = False
    """Whether to refuse operations that may give other bits the next time. It matters on a GPU."""
    seed: int = 42
    """Seed of all random numbers of the run."""

    def __post_init__(self) -> None:
        require_types(self)
        require_range(self, "batch_size", at_least=2)
        require_range(self, "batch_size", at_most=MAX_PAIRS)
        for name in ("epochs", "accumulate", "plateau_patience", "patience"):
            require_range(self, name, at_least=1)
            require_range(self, name, at_most=MAX_EPOCHS)
        for name in ("lr", "clip_norm", "distill_temperature"):
            require_range(self, name, above=0)
        require_range(self, "lr", at_most=MAX_LR)
        for name in ("weight_decay", "focal_alpha", "focal_gamma", "min_delta", "seed"):
            require_range(self, name, at_least=0)
        require_range(self, "shift", at_least=0, at_most=LARGEST)
        for name in ("brightness", "contrast", "saturation"):
            require_range(self, name, at_least=0, at_most=10)
        for name in ("contrastive_weight", "balance_weight", "level_weight", "subclass_weight"):
            require_range(self, name, at_least=0, at_most=MAX_LOSS_WEIGHT)
        for name in ("warmup", "label_smoothing", "distill_weight", "easy_until", "translate", "augment_from"):
            require_range(self, name, at_least=0, at_most=1)
        for name in ("easy_share", "crop_scale"):
            require_range(self, name, above=0, at_most=1)
        for name in ("beta1", "beta2", "ema"):
            require_range(self, name, at_least=0, below=1)
        require_range(self, "plateau_factor", above=0, below=1)
        require_range(self, "magnitude", at_least=0, at_most=30)
        require_range(self, "hue", at_least=0, at_most=0.5)
        require_range(self, "crop", at_least=SMALLEST if self.crop else 0, at_most=LARGEST)
        require_range(self, "auxiliary_levels", at_least=2, at_most=1000)
        require_range(self, "subclasses", at_least=2, at_most=1000)
        require_range(self, "rotate", at_least=0, at_most=180)
        for name in ("randaugment", "cutout", "lines"):
            require_range(self, name, at_least=0, at_most=100)

    @property
    def trained_subclasses(self) -> int:
        """Number of subclasses of each class or level that the training uses; 0 where their loss has no weight."""
        return self.subclasses if self.subclass_weight else 0

    def scores(self, values: Sequence[float]) -> list[float]:
        """Values of the monitored metric, the higher the better."""
        return [-value if self.monitor in _LOWER_IS_BETTER else value for value in values]

    def best(self, values: Sequence[float]) -> int:
        """Place of the best value of the monitored metric, the first of equal ones; there is one or more."""
        scores = self.scores(values)
        return scores.index(max(scores))


@dataclass(frozen=True)
class RunSpec:
    """A network, its training values and its options: what one training is."""

    model: str
    """Name of a network that ``twinrank models`` lists."""
    train: TrainConfig
    """Training values."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the network that differ from its defaults."""
    teachers: tuple[str, ...] = ()
    """Runs of the same recipe, above this one, that teach it."""


@dataclass(frozen=True)
class GridSpec:
    """Base models, and how they are stacked."""

    mode: Mode
    """How rows come to be out-of-fold."""
    runs: dict[str, RunSpec]
    """Base models by name."""
    folds: int = 5
    """Number of folds of the rows that are stacked."""
    stop_share: float = 0.1
    """Share of train that chooses epochs, and is not fitted."""
    seed: int = 42
    """Seed of the folds."""

    def __post_init__(self) -> None:
        require_range(self, "stop_share", at_least=0, below=1)
        require_range(self, "seed", at_least=0)


@dataclass(frozen=True)
class Recipe:
    """Everything from nothing to a report, for ``twinrank run``."""

    runs: dict[str, RunSpec]
    """Trainings by the name of their folder; the one name "" is the recipe's own folder."""
    grids: dict[str, GridSpec] = field(default_factory=dict)
    """Instead of trainings: stacks by the name of their folder; "." is the recipe's own folder."""
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    """The benchmark that the data is."""


def split_named(name: str) -> Split | None:
    """The split of that name, or None."""
    return _SPLITS_BY_NAME.get(name)


def require_splits(names: Iterable[str]) -> list[Split]:
    """The splits of these names.

    Raises:
        InputError: A name is no split's.
    """
    splits: list[Split] = []
    for name in names:
        if (split := split_named(name)) is None:
            raise InputError(f"`splits`: {quoted(name)} is not a file of the benchmark{nearest(name, SPLITS)}")
        splits.append(split)
    return splits
