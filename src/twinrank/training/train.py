"""Begin a training run, or go on with it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.benchmark.fresh import FreshBatches, FreshPairs
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.core.device import make_deterministic, pick_device, prepare_cpu
from twinrank.core.files import sha256, write_json
from twinrank.core.machine import require_threads
from twinrank.core.messages import counted
from twinrank.core.provenance import provenance
from twinrank.data.batches import Batches
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.overlap import images_in_rows, training_warnings
from twinrank.data.source import Source
from twinrank.errors import InputError, Interrupted
from twinrank.models.comparators import LinearScore, MixedHead
from twinrank.models.profile import parameters
from twinrank.models.registry import entry
from twinrank.models.siamese import SiameseNet
from twinrank.runs import RunFolder
from twinrank.training.checkpoint import require_network
from twinrank.training.checks import (
    require_augmentable,
    require_labelled,
    require_shareable,
    require_together,
    require_trainable,
    require_val,
)
from twinrank.training.defaults import FEW_STEPS, suited
from twinrank.training.description import described
from twinrank.training.finish import finish
from twinrank.training.fitted_head import fit_head
from twinrank.training.frozen import frozen_images
from twinrank.training.hooks import Hooks
from twinrank.training.loop import Training
from twinrank.training.new_network import begin_again, image_kind, new_network
from twinrank.training.progress import EpochProgress
from twinrank.training.ranks import ALONE, Ranks
from twinrank.training.resumption import EARLIER_EPOCHS, find_data, with_epochs
from twinrank.training.shared_layers import share_layers
from twinrank.training.sinks import following, require_sinks
from twinrank.training.teacher import Teacher, read_teacher

_COPIES = 12
"""The disk holds the weights, the checkpoint of thrice their size, and a new one of each before the old one goes."""


def train(
    spec: RunSpec,
    train: Path | Judgements,
    val: Path | Judgements | None,
    out: Path,
    *,
    teacher: Teacher | None = None,
    source: Source | None = None,
    stated: Collection[str] | None = None,
    log_to: Sequence[str] = (),
    hooks: Hooks | None = None,
    context: Context = Context(),
    ranks: Ranks = ALONE,
) -> RunFolder:
    """Train a registered network.

    Args:
        spec: Network, options and training values.
        train: Labelled pairs that are fitted.
        val: Labelled pairs that choose the epoch. None only for a linear or a mixed head, which is cross-validated.
        out: Run folder, new.
        teacher: Teacher's predictions for the pairs that are fitted; kept in the run folder.
        source: Where the images of tables are, and how they are read.
        stated: Names of training values that stay as they are. The others may change to suit few images, see
            :func:`twinrank.training.defaults.suited`. None is all of them.
        log_to: Sinks that follow, see :mod:`twinrank.training.sinks`.
        hooks: Calls to the outside; by default the epochs are shown on standard error.
        context: Listeners, threads and command.
        ranks: Processes that train together, all of which call this. The first one writes.

    Raises:
        InputError: Something is wrong, another process trains the run, training diverges, or the disk is full.
        Interrupted: Ctrl-C stopped the training.
    """
    run = RunFolder(Path(out))
    with ExitStack() as held:
        with ranks.agreed():
            threads = ranks.threads() if context.threads is None else context.threads
            require_trainable(spec.train, teacher is not None, threads)
            require_val(spec, val is not None, teacher is not None)
            require_shareable(spec, ranks.several)
            require_sinks(log_to)
            # First of all: sums depend on the number of threads in their last bit.
            prepare_cpu(threads)
            pairs, stopped_on = _loaded(train, val, preferring(entry(spec.model).size, source), context)
            spec = _suited(spec, stated, pairs, ranks)
            if teacher is not None:
                teacher.require_rows(pairs)
            model, load = new_network(spec, pairs), entry(spec.model).pretrained
            began_with, size = None if load is None else load(model), parameters(model)
            about = described(spec, pairs, stopped_on, teacher, size, began_with)
            description = {"name": run.path.name, **about, "threads": threads, "device": str(pick_device())}
            description |= {**provenance(context.command), **ranks.described(), "log_to": list(log_to)}
            description |= _warned(spec, model, pairs, stopped_on, ranks)
            if ranks.first:
                held.enter_context(run.held(_COPIES * 4 * size))
                _begin(run, description, pairs, teacher)
        with _nothing_left_of_a_failure(run) if ranks.first else nullcontext():
            _fit(run, model, pairs, stopped_on, spec.train, description, hooks, teacher, ranks)
    return run


def _begin(run: RunFolder, description: dict[str, Any], pairs: Judgements, teacher: Teacher | None) -> None:
    """Write what a run has before its first epoch; the description gets the digest of the teacher's predictions."""
    if teacher is not None:
        run.require_new()
        teacher.save(run.teacher)
        description["teacher"] = teacher.about | {"sha256": sha256(run.teacher)}
    run.create(description)
    run.write_train_images(images_in_rows(pairs))


