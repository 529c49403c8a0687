"""Checks of a stack for leaks: it must not profit from the labels that it is evaluated on."""

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from twinrank.config import GridSpec, RunSpec
from twinrank.core.context import Context
from twinrank.core.files import write_json, write_npz
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.ensembling.learners import LEARNERS, StackSample, cross_fitted, without_each
from twinrank.ensembling.ledger import Ledger
from twinrank.ensembling.matrix import Matrix
from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.evaluation.estimates import wilson
from twinrank.evaluation.metrics import accuracy
from twinrank.models.registry import entry
from twinrank.workflows.grid import LEDGER, fill_ledger

_LEVEL = 0.999
"""Level of the intervals: an honest stack fails one check in a thousand, and not one in twenty."""
_CHECKED = ("mean_logit", "logistic_regression", "lightgbm_usual")
"""Meta-learners, from the one that cannot overfit to the one that overfits most."""
_MARGIN = 0.005
"""Margin by which stacked rows may read better than the tests: ``val`` shares most of its digits with ``train``."""
_FOLDS = 4
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
    """Look for labels that leak into the predictions that are evaluated on them. There are three checks.

    The first repeats the whole pipeline with permuted labels, on few rows with tiny networks that memorise them. The
    stack must then have the accuracy of chance. The second permutes the labels of this ledger's rows. The third
    compares the base models on the stacked rows, which must be out-of-fold, and on the tests.

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
        rerun = permuted_pipeline(ledger, Path(temporary), seed)
    checks = [check_chance("permuted labels, from training on", rerun)]
    context.say("permuted labels of the stacked rows ...")
    y = numpy_generator(seed, "audit").permutation(matrix.rows.y)
    checks.append(check_chance("permuted labels of the stacked rows", replace(matrix, rows=replace(matrix.rows, y=y))))
    checks.append(check_out_of_fold(matrix))
    write_json(folder.audit, [asdict(check) for check in checks])
    return checks


def check_chance(name: str, matrix: Matrix) -> Check:
    """Whether meta-learners, out-of-fold, have the accuracy of chance on permuted labels.

    Args:
        name: Name of the check.
        matrix: Matrix with permuted labels.
    """
    sample = StackSample(matrix.rows, matrix.fold)
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
    y = np.concatenate([rows.y for rows in matrix.tests.values()])
    worst, gap, lowest = "", -np.inf, -np.inf
    for place, name in enumerate(matrix.names):
        stacked = accuracy(matrix.rows.y, matrix.rows.logit[:, place])
        tested = accuracy(y, np.concatenate([rows.logit[:, place] for rows in matrix.tests.values()]))
        variance = stacked * (1 - stacked) / len(matrix.rows) + tested * (1 - tested) / len(y)
        low = stacked - tested - float(ndtri((1 + _LEVEL) / 2)) * np.sqrt(variance)
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
    files = {"train": ledger.trained_on(), "rows": stacked, "test": tests[-1]}
    for part, file in files.items():
        data = load_pairs(Path(file["path"]))
        if data.sha256 != file["sha256"]:
            raise InputError(f"{file['path']}: is not the file that the ledger was filled from; restore it")
        _write_permuted(folder / f"{part}.npz", data, _ROWS[part], numpy_generator(seed, f"audit {part}"))
    small = replace(entry("compare_net").train, **_TINY)
    runs = {f"tiny{seed}": RunSpec("compare_net", replace(small, seed=seed)) for seed in (1, 2)}
    train, other, test = (folder / f"{part}.npz" for part in files)
    failed = fill_ledger(GridSpec(ledger.mode, runs, _FOLDS), folder / "grid", train, other, [test])
    if failed:
        raise InputError(f"the small training failed: {'; '.join(failed.values())}")
    return Ledger(folder / "grid" / LEDGER).read()


def _write_permuted(path: Path, data: Judgements, rows: int, random: np.random.Generator) -> None:
    if data.y is None:
        raise InputError(f"{data.path}: has no labels; they are needed to permute them")
    chosen = np.sort(random.choice(len(data), min(rows, len(data)), replace=False))
    few, y = data.select(chosen), random.permutation(data.y[chosen])
    write_npz(path, {"xa": few.xa, "xb": few.xb, "id": few.row_ids, "y": y})
