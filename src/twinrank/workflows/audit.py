"""Checks of a stack for leaks: it must not profit from the labels that it is evaluated on."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from twinrank.config import GridSpec, RunSpec
from twinrank.core.context import Context
from twinrank.core.files import write_json, write_npz
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.mirror import mirrored_at_random, uneven_sides
from twinrank.ensembling.learners import LEARNERS, StackSample, cross_fitted, without_each
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.estimates import wilson
from twinrank.evaluation.labelled_rows import LabelledRows, joined
from twinrank.evaluation.metrics import accuracy, share_right
from twinrank.evaluation.row_statistics import is_decided
from twinrank.models.registry import entry
from twinrank.workflows.grid import LEDGER, fill_ledger

_LEVEL = 0.999
"""Level of the intervals: an honest stack fails one check in a thousand, and not one in twenty."""
_CHECKED = ("mean_logit", "logistic_regression", "lightgbm_usual")
"""Meta-learners, from the one that cannot overfit to the one that overfits most."""
_MARGIN = 0.005
"""Margin by which stacked rows may read better than the tests: ``val`` shares most of its digits with ``train``."""
_FOLDS = 4
_FEWEST_STOPPED = 20
"""Rows on which the tiny networks choose their epochs, where half of the rows are as many."""
_ROWS = {"train": 1200, "rows": 1500, "test": 600}
"""Pairs that are fitted, stacked and tested on in the check that trains anew."""
_TINY = {"epochs": 8, "batch_size": 64, "lr": 1e-2, "warmup": 0.1, "contrastive_weight": 0.0, "balance_weight": 0.0}


@dataclass(frozen=True)
class Check:
    """Result of a check.

    Attributes:
        name: Name of the check.
        passed: Whether it is green.
        found: Finding, in a sentence with numbers.
    """

    name: str
    passed: bool
    found: str

    def __str__(self) -> str:
        return f"{'green' if self.passed else 'RED':5}  {self.name}: {self.found}"


def audit(
    folder: StackFolder,
    seed: int = 0,
    *,
    context: Context = Context(),
) -> list[Check]:
    """Look for labels that leak into the predictions that are evaluated on them. There are three checks, or four.

    The first repeats the whole pipeline with permuted labels, on few rows with tiny networks that memorise them. The
    stack must then have the accuracy of chance. The second permutes the labels of this ledger's rows. The third
    compares the base models on the stacked rows, which must be out-of-fold, and on the tests, if there are any. Where
    folds are made of images, the fourth looks for images of a fold in what its networks and meta-learners were fitted
    on.

    Args:
        folder: Stack folder.
        seed: Seed of the permutations.
        context: Listener.

    Returns:
        The checks; the folder keeps them, too.

    Raises:
        InputError: Something is missing or damaged.
    """
    config = folder.read_config()
    ledger = Ledger(folder.path / config["ledger"])
    matrix = ledger.read(config["models"])
    context.say("permuted labels, from training on ...")
    with tempfile.TemporaryDirectory() as temporary:
        checks = _rerun_checks(ledger, Path(temporary), seed, context.say)
    context.say("permuted labels of the stacked rows ...")
    single = _single_votes(matrix)
    y = numpy_generator(seed, "audit").permutation(single.rows.y)
    checks.append(check_chance("permuted labels of the stacked rows", replace(single, rows=replace(single.rows, y=y))))
    if matrix.tests:
        checks.append(check_out_of_fold(matrix))
    if matrix.apart is not None:
        checks.append(check_images(matrix, _unchanged(ledger.data["rows"])))
    write_json(folder.audit, [asdict(check) for check in checks])
    return checks


def _rerun_checks(ledger: Ledger, folder: Path, seed: int, say: Callable[[str], None]) -> list[Check]:
    """The check of the whole pipeline; none where so few rows cannot be stacked again, which a line says."""
    try:
        return [check_chance("permuted labels, from training on", permuted_pipeline(ledger, folder, seed))]
    except _TooFewRows as error:
        say(f"    left out: {error}".replace(f"{folder}{os.sep}", ""))
        return []


class _TooFewRows(InputError):
    """Rows that a small grid refuses."""


def check_chance(name: str, matrix: Matrix) -> Check:
    """Whether meta-learners, out-of-fold, have the accuracy of chance on permuted labels.

    Args:
        name: Name of the check.
        matrix: Matrix with permuted labels.
    """
    sample = StackSample(matrix.rows, matrix.fold, matrix.apart)
    rests = without_each(sample)
    found, passed = [], True
    for learner in _CHECKED:
        rate = accuracy(matrix.rows.y, cross_fitted(LEARNERS[learner], sample, rests))
        low, high = wilson(rate * len(matrix.rows), len(matrix.rows), _LEVEL)
        passed &= bool(low <= 0.5 <= high)
        found.append(f"{learner} {rate:.2%} ({100 * low:.2f}–{100 * high:.2f})")
    verdict = "all cover 50%" if passed else "50% is not covered: labels leak"
    return Check(name, passed, f"{'; '.join(found)}; n = {len(matrix.rows):,}, {_LEVEL:.1%} intervals: {verdict}")


def check_out_of_fold(matrix: Matrix) -> Check:
    """Whether base models are as good on the tests as on the stacked rows, which must be out-of-fold."""
    rows, tests = matrix.rows.labelled, joined([rows.labelled for rows in matrix.tests.values()])
    worst, gap, lowest = "", -np.inf, -np.inf
    for place, name in enumerate(matrix.names):
        on_tests = np.concatenate([each.logit[:, place] for each in matrix.tests.values()])
        stacked, variance = _accuracy(rows, matrix.rows.logit[:, place])
        tested, other = _accuracy(tests, on_tests)
        low = stacked - tested - float(ndtri((1 + _LEVEL) / 2)) * np.sqrt(variance + other)
        if low > lowest:
            worst, gap, lowest = name, stacked - tested, low
    passed = bool(lowest <= _MARGIN)
    verdict = "no more than chance and shared digits explain" if passed else "its training must have used them"
    return Check(
        "stacked rows against tests",
        passed,
        f"{worst} is {100 * gap:+.2f} points better on {matrix.stem} than on the tests, at least {100 * lowest:+.2f}"
        f" ({_LEVEL:.1%}); up to {100 * _MARGIN:.1f} are allowed: {verdict}",
    )


def _accuracy(rows: LabelledRows, logit: np.ndarray) -> tuple[float, float]:
    """Accuracy, and the variance of it."""
    found = share_right(rows.y, logit, **rows.judged)
    if found.interval == "Wilson 95%":
        return found.value, found.value * (1 - found.value) / len(rows.y)
    return found.value, float(((found.high - found.low) / (2 * ndtri(0.975))) ** 2)


def check_images(matrix: Matrix, data: Judgements) -> Check:
    """Whether images of a fold are in the rows that its meta-learners, and with ``oof`` its networks, were fitted on.

    Args:
        matrix: Matrix whose folds are made of images.
        data: Pairs of the file that is stacked.
    """
    shared = 0
    for fold in np.unique(matrix.fold):
        rows, others = matrix.fold == fold, matrix.rest(fold)
        shared += len(np.intersect1d(data.image_codes[rows], data.image_codes[others]))
    verdict = "no image is on both sides" if not shared else "folds do not hold out images"
    return Check(
        "images of the folds",
        not shared,
        f"{shared:,} images of a fold are also in rows that it was predicted from; {len(np.unique(matrix.fold))} folds,"
        f" n = {len(data):,}: {verdict}",
    )


def _single_votes(matrix: Matrix) -> Matrix:
    """The rows where most votes are for one side, each as one vote for it."""
    rows = matrix.rows
    if rows.y.dtype.kind in "iu" and rows.weight is None:
        return matrix
    kept = is_decided(rows.y, rows.tie, rows.weight) & (rows.y != 0.5)
    few = replace(rows.take(kept), tie=None, weight=None)
    apart = None if matrix.apart is None else matrix.apart[:, kept]
    return replace(matrix, rows=replace(few, y=(few.y > 0.5).astype(np.int8)), fold=matrix.fold[kept], apart=apart)


def permuted_pipeline(ledger: Ledger, folder: Path, seed: int) -> Matrix:
    """Repeat the pipeline behind a ledger, with tiny networks and permuted labels.

    Args:
        ledger: Ledger whose mode and files are used.
        folder: Folder for everything; it may be deleted afterwards.
        seed: Seed of the permutations.

    Raises:
        InputError: The files are not there, or have changed.
    """
    stacked, *tests = ledger.data.values()
    files = {"train": ledger.trained_on(), "rows": stacked, **({"test": tests[-1]} if tests else {})}
    for part, file in files.items():
        data = _unchanged(file)
        _write_permuted(folder / f"{part}.npz", data, _ROWS[part], numpy_generator(seed, f"audit {part}"))
    small = replace(entry("compare_net").train, **_TINY)
    runs = {f"tiny{seed}": RunSpec("compare_net", replace(small, seed=seed)) for seed in (1, 2)}
    train, other, *test = (folder / f"{part}.npz" for part in files)
    # Of few rows, a tenth is too little to choose epochs on.
    share = min(0.5, max(GridSpec.stop_share, _FEWEST_STOPPED / len(load_pairs(train))))
    grid = GridSpec(ledger.mode, runs, _FOLDS, share)
    try:
        failed = fill_ledger(grid, folder / "grid", train, other, test)
    except InputError as error:
        raise _TooFewRows(str(error)) from error
    if failed:
        raise InputError(f"the small training failed: {'; '.join(failed.values())}")
    return Ledger(folder / "grid" / LEDGER).read()


def _unchanged(file: Mapping[str, Any]) -> Judgements:
    """The pairs of a file of the ledger."""
    data = load_pairs(Path(file["path"]))
    if data.sha256 != file["sha256"]:
        raise InputError(f"{file['path']}: is not the file that the ledger was filled from; restore it")
    return data


def _write_permuted(path: Path, data: Judgements, rows: int, random: np.random.Generator) -> None:
    if data.y is None:
        raise InputError(f"{data.path}: has no labels; they are needed to permute them")
    if uneven_sides(data) is not None:
        data, _ = mirrored_at_random(data, 0)
    assert data.y is not None
    if not (decided := data.decided).all() or data.y.dtype.kind == "f":
        y = (data.y[decided] > 0.5).astype(np.int8)
        data = replace(data.select(decided), y=y, tie=None, weight=None)
    chosen = np.sort(random.choice(len(data), min(rows, len(data)), replace=False))
    few = data.select(chosen)
    assert few.y is not None
    write_npz(path, {"xa": few.xa, "xb": few.xb, "id": few.row_ids, "y": random.permutation(few.y)})
