"""Commands that combine networks: stacks and students."""

from pathlib import Path
from typing import Annotated

import tyro

from twinrank.cli.arguments import (
    Changes,
    Columns,
    File,
    Files,
    Names,
    OptionalFile,
    OptionalFolder,
    OptionalImages,
    OutFolder,
    RunArgument,
    Runs,
    Threads,
    existing_path,
    require_train,
)
from twinrank.cli.executor import ExecutorFlags
from twinrank.cli.images import ImageFlags
from twinrank.cli.output import given_command, say
from twinrank.config import DISTILL_WEIGHT, SPLITS, GridSpec, Mode
from twinrank.core.context import Context
from twinrank.errors import CheckFailed, InputError


def grid(
    mode: Mode,
    models: Names = "",
    recipe: str = "cpu",
    out: OptionalFolder = None,
    data: OutFolder = Path("data"),
    train: OptionalFile = None,
    val: OptionalFile = None,
    test: Files = (),
    images: OptionalImages = None,
    columns: Columns = None,
    folds: int = 5,
    stop_share: float = 0.1,
    seed: int = 42,
    changes: Changes = (),
    threads: Threads = None,
    places: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),
) -> None:
    """Train base models for a stack, and keep their out-of-fold predictions.

    A grid that was stopped continues where it stopped. Where rows share images, folds hold out images.

    Args:
        mode: "holdout" trains one network a model, which predicts val. "oof" trains one a fold of train, which predicts
            that fold.
        models: Runs of the recipe, separated by commas; all of them by default.
        recipe: "cpu", another recipe, or a YAML file.
        out: Grid folder; runs/MODE by default.
        data: Folder of the benchmark, with train.npz, val.npz and the test files; of no use with --train.
        train: Your own labelled pairs that are fitted.
        val: Your own labelled pairs that are stacked with "holdout"; "oof" needs none.
        test: Your own labelled pairs that ensembles are tested on; give it again for each file.
        images: Folder of the images that tables name; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2.
        folds: Least number of folds of the rows that are stacked. Folds of images are 7, 13, 21 or more.
        stop_share: Share of train that chooses epochs, and is not fitted.
        seed: Seed of the folds.
        changes: Value that differs from the recipe, for example train.epochs=3.
        threads: CPU threads; all cores by default.
        places: Where trainings run.
    """
    from twinrank.ensembling.fold_count import require_folds
    from twinrank.workflows.recipe import choose_models, read_recipe

    require_folds(folds)
    runs = choose_models(read_recipe(recipe, changes).runs, models)
    require_train(train, val, test)
    files = _benchmark_files(data) if train is None else (train, val, test)
    from twinrank.data.source import Source
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import jobs_table
    from twinrank.workflows.grid import LEDGER, fill_ledger

    out = Path("runs") / mode if out is None else out
    spec, source = GridSpec(mode, runs, folds, stop_share, seed), Source(images, columns or {})
    with jobs_table() as show:
        context = places.on(Context(say, show=show, command=given_command(), threads=threads))
        failed = fill_ledger(spec, out, *files, source=source, context=context)
    print(f"ledger: {out / LEDGER}")
    require_all_done(failed)


def _benchmark_files(data: Path) -> tuple[Path, Path | None, tuple[Path, ...]]:
    train, val, *tests = (data / f"{split}.npz" for split in SPLITS)
    return existing_path(str(train)), existing_path(str(val)), tuple(tests)


def stack(
    models: Names = "",
    grid: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("runs") / "holdout",
    out: OptionalFolder = None,
) -> None:
    """Stack the base models of a grid: a leaderboard, a page, a submission.

    Meta-learners are fitted and scored on out-of-fold rows.

    Args:
        models: Base models, separated by commas; all of the grid by default.
        grid: Folder that "twinrank grid" filled.
        out: Stack folder; the grid's by default.
    """
    if not grid.is_dir():
        raise InputError(f"{grid}: no such folder; fill it with 'twinrank grid', or name another with `grid`")
    from twinrank.ensembling.stack_folder import StackFolder
    from twinrank.runs import board_files
    from twinrank.workflows.stack import finish_stack, make_stack

    folder = StackFolder(grid if out is None else out)
    context = Context(say, command=given_command())
    make_stack(grid, folder, models, context=context)
    finish_stack(folder, context=context)
    print(board_files(folder.path)[0].read_text(encoding="utf-8").rstrip())
    print(f"report: {folder.report}")


def audit(run: RunArgument) -> None:
    """Check a stack for leaks with permuted labels; exit with 1 if one is found.

    With permuted labels, a stack without leaks has the accuracy of chance (50%).

    Args:
        run: Stack folder.
    """
    from twinrank.ensembling.stack_folder import StackFolder
    from twinrank.workflows.audit import audit
    from twinrank.workflows.report import report

    checks = audit(StackFolder(run), context=Context(say))
    for check in checks:
        print(check)
    report(run)
    red = [check.name for check in checks if not check.passed]
    if red:
        raise CheckFailed(f"{run}: {len(red)} of {len(checks)} checks are red: {', '.join(red)}")


def distill(
    teacher: Runs,
    student: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    train: File,
    val: File,
    out: OptionalFolder = None,
    changes: Changes = (),
    threads: Threads = None,
    flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags(),
) -> None:
    """Train a network on labels and on a teacher's predictions.

    A small network can learn what a stack knows. The teacher predicts once; "twinrank resume" needs it no more.

    Args:
        teacher: Run folder or stack folder. With several, separated by commas, their mean teaches. For their levels
            (train.level_weight, train.subclass_weight), each must be a network with latent levels, all with the same
            number.
        student: Network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs that choose the epoch.
        out: Run folder, new; runs/STUDENT_distilled by default.
        changes: Value that differs from the network's own, for example train.distill_temperature=2.
        threads: CPU threads; all cores by default.
        flags: Tables: their images and columns.
    """
    from twinrank.workflows.recipe import model_spec

    spec = model_spec(student, (f"train.distill_weight={DISTILL_WEIGHT}", *changes))
    from twinrank.workflows.distill import distill

    out = Path("runs") / f"{student}_distilled" if out is None else out
    context = Context(say, command=given_command(), threads=threads)
    distill(teacher, spec, train, val, out, source=flags.source(), context=context)