def _suited(spec: RunSpec, stated: Collection[str] | None, pairs: Judgements, ranks: Ranks) -> RunSpec:
    """The values that suit the pairs, and a line on standard error about those that differ."""
    config, lines = (spec.train, []) if stated is None else suited(spec, stated, pairs)
    for line in lines:
        ranks.note(line)
    require_augmentable(config, pairs)
    return replace(spec, train=config)


def _warned(
    spec: RunSpec, model: SiameseNet, pairs: Judgements, val: Judgements | None, ranks: Ranks
) -> dict[str, list[str]]:
    """Print what a reader of the results must know, and give it for the run configuration."""
    warnings = training_warnings(pairs, val, model.antisymmetric or spec.train.swap)
    for line in warnings:
        ranks.note(line)
    if spec.train.swap and model.antisymmetric:
        ranks.note(f"{spec.model} is antisymmetric: `swap` changes nothing for it")
    return {"warnings": warnings} if warnings else {}


@contextmanager
def _nothing_left_of_a_failure(run: RunFolder) -> Iterator[None]:
    """A block that trains. A run without a finished epoch holds nothing, and leaves its folder to a new try."""
    try:
        yield
    except InputError:
        if not (run.history.is_file() or run.checkpoint.is_file()):
            for file in (run.config, run.images):
                file.unlink(missing_ok=True)
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped before the first epoch. Go on with: twinrank resume {run.path}") from error


def resume(
    run: Path,
    *,
    train: Path | Judgements | None = None,
    val: Path | Judgements | None = None,
    images: Path | None = None,
    epochs: int | None = None,
    hooks: Hooks | None = None,
    context: Context = Context(),
    ranks: Ranks = ALONE,
) -> RunFolder:
    """Go on with a run, with the pairs and the threads that it began with.

    Args:
        run: Run folder.
        train: New place of the pairs that are fitted; None is where they were.
        val: New place of the pairs that choose the epoch; None is where they were.
        images: New place of the images that tables name; None is where they were.
        epochs: New number of epochs of the whole run; None keeps it. A schedule or a curriculum that depends on the
            length of the run allows no other number.
        hooks: Calls to the outside; by default the epochs are shown on standard error.
        context: Listener.
        ranks: Processes that train together, as for :func:`train`; there may be more or fewer than before.

    Raises:
        InputError: It is not a run folder, its data or its configuration have changed, its epochs cannot be changed, or
            as :func:`train`.
        Interrupted: Ctrl-C stopped the training.
    """
    folder = RunFolder(Path(run))
    with ExitStack() as held:
        with ranks.agreed():
            configuration = folder.read_config()
            config = folder.train_config()
            require_threads(configuration["threads"])
            require_sinks(configuration.get("log_to", ()))
            require_shareable(_spec(configuration, config), ranks.several)
            prepare_cpu(configuration["threads"])
            if ranks.first:
                held.enter_context(folder.held(_COPIES * 4 * configuration.get("parameters", 0)))
            data = _found(folder, configuration, {"train": train, "val": val}, images)
            pairs, stopped_on = _loaded(data["train"], data.get("val"))
            teacher = _kept_teacher(folder, configuration, config, pairs)
            if epochs is not None:
                config = with_epochs(folder, config, epochs)
            changed = _changed_configuration(configuration, data, config, images)
            if folder.checkpoint.is_file():
                require_network(folder.checkpoint, configuration["model"] | image_kind(pairs, config))
            model = new_network(_spec(configuration, config), pairs)
            if "pretrained" in configuration and not folder.checkpoint.is_file():
                begin_again(model, configuration["pretrained"])
        with ranks.agreed():
            # All ranks have read it by now.
            if ranks.first and changed != configuration:
                write_json(folder.config, changed)
                context.say(f"{folder.config}: has the new places and epochs")
        _fit(folder, model, pairs, stopped_on, config, changed, hooks, teacher, ranks)
    return folder


