"""The command line: parses, calls, prints. Whatever is heavy is imported by the command that needs it."""

import io
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import field, make_dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import tyro

from twinrank import __version__
from twinrank.config import (
    DISTILL_WEIGHT,
    SPLITS,
    BenchmarkConfig,
    FreshConfig,
    GridSpec,
    Mode,
    Split,
    TrainConfig,
    split_named,
)
from twinrank.errors import CheckFailed, InputError, Interrupted

if TYPE_CHECKING:
    from twinrank.models.registry import Entry

Files = tyro.conf.Positional[tuple[Path, ...]]
Argument = tyro.conf.Positional[Path]
Changes = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")]]
Folders = Annotated[str, tyro.conf.arg(metavar="RUN[,RUN]")]
Means = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(metavar="TARGET=RUN,RUN")]]

app = tyro.extras.SubcommandApp()
data = tyro.extras.SubcommandApp()
submit = tyro.extras.SubcommandApp()
plot = tyro.extras.SubcommandApp()


def _command_of(commands: tyro.extras.SubcommandApp, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command. Parsing gives it with its arguments; it runs when parsing has ended."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def parsed(*arguments: Any, **named: Any) -> Callable[[], None]:
            return partial(function, *arguments, **named)

        commands.command(name=name)(parsed)
        return function

    return register


@_command_of(data, "fetch")
def data_fetch(source: Annotated[Path | None, tyro.conf.arg(name="from")] = None) -> None:
    """Fetch MNIST, verify it and keep it in the cache.

    Args:
        source: A folder with the four IDX files (gzipped or not) or an NPZ file of MNIST; nothing else is then tried.
    """
    from twinrank.benchmark.mnist import fetch_mnist

    fetch_mnist(source, say=print)


@_command_of(data, "make")
def data_make(
    out: Path,
    config: Annotated[BenchmarkConfig, tyro.conf.arg(name="")],
    splits: str = ",".join(SPLITS),
    jobs: int = -1,
) -> None:
    """Make the occluded-digit benchmark, bit for bit.

    Args:
        out: Folder for the files.
        config: The benchmark.
        splits: Which files to make, separated by commas.
        jobs: Processes that render; -1 is one a core.
    """
    from twinrank.benchmark.generator import make_benchmark, refuse_other_benchmark
    from twinrank.benchmark.mnist import fetch_mnist

    chosen: list[Split] = []
    for name in splits.split(","):
        if (split := split_named(name.strip())) is None:
            raise InputError(f"--splits: '{name}' is not a file of the benchmark; those are {','.join(SPLITS)}")
        chosen.append(split)
    refuse_other_benchmark(out, config, "--out", chosen)
    with _progress() as progress:
        make_benchmark(fetch_mnist(say=print), out, config, chosen, jobs, progress)
    print(f"{out}: {', '.join(f'{split}.npz ({config.pairs_of(split):,} pairs)' for split in chosen)}")


@_command_of(data, "fresh")
def data_fresh(out: Path, config: Annotated[FreshConfig, tyro.conf.arg(name="")]) -> None:
    """Draw new pairs for the open track: MNIST's training digits, corrupted in the benchmark's way but anew.

    Args:
        out: The pair file, NPZ; not in the folder of a benchmark.
        config: What to draw.
    """
    from twinrank.benchmark.fresh import refuse_other_place, write_fresh
    from twinrank.benchmark.mnist import fetch_mnist

    refuse_other_place(out)
    with _progress() as progress:
        write_fresh(fetch_mnist(say=print), out, config, lambda done: progress(out.stem, done, config.pairs))
    print(f"{out}: {config.pairs:,} pairs of the open track")


@_command_of(data, "check")
def data_check(files: Files) -> None:
    """Validate pair files, and say what is suspicious in and between them.

    Args:
        files: NPZ files, folders of images with a CSV, or such CSV files.
    """
    from twinrank.data.check import check_pairs

    _require_some(files)
    print("\n".join(check_pairs(files).lines))


@_command_of(data, "show")
def data_show(file: Argument, out: Path = Path("pairs.png"), pairs: int = 40, seed: int = 0) -> None:
    """Draw a sheet of pairs taken at random.

    Args:
        file: A pair file.
        out: The picture, PNG.
        pairs: How many.
        seed: Chooses them.
    """
    from twinrank.data.pairs import load_pairs
    from twinrank.reporting.pair_sheet import draw_sheet

    rows = draw_sheet(load_pairs(file), out, pairs, seed)
    print(f"{out}: {len(rows)} pairs of {file}")


@_command_of(app, "run")
def run(
    recipe: tyro.conf.Positional[str],
    out: Path | None = None,
    data: Path = Path("data"),
    changes: Changes = (),
    threads: int | None = None,
    workers: int = 1,
) -> None:
    """Do a whole recipe, from nothing to a report. Steps that are done already are skipped.

    Args:
        recipe: "demo" (one network in ten minutes), "cpu" (the whole family, an hour and a half on two cores with
            --workers 2), "stack" (ten base models and their ensembles, over two hours), "record" (the best networks
            from the pairs alone, four hours), "open" (the same with digits told, an hour and a half),
            "ablations", "parts", "distillation", "ceiling" (what things are worth, half an hour to an hour each),
            "guide" (the training guide's models and values, for a GPU), or a YAML file.
        out: Run folder, or folder of run folders; runs/RECIPE by default.
        data: Folder for the benchmark's files.
        changes: A value that differs from the recipe, for example train.epochs=3; may be repeated.
        threads: Of the CPU; all cores by default.
        workers: Trainings at a time; the threads are divided among them.
    """
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import grid_table
    from twinrank.workflows.recipe import read_recipe
    from twinrank.workflows.run import run_recipe

    out = Path("runs") / Path(recipe).stem if out is None else out
    chosen = read_recipe(recipe, changes)
    with _progress() as progress, grid_table() as show:
        failed = run_recipe(chosen, out, data, _say, progress, _command(), threads, workers, show)
    if list(chosen.runs) == [""]:
        _print_metrics(out)
        print(f"report: {out / 'report.html'}\nsubmission: {out / 'pred_private.csv'}")
    require_all_done(failed)


@_command_of(app, "seeds")
def seeds(
    model: tyro.conf.Positional[str],
    train: Path,
    val: Path,
    seeds: str = "42,2023,2024,2025",
    out: Path | None = None,
    simple: bool = False,
    workers: int = 1,
    threads: int | None = None,
    changes: Changes = (),
) -> None:
    """Train a network with several seeds, each into its own run folder. Finished runs are skipped, stopped ones go on.

    Args:
        model: A network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs that choose the epoch.
        seeds: Separated by commas.
        out: Folder of the run folders, which are named seed_SEED; runs/MODEL_seeds by default.
        simple: A quarter of the passes, for quick experiments.
        workers: Trainings at a time; the threads are divided among them.
        threads: Of the CPU; all cores by default.
        changes: A value that differs from the network's own, for example train.epochs=3 or options.width=8.
    """
    from twinrank.reporting.seeds import seeds_summary
    from twinrank.training.jobs import Job, require_all_done, run_grid
    from twinrank.training.watch import grid_table
    from twinrank.workflows.recipe import seeds_recipe

    out = Path("runs") / f"{model}_seeds" if out is None else out
    runs = seeds_recipe(model, seeds, simple, changes).runs
    jobs = [Job(out / name, train, val, spec.model, spec.train, spec.options) for name, spec in runs.items()]
    with grid_table() as show:
        failed = run_grid(jobs, workers, threads, _command(), show)
    trained = [job.folder for job in jobs if job.name not in failed]
    if trained:
        print(seeds_summary(trained))
    require_all_done(failed)


@_command_of(app, "grid")
def grid(
    mode: Mode,
    models: str = "",
    recipe: str = "cpu",
    out: Path | None = None,
    data: Path = Path("data"),
    folds: int = 5,
    stop_share: float = 0.1,
    seed: int = 42,
    changes: Changes = (),
    workers: int = 1,
    threads: int | None = None,
) -> None:
    """Train base models for a stack, and keep what they say about rows that they never saw. Goes on where it stopped.

    Args:
        mode: "holdout", one network a model, asked about val; "oof", one a fold of train, asked about its fold.
        models: Runs of the recipe, separated by commas; all of them by default.
        recipe: "cpu", another recipe, or a YAML file.
        out: Folder of the grid; runs/MODE by default.
        data: Folder with train.npz, val.npz and the test files.
        folds: Of the rows that are stacked.
        stop_share: Share of train that chooses epochs, and is not fitted.
        seed: Of the folds.
        changes: A value that differs from the recipe, for example train.epochs=3; may be repeated.
        workers: Trainings at a time; the threads are divided among them.
        threads: Of the CPU; all cores by default.
    """
    from twinrank.ensembling.stack import require_folds
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import grid_table
    from twinrank.workflows.grid import LEDGER, choose_models, fill_ledger
    from twinrank.workflows.recipe import read_recipe

    require_folds(folds)
    out = Path("runs") / mode if out is None else out
    runs = choose_models(read_recipe(recipe, changes).runs, models)
    train, val, *tests = (data / f"{split}.npz" for split in SPLITS)
    with grid_table() as show:
        spec = GridSpec(mode, runs, folds, stop_share, seed)
        failed = fill_ledger(spec, out, train, val, tests, workers, threads, _command(), _say, show)
    print(f"ledger: {out / LEDGER}")
    require_all_done(failed)


@_command_of(app, "stack")
def stack(
    models: str = "",
    grid: Path = Path("runs") / "holdout",
    out: Path | None = None,
) -> None:
    """Stack the base models of a grid: meta-learners on rows that no level saw, a leaderboard, a page, a submission.

    Args:
        models: Base models, separated by commas; all of the grid by default.
        grid: Folder that "twinrank grid" filled.
        out: Stack folder; the grid's by default.
    """
    from twinrank.ensembling.stack_folder import StackFolder
    from twinrank.runs import board_files
    from twinrank.workflows.stack import finish_stack, make_stack

    folder = StackFolder(grid if out is None else out)
    make_stack(grid, folder, models, _command(), _say)
    finish_stack(folder, _say)
    print(board_files(folder.path)[0].read_text(encoding="utf-8").rstrip())
    print(f"report: {folder.report}")


@_command_of(app, "tune")
def tune(
    model: tyro.conf.Positional[str],
    train: Path,
    val: Path,
    trials: int = 100,
    space: str = "guide",
    out: Path | None = None,
    storage: str | None = None,
    retrain_seeds: str = "1,2",
    workers: int = 1,
    threads: int | None = None,
    changes: Changes = (),
) -> None:
    """Search for better values, then train the best ones and the defaults on fresh seeds. Goes on where it stopped.

    Args:
        model: A network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs on which the accuracy is maximised.
        trials: How many are to be finished; more than before go on with the same search.
        space: What to choose from: "guide" (learning rate and weight decay), "order_net", or a YAML file.
        out: Folder of the search; runs/MODEL_tune by default.
        storage: Database URL, for example sqlite:///search.db; a file in the folder by default.
        retrain_seeds: Separated by commas; "" to train nothing again.
        workers: Trainings at a time; the threads are divided among them.
        threads: Of the CPU; all cores by default.
        changes: A value that differs from the network's own, for all trials, for example train.epochs=3.
    """
    from twinrank.core.files import read_json
    from twinrank.reporting.tuning import search_text
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import grid_table
    from twinrank.tuning.space import read_space
    from twinrank.workflows.recipe import model_spec, parse_seeds
    from twinrank.workflows.tune import SUMMARY
    from twinrank.workflows.tune import tune as search

    out = Path("runs") / f"{model}_tune" if out is None else out
    spec = model_spec(model, changes)
    chosen, seeds = read_space(space, spec), parse_seeds(retrain_seeds, "--retrain-seeds") if retrain_seeds else []
    with grid_table() as show:
        failed = search(spec, chosen, train, val, out, trials, storage, seeds, workers, threads, _command(), _say, show)
    print(search_text(read_json(out / SUMMARY)))
    require_all_done(failed)


@_command_of(app, "distill")
def distill(
    teacher: Folders,
    student: str,
    train: Path,
    val: Path,
    out: Path | None = None,
    changes: Changes = (),
    threads: int | None = None,
) -> None:
    """Train a network on labels and on what a teacher says of the same pairs: a small one on what a stack knows.

    The teacher is asked once; "twinrank resume" goes on without it.

    Args:
        teacher: Run folder, or stack folder; with several, separated by commas, their mean teaches. For their levels
            (train.level_weight) each must be a network that has them, and as many.
        student: A network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs that choose the epoch.
        out: Run folder, new; runs/STUDENT_distilled by default.
        changes: A value that differs from the network's own, for example train.distill_temperature=2.
        threads: Of the CPU; all cores by default.
    """
    from twinrank.workflows.distill import distill as teach
    from twinrank.workflows.recipe import model_spec

    out = Path("runs") / f"{student}_distilled" if out is None else out
    spec = model_spec(student, (f"train.distill_weight={DISTILL_WEIGHT}", *changes))
    teach(_folders(teacher), spec, train, val, out, threads, _command(), _say)


@_command_of(app, "resume")
def resume(run: Argument) -> None:
    """Go on with a training that was stopped.

    Args:
        run: Its folder.
    """
    from twinrank.training.train import resume as go_on

    go_on(run)


@_command_of(app, "watch")
def watch(run: Argument) -> None:
    """Follow a running training with its curve, until it ends; says so if its process has ended before.

    Args:
        run: Its folder.
    """
    from twinrank.training.watch import watch as follow

    follow(run)


@_command_of(app, "evaluate")
def evaluate(run: Argument, files: Files, labels: Path | None = None) -> None:
    """Score a run on labelled pair files. Nothing is fitted or chosen.

    Args:
        run: Run folder.
        files: Labelled pair files, each evaluated once; those that training was not given also together.
        labels: CSV id,label, if it does not stand beside the file as NAME_labels.csv.
    """
    from twinrank.inference.evaluate import evaluate as score
    from twinrank.runs import RunFolder

    _require_some(files)
    records = score(RunFolder(run), files, labels)
    _print_metrics(run, list(records))


@_command_of(app, "predict")
def predict(data: Path, run: Folders | None = None, out: Path = Path("predictions.csv")) -> None:
    """Label a pair file of any length with a network or a stack: a CSV id,label, which is a submission.

    Args:
        data: A pair file; it needs neither labels nor ids, and labels in it are not used.
        run: Run folder, or stack folder; with several, separated by commas, their mean decides; by default the network
            that comes with twinrank, which knows the benchmark's occluded digits.
        out: The CSV.
    """
    from twinrank.inference.label import write_labels
    from twinrank.inference.load import load_predictor
    from twinrank.runs import PRETRAINED

    predictor = load_predictor(*([PRETRAINED] if run is None else _folders(run)))
    with _progress() as progress:
        count = write_labels(predictor.logits, data, out, partial(progress, str(data)))
    print(f"{out}: {count:,} labels for {data}")


@_command_of(app, "order")
def order(
    run: tyro.conf.Positional[Folders], file: Argument, images: int = 200, seed: int = 0, out: Path | None = None
) -> None:
    """Ask a network or a stack about all pairs of some images: does swapping matter, are there cycles, is it an order?

    All pairs are not like those of a file: some are of equal rank, or so far apart as training never showed any.

    Args:
        run: Run folder, or stack folder; with several, separated by commas, their mean is asked.
        file: A pair file; labels in it are not used.
        images: How many different ones, taken at random from both sides.
        seed: Chooses them.
        out: A folder for order.json and cycles.png.
    """
    from twinrank.inference.load import load_predictor
    from twinrank.inference.order import order as ask
    from twinrank.reporting.order import order_text, write_order

    pool, report, meta = ask(load_predictor(*_folders(run)), file, images, seed)
    print(order_text(report, meta["rows"]))
    if out is not None:
        for written in write_order(pool, report, meta, out):
            print(written)


@_command_of(app, "report")
def report(run: Argument, out: Path | None = None, figures: Path | None = None) -> None:
    """Write the page of a run or a stack.

    Args:
        run: Run folder, or stack folder.
        out: The page; report.html in that folder by default.
        figures: A folder for the figures as PNG files, too.
    """
    from twinrank.ensembling.stack_folder import StackFolder
    from twinrank.workflows.report import publish_report
    from twinrank.workflows.stack import publish_stack

    stacked = StackFolder(run).config.is_file()
    print(publish_stack(StackFolder(run), out, figures) if stacked else publish_report(run, out, figures))


@_command_of(app, "audit")
def audit(run: Argument) -> None:
    """Check that a stack has not seen what it is judged on: permuted labels must come out as a coin. Red exits with 1.

    Args:
        run: Stack folder.
    """
    from twinrank.ensembling.stack_folder import StackFolder
    from twinrank.workflows.audit import audit as look
    from twinrank.workflows.stack import publish_stack

    checks = look(StackFolder(run), _say)
    for check in checks:
        print(check)
    publish_stack(StackFolder(run))
    red = [check.name for check in checks if not check.passed]
    if red:
        raise CheckFailed(f"{run}: {len(red)} of {len(checks)} checks are red: {', '.join(red)}")


@_command_of(app, "verify")
def verify(run: Argument) -> None:
    """Compute every figure of a report again from the files that it was made from. Exits with 1 if one differs.

    Args:
        run: Run folder, or stack folder.
    """
    from twinrank.workflows.verify import verify as compare

    compare(run, _say)
    print(f"{run}: every figure is what the files give")


@_command_of(app, "slim")
def slim(run: Argument, out: Path) -> None:
    """Copy a trained network into a folder small enough to be passed on: weights in half precision, no checkpoint.

    Args:
        run: Run folder.
        out: Run folder, new; "twinrank evaluate" says how good it is.
    """
    from twinrank.workflows.slim import slim as copy

    weights = copy(Path(run), out).weights
    print(f"{weights}: {weights.stat().st_size / 1e6:.2f} MB")


@_command_of(app, "leaderboard")
def leaderboard(runs: Files, out: Path | None = None) -> None:
    """Compare runs and stacks in one table, the best on val first: accuracy, log-loss, calibration, cost, who ties.

    Args:
        runs: Evaluated run folders, and stack folders, about the same rows.
        out: A folder for the table as leaderboard.md, leaderboard.csv, leaderboard.json and leaderboard.png.
    """
    from twinrank.reporting.leaderboard import leaderboard_text, read_field, write_leaderboard

    _require_some(runs)
    field = read_field(runs)
    board = field.rank()
    print(leaderboard_text(board, field))
    if out is not None:
        for written in write_leaderboard(board, field, out):
            print(written)


@_command_of(app, "ablation")
def ablation(runs: Files, base: str = "base", out: Path | None = None) -> None:
    """Compare evaluated runs that differ from a base in one thing each, row by row, over the same seeds.

    Args:
        runs: Run folders named FACTOR_seedSEED, for example those of "twinrank run ablations".
        base: The factor that the others are compared with.
        out: A folder for the table as ablation.md and ablation.json.
    """
    from twinrank.reporting.ablation import ablation_text, read_ablation, write_ablation

    _require_some(runs)
    effects = read_ablation(runs, base)
    print(ablation_text(effects))
    if out is not None:
        for written in write_ablation(effects, out):
            print(written)


@_command_of(app, "record")
def record(runs: Files, mean: Means = (), out: Path | None = None) -> None:
    """Sum up evaluated runs over their seeds: accuracy on every file, training time, beside what others published.

    Args:
        runs: Run folders named TARGET_seedSEED, for example those of "twinrank run record".
        mean: TARGET=RUN,RUN,...: also an ensemble of evaluated runs, the mean of their logits; may be repeated.
        out: A folder for the table as record.json and record.md, and for the picture record.png.
    """
    from twinrank.reporting.targets import read_ensemble, read_targets, record_text, write_record

    _require_some((*runs, *mean))
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; choose another one with --out")
    targets = read_targets(runs)
    for each in mean:
        name, _, members = map(str.strip, each.partition("="))
        if not re.fullmatch(r"[\w.-]+", name) or not members:
            raise InputError(
                f"--mean: '{each}' is not of the form TARGET=RUN,RUN, with letters, digits, '_', '-' and '.'"
            )
        if name in [target.name for target in targets]:
            raise InputError(f"--mean: {name} is there already; give '{each}' another TARGET")
        targets.append(read_ensemble(name, _folders(members)))
    print(record_text(targets))
    if out is not None:
        for written in write_record(targets, out):
            print(written)


@_command_of(plot, "curves")
def plot_curves(runs: Files, out: Path = Path("curves.png"), band: bool = False) -> None:
    """Draw the accuracy on val of one or more runs over their epochs.

    Args:
        runs: Run folders.
        out: The picture: PNG, SVG or PDF, by its ending.
        band: As one curve with a band from the worst to the best, for runs that differ in their seed.
    """
    from twinrank.reporting.pictures import draw_curves

    _require_some(runs)
    print(draw_curves(runs, out, band))


@_command_of(plot, "saliency")
def plot_saliency(
    run: Argument, file: Argument, out: Path = Path("saliency.png"), pairs: int = 8, seed: int = 0
) -> None:
    """Draw what a network's decisions rest on: how the logit changes when a spot is covered.

    Args:
        run: Run folder.
        file: A pair file.
        out: The picture: PNG, SVG or PDF, by its ending.
        pairs: How many, taken at random.
        seed: Chooses them.
    """
    from twinrank.inference.saliency import explain
    from twinrank.reporting.pictures import draw_saliency
    from twinrank.runs import RunFolder

    print(draw_saliency(*explain(RunFolder(run), file, pairs, seed), out))


@_command_of(plot, "augmentations")
def plot_augmentations(file: Argument, out: Path = Path("augmentations.png"), seed: int = 0) -> None:
    """Draw what each augmentation does to some images of a file.

    Args:
        file: A pair file.
        out: The picture: PNG, SVG or PDF, by its ending.
        seed: Chooses the images.
    """
    from twinrank.data.augmentation.examples import augmented_examples
    from twinrank.data.pairs import load_pairs
    from twinrank.reporting.pictures import draw_augmentations

    print(draw_augmentations(augmented_examples(load_pairs(file), seed), out))


@_command_of(submit, "check")
def submit_check(submission: Argument, test: Path) -> None:
    """Check that a submission has every id of a test file once, with label 0 or 1.

    Args:
        submission: CSV id,label.
        test: The test file.
    """
    from twinrank.benchmark.submission import check_submission

    summary = check_submission(submission, test)
    print(f"{submission}: fits {test}; {summary.rows:,} rows, {summary.left_higher:,} of them say left ranks higher")


@_command_of(app, "models")
def models(
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False, channels: int = 1, image_size: int = 28
) -> None:
    """List the networks that can be trained.

    Args:
        as_json: As a list of objects: name, stage, parameters, macs (multiply-adds of a pair), source and more.
        channels: Of the images, 1 or 3.
        image_size: Height and width of the images.
    """
    from twinrank.models.profile import describe_models

    described = describe_models(channels, image_size)
    if as_json:
        print(json.dumps(described, indent=2))
    else:
        _print_models(described)


app.command(data, name="data")
app.command(submit, name="submit")
app.command(plot, name="plot")


@_command_of(app, "train")
def train() -> None:
    """Train a network: 'twinrank train MODEL --help' shows its options and training values."""


def _networks() -> tyro.extras.SubcommandApp:
    """``twinrank train MODEL``: a subcommand for each network, with its own defaults."""
    from twinrank.models.registry import entries

    networks = tyro.extras.SubcommandApp()
    for entry in entries():
        _command_of(networks, entry.name)(_train_command(entry))
    return networks


def _train_command(entry: "Entry") -> Callable[..., None]:
    types = entry.option_types
    fields = [(name, _flag(types[name]), field(default=value)) for name, value in entry.options.items()]
    options_class = make_dataclass("Options", fields, namespace={"__doc__": entry.documentation})
    Options = Annotated[options_class, tyro.conf.arg(name="")]

    def train_network(
        train: Path,
        val: Path,
        options: Options,  # pyright: ignore[reportInvalidTypeForm]
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = entry.train,
        out: Path | None = None,
        threads: int | None = None,
        log_to: str = "",
    ) -> None:
        from twinrank.training.sinks import parse_sinks
        from twinrank.training.train import train as begin

        folder, sinks = out or Path("runs") / entry.name, parse_sinks(log_to)
        begin(entry.name, train, val, folder, config, vars(options), threads, _command(), sinks)

    train_network.__doc__ = f"""{entry.summary}

        Args:
            train: Labelled pairs to fit.
            val: Labelled pairs that choose the epoch.
            options: Of the network.
            config: Of the training.
            out: Run folder, new; runs/{entry.name} by default.
            threads: Of the CPU; all cores by default.
            log_to: Sinks that follow the training: tensorboard, wandb or both, separated by a comma.
        """
    return train_network


def _flag(hint: Any) -> Any:
    """A list is one argument, separated by commas: ``--layers 3,3,3``."""
    if get_origin(hint) is not tuple:
        return hint
    (item,) = {part for part in get_args(hint) if part is not ...}

    def parsed(texts: list[str]) -> tuple[Any, ...]:
        parts = [part.strip() for part in texts[0].split(",")]
        if item is not int:
            return tuple(parts)
        return tuple(int(part) for part in parts)

    spec = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="A,B,...",
        instance_from_str=parsed,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [",".join(map(str, values))],
    )
    return Annotated[tuple, spec]


