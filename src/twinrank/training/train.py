"""A training run from its files: begun, or gone on with."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twinrank.benchmark.fresh import FreshBatches, FreshPairs
from twinrank.benchmark.mnist import fetch_mnist
from twinrank.config import OPEN, OPEN_IDS, PAIRS_ONLY, Track, TrainConfig
from twinrank.core.device import autocast, available_threads, make_deterministic, pick_device, prepare_cpu
from twinrank.core.files import sha256
from twinrank.core.provenance import provenance
from twinrank.core.randomness import numpy_generator
from twinrank.core.torch_random import seed_torch
from twinrank.data.batches import Batches
from twinrank.data.pairs import PairData, load_pairs
from twinrank.errors import InputError, Interrupted
from twinrank.models.profile import parameters
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.runs import MAX_THREADS, RunFolder
from twinrank.training.checkpoint import read_state
from twinrank.training.loop import TrainState, fit
from twinrank.training.progress import EpochProgress
from twinrank.training.sinks import following
from twinrank.training.teacher import Teacher, read_teacher

_STANDARDISED_ON = 5_000
_COPIES = 12
"""The disk holds the weights, the checkpoint of thrice their size, and a new one of each before the old one goes."""


def train(
    name: str,
    train_file: Path,
    val_file: Path,
    out: Path,
    config: TrainConfig | None = None,
    options: Mapping[str, Any] | None = None,
    threads: int | None = None,
    command: str = "",
    log_to: Sequence[str] = (),
    progress: EpochProgress | None = None,
    teacher: Teacher | None = None,
) -> RunFolder:
    """Train a registered network.

    Args:
        name: of the network.
        train_file: labelled pairs that are fitted.
        val_file: labelled pairs that choose the epoch.
        out: run folder, new.
        config: of the training; the network's own by default.
        options: of the network, where they differ from its defaults.
        threads: of the CPU; all cores by default.
        command: recorded.
        log_to: sinks that follow, see :mod:`twinrank.training.sinks`.
        progress: is told of the epochs; by default they are shown.
        teacher: what a teacher said about the pairs that are fitted; kept in the run folder.

    Raises:
        InputError: anything that was given is wrong, another process trains the run, training diverges, or the disk is
            full.
        Interrupted: stopped by Ctrl-C.
    """
    found = entry(name)
    config = found.train if config is None else config
    threads = available_threads() if threads is None else threads
    require_trainable(config, teacher is not None, threads)
    # First of all: sums depend on the number of threads in their last bit.
    prepare_cpu(threads)
    pairs, val = load_data(train_file, val_file)
    if teacher is not None:
        teacher.require_rows(pairs)
    model = _new_model(name, pairs, config, options or {})
    run = RunFolder(Path(out))
    size = parameters(model)
    recorded = {
        "name": run.path.name,
        "track": _track(pairs, val, teacher=teacher, fresh=config.fresh),
        "seed": config.seed,
        "model": {"name": name, "options": found.complete(options or {})},
        "train": asdict(config),
        "data": {part: _described(data) for part, data in (("train", pairs), ("val", val))},
        "parameters": size,
        "threads": threads,
        "device": str(pick_device()),
        **provenance(command),
        "log_to": list(log_to),
    }
    if config.swap and model.antisymmetric:
        print(f"{name} is antisymmetric: --swap changes nothing for it", file=sys.stderr)
    with run.held(_COPIES * 4 * size):
        if teacher is not None:
            run.require_new()
            teacher.save(run.teacher)
            recorded["teacher"] = teacher.about | {"sha256": sha256(run.teacher)}
        run.create(recorded)
        try:
            _fit(run, model, pairs, val, config, recorded, progress, teacher)
        except InputError:
            # Before its first epoch has ended a run holds nothing, and must not be in the way of another try.
            if not (run.history.is_file() or run.checkpoint.is_file()):
                run.config.unlink(missing_ok=True)
            raise
        except KeyboardInterrupt as error:
            raise Interrupted(f"stopped before the first epoch. Go on with: twinrank resume {run.path}") from error
    return run


def resume(path: Path, progress: EpochProgress | None = None) -> RunFolder:
    """Go on with a run, from the files and with the threads that it began with.

    Args:
        path: of its folder.
        progress: is told of the epochs; by default they are shown.

    Raises:
        InputError: it is not a run folder, its data or its configuration have changed, or as :func:`train`.
        Interrupted: stopped by Ctrl-C.
    """
    run = RunFolder(Path(path))
    recorded = run.read_config()
    config = run.train_config()
    prepare_cpu(recorded["threads"])
    with run.held(_COPIES * 4 * recorded.get("parameters", 0)):
        loaded = []
        for part in ("train", "val"):
            file = recorded["data"][part]
            data = _labelled(Path(file["path"]), part)
            if data.sha256 != file["sha256"]:
                raise InputError(f"{file['path']}: has changed since the run began (SHA-256 differs); restore it")
            loaded.append(data)
        pairs, val = loaded
        teacher = _recalled(run, recorded, pairs)
        model = _new_model(recorded["model"]["name"], pairs, config, recorded["model"]["options"])
        _fit(run, model, pairs, val, config, recorded, progress, teacher)
    return run


def load_data(train_file: Path, val_file: Path) -> tuple[PairData, PairData]:
    """The pairs that a network is fitted to and those that choose the epoch.

    Raises:
        InputError: a file is refused or has no labels, or the two do not belong together.
    """
    pairs, val = _labelled(train_file, "train"), _labelled(val_file, "val")
    if pairs.xa.shape[1:] != val.xa.shape[1:]:
        raise InputError(f"{val_file}: images are {val.xa.shape[1:]} and those of {train_file} {pairs.xa.shape[1:]}")
    if pairs.sha256 == val.sha256:
        raise InputError(f"{val_file}: the same pairs as {train_file}; validate on pairs that are not trained on")
    return pairs, val


def require_trainable(config: TrainConfig, taught: bool, threads: int | None = None) -> None:
    """Make sure that nothing but the data stands in the way of a training.

    Args:
        config: of the training.
        taught: there is a teacher.
        threads: of the CPU; all cores by default.

    Raises:
        InputError: so many threads are impossible, the device has not the precision, or as :func:`require_told`.
    """
    if threads is not None:
        require_threads(threads)
    require_told(config, taught)
    autocast(pick_device(), config.precision)


def require_told(config: TrainConfig, taught: bool) -> None:
    """Make sure that someone tells what the network is to learn besides the labels.

    Args:
        config: of the training.
        taught: there is a teacher.

    Raises:
        InputError: nobody does, or there is a teacher that tells nothing, or that was asked about other pairs than
            those that are trained on.
    """
    if taught and config.fresh:
        raise InputError("fresh pairs are none that a teacher was asked about; train without fresh, or without it")
    if taught and not (config.distill_weight or config.level_weight):
        raise InputError("distill_weight and level_weight are 0, so that a teacher changes nothing; give one a weight")
    if config.distill_weight and not taught:
        raise InputError(
            f"distill_weight is {config.distill_weight}, but there is no teacher; name one with 'twinrank distill', or"
            " in a recipe"
        )
    if config.level_weight and not (taught or config.fresh):
        raise InputError(f"level_weight is {config.level_weight}, but only fresh pairs or a teacher tell levels")


def require_threads(threads: int) -> None:
    """Make sure that so many threads are possible.

    Raises:
        InputError: they are not.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"--threads: {threads} is not possible; use 1 to {MAX_THREADS}")