def _found(
    run: RunFolder, configuration: dict[str, Any], given: dict[str, Path | Judgements | None], images: Path | None
) -> dict[str, Judgements]:
    """The pairs that a run began with, by part."""
    parts = configuration["data"]
    if images is not None and not any("source" in file for file in parts.values()):
        raise InputError(f"{run.path}: was trained on no tables, so `images` has no meaning; leave it out")
    return {part: find_data(run, configuration, part, given[part], images) for part in parts}


def _spec(configuration: dict[str, Any], config: TrainConfig) -> RunSpec:
    return RunSpec(configuration["model"]["name"], config, configuration["model"]["options"])


def _changed_configuration(
    configuration: dict[str, Any], data: dict[str, Judgements], config: TrainConfig, images: Path | None
) -> dict[str, Any]:
    """A run configuration with the places of its data and the number of its epochs as they are now."""
    places = {part: {**configuration["data"][part], "path": str(pairs.path)} for part, pairs in data.items()}
    for file in places.values():
        if images is not None and "source" in file:
            file["source"] = file["source"] | {"images": str(images)}
    changed = configuration | {"data": configuration["data"] | places}
    before = configuration["train"].get("epochs", TrainConfig.epochs)
    if config.epochs != before:
        changed["train"] = configuration["train"] | {"epochs": config.epochs}
        changed[EARLIER_EPOCHS] = [*configuration.get(EARLIER_EPOCHS, []), before]
    return changed


def preferring(size: int | tuple[int, int] | None, source: Source | None) -> Source | None:
    """How tables are read for a network that prefers a size; one that is stated comes first.

    Args:
        size: Size that the network prefers, see :attr:`twinrank.models.registry.ModelEntry.size`.
        source: Where the images of tables are, and how they are read.
    """
    return source if size is None else replace(source or Source(), preferred_size=size)


def _loaded(
    train: Path | Judgements, val: Path | Judgements | None, source: Source | None = None, context: Context = Context()
) -> tuple[Judgements, Judgements | None]:
    if val is None:
        return _labelled(train, "train", source, context), None
    return load_data(train, val, source, context)


def load_data(
    train: Path | Judgements, val: Path | Judgements, source: Source | None = None, context: Context = Context()
) -> tuple[Judgements, Judgements]:
    """The pairs that a network is fitted to and those that choose the epoch, whose images are read alike.

    Args:
        train: Labelled pairs that are fitted.
        val: Labelled pairs that choose the epoch.
        source: Where the images of tables are, and how they are read.
        context: Listeners.

    Raises:
        InputError: A file is refused or has no labels, or the two do not belong together.
    """
    pairs = _labelled(train, "train", source, context)
    if pairs.images.reading is not None:
        source = replace(source or Source(), reading=pairs.images.reading)
    stopped_on = _labelled(val, "val", source, context)
    require_together(pairs, stopped_on)
    return pairs, stopped_on