def _print_models(described: list[dict[str, Any]]) -> None:
    width = max(len(model["name"]) for model in described)
    print(f"{'name':<{width}}  stage  {'parameters':>10}  {'multiply-adds':>13}  source")
    for model in described:
        costs = f"{model['parameters']:>10,}  {model['macs']:>13,}"
        print(f"{model['name']:<{width}}  {model['stage'] or 'ours':<5}  {costs}  {model['source']}")
    print("Multiply-adds are of one pair.")
    print("'twinrank train MODEL --help' shows what a network is, its options and its training values.")


def main(arguments: list[str] | None = None) -> None:
    """The ``twinrank`` command. Exits with 2 after bad input, 1 after a check that found something, 130 when stopped;
    with lines that say so and no traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A scheduler's polite stop is a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments == ["--version"]:
            print(f"twinrank {__version__}")
            return
        if arguments[:1] == ["train"]:
            command = _parse(_networks(), "twinrank train", None, arguments[1:])
        else:
            command = _parse(app, "twinrank", "Learn which of two images ranks higher.", arguments)
        command()
        sys.stdout.flush()
    except InputError as error:
        _fail(f"twinrank: error: {error}", 2)
    except CheckFailed as error:
        _fail(f"twinrank: {error}", 1)
    except Interrupted as error:
        _fail(f"twinrank: {error}", 130)
    except KeyboardInterrupt:
        _fail("twinrank: stopped; run the same command again", 130)
    except BrokenPipeError:
        # The reader has gone; Python would complain once more while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _parse(
    commands: tyro.extras.SubcommandApp, prog: str, description: str | None, arguments: list[str]
) -> Callable[[], None]:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return commands.cli(prog=prog, description=description, args=arguments)
    except SystemExit as stopped:
        if not stopped.code:
            raise
        command = "MODEL" if prog.endswith("train") else "COMMAND"
        raise InputError(f"{_unboxed(said.getvalue())}; '{prog} {command} --help' shows the options") from stopped


def _unboxed(box: str) -> str:
    """The text of tyro's box in one line: parts between its rules, but for helptexts and where to find them."""
    lines = [line.strip("│| ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    # A border may hold a title, which the text says again.
    parts = " ".join("\n" if line.startswith(("╭", "╰", "+")) or not re.search(r"\w", line) else line for line in lines)
    texts = [" ".join(part.split()).rstrip(".") for part in parts.split("\n")]
    return "; ".join(text for text in texts if text and not text.startswith(("For full helptext", "Argument helptext")))


def _fail(line: str, status: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(status)


def _folders(text: str) -> list[Path]:
    """Folders separated by commas; one that is there may have commas in its name."""
    if text.strip() and os.path.exists(text):  # noqa: PTH110 (a Path would fail where the list is too long for a name)
        return [Path(text)]
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"'{text}': folders are separated by commas, and one has no name; name each, '.' for this one")
    return [*map(Path, names)]


def _require_some(files: tuple[Path | str, ...]) -> None:
    if not files:
        raise InputError("nothing is given; name one or more")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for each name that is given, if that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(name: str, done: int, pairs: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(escape(name), total=pairs)
            bar.update(tasks[name], completed=done)

        yield show


def _print_metrics(run: Path, stems: list[str] | None = None) -> None:
    from twinrank.reporting.contents import read_run
    from twinrank.reporting.formats import interval, metric_name, value

    for stem, record in read_run(run).records.items():
        if stems is None or stem in stems:
            print(f"{stem}: {record.rows}")
            for name, estimate in record.metrics.items():
                print(
                    f"    {metric_name(name):<18} {value(estimate, name):>8}   {interval(estimate, name)}"
                    f"   ({estimate.interval}, n = {estimate.n:,})"
                )


def _command() -> str:
    """As it was given, but for the password in a URL: commands are recorded."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", shlex.join(["twinrank", *sys.argv[1:]]))


def _say(line: str) -> None:
    print(line, flush=True)
