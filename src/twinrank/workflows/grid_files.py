"""The files of a grid, read and refused before anything is trained."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinrank.config import GridSpec, Mode
from twinrank.core.context import Context
from twinrank.core.messages import counted
from twinrank.data.folds import Folds, assign_folds
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.mirror import mirrored_at_random, uneven_sides
from twinrank.data.overlap import images_in_rows, seen_images
from twinrank.data.source import REFERENCE, Source, is_table, write_reference
from twinrank.ensembling.base_models import Unseen
from twinrank.ensembling.ledger_rows import LedgerRows, key_of, test_keys
from twinrank.errors import InputError
from twinrank.training.checks import FEWEST_PAIRS

_FEWEST_DECIDED_FOLDS = 3
"""Folds with a row that was decided: where two are left out, one is left."""
_FEWEST_ROWS = 10
"""Rows that a meta-learner is fitted on at least, where folds are made of images."""


@dataclass(frozen=True, eq=False)
class GridFiles:
    """What a grid is made of.

    Attributes:
        assignment: Folds of the pairs that networks are trained on.
        uneven: How the labels of these are uneven, for a message; None if they are even.
        rows: Rows that are stacked.
        row_folds: Folds of these.
        tests: Test rows by key.
    """

    assignment: Folds
    uneven: str | None
    rows: LedgerRows
    row_folds: Folds
    tests: dict[str, LedgerRows]


def read_grid_files(
    grid: GridSpec,
    train_file: Path,
    val_file: Path | None,
    test_files: Sequence[Path],
    folder: Path,
    source: Source | None = None,
    context: Context = Context(),
) -> GridFiles:
    """Read the files of a grid, and assign folds.

    Args:
        grid: Base models, mode and folds.
        train_file: Labelled pairs that networks are trained on.
        val_file: Labelled pairs that are stacked with ``holdout``; not read with ``oof``.
        test_files: Labelled pairs that ensembles are tested on.
        folder: Folder for references to tables.
        source: How tables are read, and where their images are.
        context: Listeners.

    Raises:
        InputError: Something cannot be stacked.
    """
    say = context.say
    train = load_table_or_pairs(train_file, source, context)
    # All images become pixels in the same way.
    source = source if train.source is None else train.source
    require_val([grid], val_file)
    rows = train if grid.mode == "oof" or val_file is None else load_table_or_pairs(val_file, source, context)
    loaded = [load_table_or_pairs(path, source, context) for path in test_files]
    tests = dict(zip(test_keys(test_files, rows.path), loaded, strict=True))
    files = {"train": train, **({} if rows is train else {"val": rows}), **tests}
    refuse_unfit(files)
    refuse_shared_pairs([*files.values()])
    assignment, row_folds = assigned(grid, train, rows)
    for data, folds in ((train, assignment), *(() if rows is train else ((rows, row_folds),))):
        if folds.images is not None:
            say(_about_images(data, folds))
    recurring = any(data.recurring for data in files.values())
    stacked = _ledger_rows(rows, None if rows is train else train, recurring, grid.seed, say)
    tested = {key: _ledger_rows(data, train, recurring, grid.seed, say) for key, data in tests.items()}
    return _referred(GridFiles(assignment, uneven_sides(train), stacked, row_folds, tested), train, folder)


def require_val(grids: Iterable[GridSpec], val: object) -> None:
    """Refuse a grid that stacks the rows of ``val`` where there is none.

    Raises:
        InputError: ``val`` is None, and a grid needs it.
    """
    if val is None and any(grid.mode == "holdout" for grid in grids):
        raise InputError("`val` is missing: mode holdout stacks its rows; give it, or use mode oof")


def assigned(grid: GridSpec, train: Judgements, rows: Judgements) -> tuple[Folds, Folds]:
    """The folds of the pairs that networks are trained on, and of the rows that are stacked.

    Args:
        grid: Mode and folds.
        train: Labelled pairs that networks are trained on.
        rows: Rows that are stacked: the same with ``oof``.

    Raises:
        InputError: A network would have too little to fit or to choose its epoch on, or a meta-learner to fit.
    """
    assignment = assign_folds(train, grid.folds, grid.stop_share, grid.seed)
    if not assignment.stop.any():
        raise InputError(
            f"{train.path}: `stop_share` of {grid.stop_share} leaves none of"
            f" {counted(len(train), 'row', 'rows')} to choose epochs on; use more"
        )
    _require_trainable(train, assignment, grid.mode)
    row_folds = assignment if rows is train else assign_folds(rows, grid.folds, 0, grid.seed)
    _require_rest(rows, row_folds)
    return assignment, row_folds


def load_table_or_pairs(path: Path, source: Source | None, context: Context) -> Judgements:
    """Read a pair file, or a table with its images.

    Args:
        path: Anything that :func:`twinrank.data.judgements.load_pairs` reads.
        source: How a table is read, and where its images are; of no use for other files.
        context: Listeners.

    Raises:
        InputError: The pairs are refused.
    """
    table = is_table(Path(path)) and not Path(path).name.endswith(REFERENCE)
    return load_pairs(Path(path), source=source if table else None, context=context)


def _referred(files: GridFiles, train: Judgements, folder: Path) -> GridFiles:
    """The same files, with a reference in place of each table, from which processes of their own read it alike."""
    parts = {"train": train, "rows": files.rows.data, **{key: each.data for key, each in files.tests.items()}}
    paths: dict[str, Path] = {}
    for key, data in parts.items():
        paths[key] = data.path
        if data.source is not None and not data.path.name.endswith(REFERENCE):
            name = key if key in files.tests else key_of(data.path)
            paths[key] = folder / f"{name}{REFERENCE}"
            write_reference(paths[key], data.path, data.source)

    def moved(key: str, rows: LedgerRows) -> LedgerRows:
        return replace(rows, data=replace(rows.data, path=paths[key]))

    return replace(
        files,
        assignment=replace(files.assignment, of=paths["train"]),
        rows=moved("rows", files.rows),
        tests={key: moved(key, each) for key, each in files.tests.items()},
    )


def refuse_unfit(files: Mapping[str, Judgements]) -> None:
    """Refuse files without labels or decisions, with images of several sizes, or given twice."""
    if missing := [str(data.path) for data in files.values() if data.y is None]:
        raise InputError(f"{', '.join(missing)}: no labels; add them")
    if tied := [str(data.path) for data in files.values() if not data.decided.any()]:
        raise InputError(f"{', '.join(tied)}: every row is a tie, so nothing can be learned; give decided rows")
    first, *others = files.values()
    for place, data in enumerate(others, start=1):
        if data.images.shape != first.images.shape:
            raise InputError(
                f"{data.path}: images of {_size(data)}, but those of {first.path} are {_size(first)}; give all files"
                " images of one size"
            )
        if same := [each.path for each in [*files.values()][:place] if each.sha256 == data.sha256]:
            raise InputError(f"{data.path}: the same pairs as {same[0]}; give other pairs, or leave it out")


def _size(data: Judgements) -> str:
    return " x ".join(map(str, data.images.shape))


def refuse_shared_pairs(files: Sequence[Judgements]) -> None:
    """Refuse pairs of images that are in two files. Images of one value throughout are no sign of that."""
    distinct = np.unique(np.concatenate([data.images.hashes for data in files]))
    keys = []
    for data in files:
        codes = np.searchsorted(distinct, data.images.hashes)
        left, right = codes[data.left], codes[data.right]
        uniform = data.images.fingerprints.uniform
        pair = np.minimum(left, right) * len(distinct) + np.maximum(left, right)
        keys.append(np.where(uniform[data.left] & uniform[data.right], -1, pair))
    for place, data in enumerate(files):
        for earlier in range(place):
            shared = np.flatnonzero(np.isin(keys[place], keys[earlier][keys[earlier] >= 0]))
            if len(shared):
                raise InputError(
                    f"{data.path}: {counted(len(shared), 'row compares', 'rows compare')} images that"
                    f" {files[earlier].path} compares, too, the first of them row '{data.row_ids[shared[0]]}'; divide"
                    " the rows with 'twinrank data split'"
                )


def _require_trainable(data: Judgements, folds: Folds, mode: Mode) -> None:
    """Refuse folds that would leave a network too little to fit, or to choose its epoch on."""
    for fold in range(folds.count) if mode == "oof" else (None,):
        for use, selected in (("to fit", folds.fitted(fold)), ("to choose epochs on", folds.stopped_on(fold))):
            if len(selected.rows) < FEWEST_PAIRS or not data.decided[selected.rows].any():
                left_out = "" if fold is None else f" where fold {fold} is left out"
                raise InputError(
                    f"{data.path}: {len(selected.rows):,} of {counted(len(data), 'row', 'rows')} {use}{left_out}"
                    f" ({int(data.decided[selected.rows].sum()):,} decided); a network needs {FEWEST_PAIRS} or more,"
                    " and not ties alone; give more rows, or another `stop_share`"
                )


def _require_rest(data: Judgements, folds: Folds) -> None:
    """Refuse rows of which a meta-learner would be fitted on too few, once a fold or two are left out."""
    if len(np.unique(folds.fold[data.decided])) < min(_FEWEST_DECIDED_FOLDS, folds.count):
        raise InputError(
            f"{data.path}: {counted(int(data.decided.sum()), 'row is', 'rows are')} decided, too few to fit"
            " meta-learners on; give more"
        )
    if folds.images is None:
        return
    for fold in range(folds.count):
        rest = folds.fold[folds.apart(fold)]
        if len(rest) < _FEWEST_ROWS or len(np.unique(rest)) < 2:
            raise InputError(
                f"{data.path}: {counted(len(rest), 'row is', 'rows are')} left of {len(data):,} without the images of"
                f" fold {fold}, too few to fit meta-learners on; give more rows, at least {_FEWEST_ROWS} without each"
                " fold"
            )


def _about_images(data: Judgements, folds: Folds) -> str:
    assert folds.images is not None
    parts, left_out = len(folds.images.left_out), int(folds.images.left_out[0].sum())
    least = min(int(folds.apart(fold).sum()) for fold in range(folds.count))
    return (
        f"{data.path}: rows are connected by the images that they share, so folds are made of images: each of"
        f" {folds.count} leaves out {left_out} of {parts} parts of the images, and {least / len(data):.0%} of the"
        " rows or more share no image with it"
    )


def _ledger_rows(
    data: Judgements, train: Judgements | None, recurring: bool, seed: int, say: Callable[[str], None]
) -> LedgerRows:
    """Rows with their sides made even, and their images compared with those of the training."""
    unseen = None
    if train is not None and (unseen := _unseen(data, train)) is not None:
        say(
            f"{data.path}: of {len(data):,} rows, {unseen['one']:,} have one image that {train.path} has, too, and"
            f" {unseen['none']:,} have two; 'twinrank data split' holds out images"
        )
    uneven = uneven_sides(data)
    if uneven is None:
        return LedgerRows(data, recurring, None, unseen)
    say(f"{data.path}: {uneven}, so a random half of the rows is mirrored")
    mirrored, which = mirrored_at_random(data, seed)
    return LedgerRows(mirrored, recurring, which, unseen)


def _unseen(data: Judgements, train: Judgements) -> Unseen | None:
    """Rows by how many of their images are in no training; None where all are."""
    seen = seen_images(data, images_in_rows(train)).sum(1)
    count = np.bincount(seen, minlength=3).tolist()
    return Unseen(both=count[0], one=count[1], none=count[2]) if count[0] < len(data) else None