def _fit(
    run: RunFolder,
    model: SiameseNet,
    pairs: Judgements,
    val: Judgements | None,
    config: TrainConfig,
    configuration: dict[str, Any],
    hooks: Hooks | None,
    teacher: Teacher | None,
    ranks: Ranks,
) -> None:
    model.precision = config.precision
    model.set_freeze(config.freeze)
    if config.freeze != "all":
        # One view chooses the epoch: the others would cost a third of the training.
        model.views, model.mirror, model.turned = 1, False, False
    model.set_recompute(config.checkpoint_stages)
    if config.compile:
        model.tower.compile()
    if config.deterministic:
        make_deterministic()
    description = configuration["model"] | image_kind(pairs, config)
    hooks = (EpochProgress(config.epochs) if hooks is None else hooks) if ranks.first else Hooks()
    model = model.to(pick_device())
    with ranks.agreed():
        share_layers(model.tower, ranks)
    with following(run, configuration.get("log_to", ()) if ranks.first else (), hooks.say):
        if isinstance(model.comparator, LinearScore | MixedHead):
            fit_head(run, model, description, pairs, config, hooks)
        else:
            assert val is not None
            features = frozen_images(model, pairs.images, config, hooks.progress)
            ranks.require_alike((pairs.sha256, val.sha256), "processes were given other pairs than the first one")
            batches = _batches(pairs, config, teacher, hooks, features, ranks)
            Training(run, model, description, batches, val, config, hooks, ranks).fit()
    for warning in finish(run, pairs, val, config) if ranks.first else ():
        hooks.say(warning)


def _batches(
    pairs: Judgements,
    config: TrainConfig,
    teacher: Teacher | None,
    hooks: Hooks,
    features: np.ndarray | None,
    ranks: Ranks,
) -> Batches | FreshBatches:
    device, part = pick_device(), ranks.part if ranks.several else None
    if not config.fresh:
        predicted = () if teacher is None else (teacher.logit, teacher.levels, teacher.subclasses)
        batches = Batches(pairs, config, device, *predicted, features=features, part=part)
        steps = batches.steps(1)
        if pairs.shared and steps * config.epochs < FEW_STEPS * config.accumulate:
            hooks.say(
                f"an epoch is {counted(steps, 'step', 'steps')}, since each image counts once; {config.epochs} epochs"
                f" are few to learn from, so train for {-(-FEW_STEPS * config.accumulate // steps)} or more"
            )
        return batches
    mnist = fetch_mnist(say=hooks.say)
    if pairs.images.shape != (1, *mnist.train_images.shape[1:]):
        raise InputError(
            f"{pairs.path}: images are {pairs.images.shape}, but fresh pairs are of MNIST's digits; train without"
            " `fresh`"
        )
    # A GPU renders its pairs itself; MPS lacks some of the operations.
    rendered_on = device if device.type == "cuda" else "cpu"
    return FreshBatches(FreshPairs(mnist, device=rendered_on), len(pairs), config, device, part)


def _kept_teacher(
    run: RunFolder, configuration: dict[str, Any], config: TrainConfig, pairs: Judgements
) -> Teacher | None:
    """The teacher's predictions from when the run began; the teacher predicts no second time."""
    if "teacher" not in configuration:
        return None
    teacher = read_teacher(run.teacher, configuration["teacher"]["identity"], pairs, config.trained_subclasses)
    if sha256(run.teacher) != configuration["teacher"]["sha256"]:
        raise InputError(
            f"{run.teacher}: has changed since the run began (SHA-256 differs); restore it, or distill into another"
            " folder"
        )
    return teacher


def _labelled(given: Path | Judgements, part: str, source: Source | None, context: Context) -> Judgements:
    data = given if isinstance(given, Judgements) else load_pairs(Path(given), None, source, context)
    require_labelled(data, part)
    return data