def holds(run: RunFolder, name: str, options: Mapping[str, Any], config: TrainConfig) -> bool:
    """Whether a run was asked for with this network, these options and this configuration."""
    recorded = run.read_config()
    model = {"name": name, "options": entry(name).complete(options)}
    # JSON has no tuples, and a run of an older version none of the newer values.
    return recorded["model"] == json.loads(json.dumps(model)) and run.train_config() == config


def finished(path: Path) -> bool:
    """Whether there is a run in this folder with nothing left to train."""
    run = RunFolder(Path(path))
    if not (run.config.is_file() and run.checkpoint.is_file() and run.weights.is_file()):
        return False
    return TrainState(tuple(read_state(run.checkpoint)["values"])).finished(run.train_config())


def _fit(
    run: RunFolder,
    model: SiameseNet,
    pairs: PairData,
    val: PairData,
    config: TrainConfig,
    recorded: dict[str, Any],
    progress: EpochProgress | None,
    teacher: Teacher | None,
) -> None:
    model.precision = config.precision
    # One view chooses the epoch: the others would cost a third of the training.
    model.views = 1
    model.set_recompute(config.checkpoint_stages)
    if config.compile:
        model.tower.compile()
    if config.deterministic:
        make_deterministic()
    description = recorded["model"] | _images(pairs)
    progress = EpochProgress(config.epochs) if progress is None else progress
    with following(run, recorded.get("log_to", ()), progress.say):
        batches = _batches(pairs, config, teacher, progress)
        fit(run, model.to(pick_device()), description, batches, val, config, progress)


