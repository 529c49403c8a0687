"""What a training needs before it begins. Only the check of float16 loads torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from twinrank.config import TEACHER_WEIGHTS, RunSpec, TrainConfig
from twinrank.core.machine import require_threads
from twinrank.errors import InputError
from twinrank.models.names import FITTED_HEADS
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.state import read_train_state

if TYPE_CHECKING:
    from twinrank.data.judgements import Judgements

FEWEST_PAIRS = 2
"""Pairs that a training fits at least, and chooses its epoch on."""
_NAME_ONE = "name a teacher with 'twinrank distill', or in a recipe"


def require_trainable(config: TrainConfig, taught: bool, threads: int | None = None) -> None:
    """Make sure that nothing but the data stands in the way of a training.

    Args:
        config: Training values.
        taught: Whether there is a teacher.
        threads: Threads of the CPU; None is all cores.

    Raises:
        InputError: The threads are impossible, the device lacks the precision, or as :func:`require_targets`.
    """
    if threads is not None:
        require_threads(threads)
    require_targets(config, taught)
    if config.precision == "float16":
        from twinrank.core.device import autocast, pick_device

        autocast(pick_device(), config.precision)


def require_targets(config: TrainConfig, taught: bool) -> None:
    """Make sure that every loss with a weight has its targets.

    Args:
        config: Training values.
        taught: Whether there is a teacher.

    Raises:
        InputError: Targets are missing, or there is a teacher whose predictions would not be used.
    """
    if taught and config.fresh:
        raise InputError("a teacher predicts no fresh pairs; train without `fresh`, or without a teacher")
    if taught and not any(getattr(config, weight) for weight in TEACHER_WEIGHTS):
        *others, last = (f"`{weight}`" for weight in TEACHER_WEIGHTS)
        raise InputError(f"{', '.join(others)} and {last} are 0, so that a teacher changes nothing; set one of them")
    if config.distill_weight and not taught:
        raise InputError(f"`distill_weight` is {config.distill_weight}, but there is no teacher; {_NAME_ONE}")
    if config.level_weight and not (taught or config.fresh):
        raise InputError(
            f"`level_weight` is {config.level_weight}, but only fresh pairs or a teacher have target levels;"
            f" {_NAME_ONE}"
        )
    if config.subclass_weight and not (taught or config.fresh):
        raise InputError(
            f"`subclass_weight` is {config.subclass_weight}, but only fresh pairs or a teacher have subclasses;"
            f" {_NAME_ONE}"
        )
    if config.subclass_weight and config.freeze == "all":
        raise InputError(
            f"`subclass_weight` is {config.subclass_weight}, but it trains the tower, and `freeze` is all; leave out"
            " one of them"
        )


def latent_levels(spec: RunSpec) -> int:
    """Number of latent levels that a network finds.

    Args:
        spec: Network and options.

    Returns:
        The number; 0 for a network without any.

    >>> latent_levels(RunSpec("order_net", TrainConfig(), {"levels": 5}))
    5
    """
    options = entry(spec.model).complete(spec.options)
    return options.get("levels", 0) if options.get("head", "latent") == "latent" else 0


def require_levels(student: RunSpec, count: int, teacher: str) -> None:
    """Make sure that a student can learn from a teacher's levels, if it is to.

    Args:
        student: Network, options and training values.
        count: Number of the teacher's latent levels; 0 without any.
        teacher: Name or path of the teacher, for the message.

    Raises:
        InputError: The teacher has none, or more than the student.
    """
    train = student.train
    if not (train.level_weight or train.subclass_weight):
        return
    own = latent_levels(student) or train.auxiliary_levels
    if train.level_weight and count > own:
        raise InputError(
            f"{teacher}: has {count} levels, and the student has {own}; give it as many by its option `levels`, or by"
            " `auxiliary_levels`"
        )
    if not count:
        weight = "level_weight" if train.level_weight else "subclass_weight"
        raise InputError(
            f"{teacher}: `{weight}` needs a teacher's levels, and there are none: not of a stack or a network without"
            " latent levels, nor of several with unlike numbers of them; choose another one, or `distill_weight`"
        )


def require_val(spec: RunSpec, given: bool, taught: bool) -> None:
    """Make sure that what chooses the epoch is there, and that a head that is fitted has what it needs.

    Args:
        spec: Network, options and training values.
        given: Whether there is ``val``.
        taught: Whether there is a teacher.

    Raises:
        InputError: ``val`` is missing, or the head could not be fitted.
    """
    if entry(spec.model).by_epochs(spec.options):
        if not given:
            raise InputError(
                f"`val` is missing: it chooses the epoch; only a {' or '.join(FITTED_HEADS)} head does without it"
            )
        return
    head = entry(spec.model).complete(spec.options)["head"]
    if spec.train.freeze != "all":
        raise InputError(f"option 'head' is {head}, which needs a frozen tower; use `freeze` all, or another `head`")
    if taught:
        raise InputError(f"option 'head' is {head}, which learns from judgements alone; use another `head`")


def require_shareable(spec: RunSpec, several: bool) -> None:
    """Make sure that several processes can train a network together.

    Args:
        spec: Network, options and training values.
        several: Whether there are several.

    Raises:
        InputError: They cannot.
    """
    if not several:
        return
    problems = {
        "`freeze` is all, so the tower is not trained": spec.train.freeze == "all",
        "`compile` is set": spec.train.compile,
        "option 'trim' is set": bool(entry(spec.model).complete(spec.options).get("trim")),
    }
    if found := [problem for problem, there in problems.items() if there]:
        raise InputError(
            f"{' and '.join(found)}: several processes cannot share that; start one process, without torchrun"
        )


def require_together(train: Judgements, val: Judgements) -> None:
    """Make sure that pairs can choose the epoch of a network that is fitted to others.

    Args:
        train: Pairs that are fitted.
        val: Pairs that choose the epoch.

    Raises:
        InputError: They are the same pairs, or their images differ in shape or in how files were read.
    """
    shape, other = train.images.shape, val.images.shape
    if shape != other:
        raise InputError(f"{val.path}: images are {other} and those of {train.path} {shape}")
    readings = train.images.reading, val.images.reading
    if readings[0] is not None and readings[1] is not None:
        resized = train.images.resized or val.images.resized
        if differs := readings[1].difference(readings[0], resized):
            raise InputError(f"{val.path}: images were read with {differs}, as those of {train.path}; read both alike")
    if train.content_sha256 == val.content_sha256:
        raise InputError(f"{val.path}: the same pairs as {train.path}; validate on pairs that are not trained on")


def require_labelled(data: Judgements, part: str) -> None:
    """Make sure that a network can be fitted to pairs, or choose its epoch on them.

    Args:
        data: Pairs.
        part: ``train`` or ``val``, for messages.

    Raises:
        InputError: They have no labels, are ties alone, or too few.
    """
    path = data.path
    if data.y is None:
        raise InputError(f"{path}: has no labels; `{part}` needs key 'y', or a CSV {path.stem}_labels.csv beside it")
    if not data.decided.any():
        raise InputError(f"{path}: every pair is a tie; `{part}` needs pairs that were decided")
    if len(data) < FEWEST_PAIRS:
        raise InputError(f"{path}: has one pair; `{part}` needs {FEWEST_PAIRS} or more")


def require_augmentable(config: TrainConfig, data: Judgements) -> None:
    """Make sure that the images are such as the augmentation needs.

    Args:
        config: Training values.
        data: Pairs that are fitted.

    Raises:
        InputError: A crop is larger than the images, colour is to be changed in grey images, or there are fresh pairs,
            which are not cropped.
    """
    channels, height, width = data.images.shape
    if config.crop > min(height, width):
        raise InputError(f"{data.path}: images are {height} x {width} pixels, so `crop` {config.crop} is too large")
    if config.crop and config.fresh:
        raise InputError("fresh pairs are not cropped; train without `crop` or without `fresh`")
    if channels == 1 and config.saturation + config.hue > 0:
        raise InputError(f"{data.path}: images are grey, so `saturation` and `hue` must be 0")


def holds(run: RunFolder, spec: RunSpec) -> bool:
    """Whether a run folder holds a training of this network, these options and these training values."""
    model, found = run.read_config()["model"], entry(spec.model)
    # JSON has no tuples, and a run of an older version none of the newer options and values.
    defaults, wanted = (json.loads(json.dumps(each)) for each in (found.options, found.complete(spec.options)))
    same = model["name"] == found.name and defaults | model["options"] == wanted
    return same and run.train_config() == spec.train


def finished(path: Path) -> bool:
    """Whether there is a run in this folder with nothing left to train."""
    # The command line asks for the checks alone, and does without NumPy then.
    from twinrank.inference.out_of_fold import OutOfFold

    run = RunFolder(Path(path))
    if not (run.config.is_file() and run.weights.is_file()):
        return False
    if not run.checkpoint.is_file():
        # A linear head has no epochs. The prior of its scores is written last, if images recur.
        kept = run.out_of_fold
        return kept.is_file() and (run.score_prior.is_file() or not OutOfFold.load(kept).recurring)
    return read_train_state(run.checkpoint).finished(run.train_config())
