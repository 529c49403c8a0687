"""What may differ when a run goes on: where its data is, and how many epochs it has."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twinrank.config import TrainConfig
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import REFERENCE, Source
from twinrank.errors import InputError
from twinrank.runs import RunFolder
from twinrank.training.state import TrainState, read_train_state

EARLIER_EPOCHS = "earlier_epochs"
"""Key of ``config.json``: the numbers of epochs that a run had before it was given others."""


def find_data(
    run: RunFolder, config: dict[str, Any], part: str, given: Path | Judgements | None, images: Path | None = None
) -> Judgements:
    """The pairs that a run began with, wherever they are now.

    Args:
        run: Run folder.
        config: Run configuration.
        part: Part of the data, ``train`` or ``val``.
        given: New place; None is the place in the run configuration.
        images: New place of the images that a table names; None is the place in the run configuration.

    Raises:
        InputError: The pairs or their images are not there, or are others.
    """
    file = config["data"][part]
    if given is None:
        if not Path(file["path"]).exists():
            raise InputError(
                f"{file['path']}: no such file or folder below {Path.cwd()}; {run.config} names it,"
                f" give its new place with `{part}`"
            )
        given = Path(file["path"])
        problem = "has changed since the run began (SHA-256 differs); restore it"
        if "source" in file:
            problem = "the table or one of its images has changed since the run began (SHA-256 differs); restore them"
    else:
        problem = f"other pairs than the run began with (SHA-256 differs); give the same pairs with `{part}`"
    source = _source(run, file, part, given, images)
    data = given if isinstance(given, Judgements) else load_pairs(Path(given), None, source)
    if file["sha256"] != data.sha256 and file.get("content_sha256") != data.content_sha256:
        raise InputError(f"{data.path}: {problem}")
    return replace(data, sha256=file["sha256"])


def _source(
    run: RunFolder, file: Mapping[str, Any], part: str, given: Path | Judgements, images: Path | None
) -> Source | None:
    """How a table is read, with its images where they are now; None for other pairs."""
    if "source" not in file or isinstance(given, Judgements):
        return None
    source = Source.from_json(file["source"], f"{run.config}: '{part}'")
    if images is not None:
        return replace(source, images=images)
    if Path(given).name.endswith(REFERENCE):  # It says itself where they are.
        return replace(source, images=None)
    if source.images is not None and not source.images.exists():
        raise InputError(
            f"{source.images}: no such folder below {Path.cwd()}; {run.config} names it, give its new place with"
            " `images`"
        )
    return source


def with_epochs(run: RunFolder, config: TrainConfig, epochs: int) -> TrainConfig:
    """The training values of a run with another number of epochs.

    Args:
        run: Run folder.
        config: Training values of the run.
        epochs: New number of epochs of the whole run.

    Raises:
        InputError: The epochs that are done would have been others in a run of that length.
    """
    changed = replace(config, epochs=epochs)
    state = read_train_state(run.checkpoint) if run.checkpoint.is_file() else TrainState()
    done = state.epoch
    if epochs == config.epochs or not done:
        return changed
    if epochs < done:
        raise InputError(f"{run.path}: `epochs` is {epochs}, but {done} epochs are done; use {done} or more")
    if state.stopped_early(config):
        raise InputError(f"{run.path}: stopped early after {done} epochs; train again with a longer `patience`")
    if problem := _length_dependence(config, done, epochs):
        raise InputError(
            f"{run.path}: {problem}, so the {done} epochs that are done do not fit to {epochs};"
            " train again with these epochs, or distill this run into a new one"
        )
    return changed


def _length_dependence(config: TrainConfig, done: int, epochs: int) -> str | None:
    """Why the finished epochs would be others in a run of another length; None if they go on well."""
    if config.schedule in ("cosine", "one_cycle"):
        return f"the schedule {config.schedule} depends on the length of the run"
    if config.easy_share < 1:
        return f"the curriculum (`easy_share` {config.easy_share:g}) depends on the length of the run"
    for name in ("warmup", "augment_from"):
        share = getattr(config, name)
        if min(done / config.epochs, done / epochs) < share:
            return f"`{name}` is {share:g} of the run and would not be over"
    return None