def _batches(
    pairs: PairData, config: TrainConfig, teacher: Teacher | None, progress: EpochProgress
) -> Batches | FreshBatches:
    device = pick_device()
    if not config.fresh:
        if teacher is None:
            return Batches(pairs, config, device)
        return Batches(pairs, config, device, teacher.logit, teacher.levels)
    mnist = fetch_mnist(say=progress.say)
    if pairs.xa.shape[1:] != (1, *mnist.train_images.shape[1:]):
        raise InputError(
            f"{pairs.path}: images are {pairs.xa.shape[1:]}, but fresh pairs are of MNIST's digits; train without fresh"
        )
    # Rendered where torch's CPU generator is, so that the pairs do not depend on the device.
    return FreshBatches(FreshPairs(mnist), len(pairs), config, device)


def _recalled(run: RunFolder, recorded: dict[str, Any], pairs: PairData) -> Teacher | None:
    """What a teacher said when the run began; it is not asked again."""
    if "teacher" not in recorded:
        return None
    teacher = read_teacher(run.teacher, recorded["teacher"]["answered"], pairs)
    if sha256(run.teacher) != recorded["teacher"]["sha256"]:
        raise InputError(
            f"{run.teacher}: has changed since the run began (SHA-256 differs); restore it, or distill into another"
            " folder"
        )
    return teacher


def _new_model(name: str, pairs: PairData, config: TrainConfig, options: Mapping[str, Any]) -> SiameseNet:
    seed_torch(config.seed, name, "weights")
    model = create_model(name, **_images(pairs), options=options)
    generator = numpy_generator(config.seed, "standardise")
    rows = generator.choice(len(pairs), min(len(pairs), _STANDARDISED_ON), replace=False)
    model.encode.standardise(torch.from_numpy(np.concatenate([pairs.xa[rows], pairs.xb[rows]])))
    return model


def _images(pairs: PairData) -> dict[str, int]:
    return {"channels": pairs.xa.shape[1], "image_size": min(pairs.xa.shape[2:])}


def _labelled(path: Path, part: str) -> PairData:
    data = load_pairs(path)
    if data.y is None:
        raise InputError(f"{path}: has no labels; --{part} needs key 'y', or a CSV {path.stem}_labels.csv beside it")
    if len(data) < 2:
        raise InputError(f"{path}: has one pair; --{part} needs two or more")
    return data


def _track(*files: PairData, teacher: Teacher | None, fresh: bool) -> Track:
    fresh = fresh or any(str(name).startswith(OPEN_IDS) for data in files if data.id is not None for name in data.id)
    taught = teacher is not None and teacher.about["track"] != PAIRS_ONLY
    return OPEN if fresh or taught else PAIRS_ONLY


def _described(data: PairData) -> dict[str, Any]:
    return {"path": str(data.path), "sha256": data.sha256, "n": len(data)}
