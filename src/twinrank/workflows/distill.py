"""A student that learns from a teacher, a network or a stack, which first predicts the training pairs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.messages import counted
from twinrank.core.run_records import uses_as_json, uses_in_words
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.data.subclasses import subclasses
from twinrank.errors import InputError
from twinrank.inference.load import load_predictor
from twinrank.inference.predictor import Predictor
from twinrank.runs import RunFolder
from twinrank.training.checks import require_augmentable, require_levels, require_trainable, require_val
from twinrank.training.hooks import Hooks
from twinrank.training.jobs import Job, train_job
from twinrank.training.teacher import Teacher, read_teacher
from twinrank.training.train import load_data, train


def distill(
    teachers: Sequence[Path],
    student: RunSpec,
    train_file: Path | Judgements,
    val_file: Path | Judgements,
    out: Path,
    *,
    source: Source | None = None,
    log_to: Sequence[str] = (),
    hooks: Hooks | None = None,
    context: Context = Context(),
) -> RunFolder:
    """Train a network on labels and on a teacher's predictions of the same pairs.

    The student learns from its logits (:func:`twinrank.training.objectives.soft_loss`), from its latent levels
    (:meth:`twinrank.models.comparators.LatentOrder.inferred`), or from both. An auxiliary head may also learn which
    images of a level look alike to the teacher: the level is divided by the teacher's features into subclasses.

    The teacher predicts once, and its predictions are kept in the run folder.
    :func:`twinrank.training.train.resume` needs nothing else of it. Neither does a second call before training begins.

    Args:
        teachers: Run folders and stack folders; several teach by their mean.
        student: Network, its options and its training, with ``distill_weight``, ``level_weight`` or
            ``subclass_weight``.
        train_file: Labelled pairs that are fitted, and that the teacher predicts.
        val_file: Labelled pairs that choose the epoch.
        out: New run folder.
        source: Where the images of tables are, and how they are read.
        log_to: Sinks that follow, see :mod:`twinrank.training.sinks`.
        hooks: Calls of the training to the outside; by default the epochs are shown on standard error.
        context: Listeners, command and threads.

    Raises:
        InputError: As :func:`twinrank.training.train.train`. Or a teacher is neither a run nor a stack, cannot predict
            the pairs, or has no predictions that the student uses.
        Interrupted: Ctrl-C stopped the training.
    """
    run = RunFolder(Path(out))
    run.require_new()
    require_trainable(student.train, taught=True, threads=context.threads)
    require_val(student, given=True, taught=True)
    # Tables are read twice, and described once.
    context = replace(context, say=cache(context.say))
    # Neither the pairs nor a stack's networks are in memory any more when training begins.
    taught = _predicted([*map(Path, teachers)], run, train_file, val_file, student, source, context)
    return train(
        student,
        train_file,
        val_file,
        run.path,
        teacher=taught,
        source=source,
        log_to=log_to,
        hooks=hooks,
        context=context,
    )


def train_or_distill(job: Job, context: Context = Context()) -> None:
    """Begin a job of a recipe, with its teacher's predictions if it has a teacher, or go on with it.

    Args:
        job: Job whose folder is new or has its run, and whose teachers are trained.
        context: Threads and command.

    Raises:
        InputError: As :func:`distill`.
        Interrupted: Ctrl-C stopped the training.
    """
    if not job.teachers or RunFolder(job.folder).config.is_file():
        train_job(job, context)
    else:
        # This process prints into the log of its job.
        printing = replace(context, say=print)
        assert job.val_file is not None, "what a teacher teaches is trained by epochs"
        distill(job.teachers, job.spec, job.train_file, job.val_file, job.folder, context=printing)


def _predicted(
    paths: Sequence[Path],
    run: RunFolder,
    train_file: Path | Judgements,
    val_file: Path | Judgements,
    student: RunSpec,
    source: Source | None,
    context: Context,
) -> Teacher:
    """A teacher's predictions of the training pairs, made now or by an earlier call."""
    say = context.say
    pairs, val = load_data(train_file, val_file, source, context)
    require_augmentable(student.train, pairs)
    predictor, path = load_predictor(*paths), " and ".join(map(str, paths))
    identity, used = predictor.identity(), predictor.used_in_training
    words = uses_in_words(used.get(pairs.sha256, ()))
    rows = f"all {len(pairs):,} rows of {pairs.path.name}" + (f", {words}" if words else "")
    if val.sha256 in used:
        say(
            f"{val.path}: chooses the student's epoch, and the teacher used it in training, too (rows"
            f" {uses_in_words(used[val.sha256])}); so the student reads too well on it"
        )
    wanted = student.train.trained_subclasses
    if run.teacher.is_file():
        with suppress(InputError):
            teacher = read_teacher(run.teacher, identity, pairs, wanted)
            say(f"{run.teacher}: has the predictions of {path} for {rows}")
            return teacher
        say(f"{run.teacher}: has other predictions than {path} makes of these pairs, and is written anew")
    # Whatever is wrong with one of them shows before the first predicts all pairs.
    first = pairs.select(slice(1))
    _, levels = predictor.logits_and_levels(first)
    require_levels(student, 0 if levels is None else levels.shape[2], path)
    if wanted:
        predictor.image_features(pairs.images, first.left)
    each = 1 + 2 * (0 if levels is None else levels.shape[2]) + (4 if wanted else 0)
    run.require_room(2 * (pairs.row_ids.nbytes + len(pairs) * 4 * each))
    say(f"predicting {rows} with {path}")
    logit, levels = predictor.logits_and_levels(pairs)
    if (missing := np.flatnonzero(np.isnan(logit))).size:
        rows = counted(missing.size, "row", "rows")
        raise InputError(f"{path}: has no prediction for row '{pairs.row_ids[missing[0]]}' ({rows} in all)")
    about: dict[str, Any] = {
        "path": str(paths[0]) if len(paths) == 1 else [*map(str, paths)],
        "track": predictor.track,
        "identity": identity,
        "of_sha256": pairs.sha256,
        "used_in_training": {digest: uses_as_json(uses) for digest, uses in used.items()},
    }
    divided = None
    if wanted and levels is not None:
        about["subclasses"], divided = wanted, _subclasses(predictor, pairs, levels, wanted)
        used, found = (len(np.unique(each)) for each in (divided // wanted, divided))
        say(f"images of {used} of {levels.shape[2]} levels, divided into {found} subclasses")
    known = logit.astype(np.float32), None if levels is None else levels.astype(np.float32)
    return Teacher(pairs.row_ids, *known, about, divided)


def _subclasses(predictor: Predictor, pairs: Judgements, levels: np.ndarray, count: int) -> np.ndarray:
    """Subclasses of left and right images, int64 (N, 2): those of the level that the teacher finds most probable."""
    used, places = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    classes = np.empty(len(used), np.int64)
    classes[places] = levels.argmax(2).T.ravel()
    found = subclasses(predictor.image_features(pairs.images, used), classes, count)
    return found[places].reshape(2, -1).T.copy()
