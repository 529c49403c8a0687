"""The command line: parses, calls, prints. Whatever is heavy is imported by the command that needs it."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from twinrank.config import SPLITS, BenchmarkConfig, Split, TrainConfig, split_named
from twinrank.errors import InputError, Interrupted

if TYPE_CHECKING:
    from twinrank.models.registry import Entry

Files = tyro.conf.Positional[tuple[Path, ...]]
Argument = tyro.conf.Positional[Path]

app = tyro.extras.SubcommandApp()
data = tyro.extras.SubcommandApp()
submit = tyro.extras.SubcommandApp()


@data.command(name="fetch")
def data_fetch(source: Annotated[Path | None, tyro.conf.arg(name="from")] = None) -> None:
    """Fetch MNIST, verify it and keep it in the cache.

    Args:
        source: A folder with the four IDX files (gzipped or not) or an NPZ file of MNIST; nothing else is then tried.
    """
    from twinrank.data.mnist import fetch_mnist

    fetch_mnist(source, say=print)


@data.command(name="make")
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
    from twinrank.data.benchmark import make_benchmark
    from twinrank.data.mnist import fetch_mnist

    chosen: list[Split] = []
    for name in splits.split(","):
        if (split := split_named(name.strip())) is None:
            raise InputError(f"--splits: '{name}' is not a file of the benchmark; those are {','.join(SPLITS)}")
        chosen.append(split)
    with _progress() as progress:
        make_benchmark(fetch_mnist(say=print), out, config, chosen, jobs, progress)
    print(f"{out}: {', '.join(f'{split}.npz ({config.pairs_of(split):,} pairs)' for split in chosen)}")


@data.command(name="check")
def data_check(files: Files) -> None:
    """Validate pair files, and say what is suspicious in and between them.

    Args:
        files: NPZ files, folders of images with a CSV, or such CSV files.
    """
    from twinrank.data.check import check_pairs

    _require_some(files)
    print("\n".join(check_pairs(files).lines))


@data.command(name="show")
def data_show(file: Argument, out: Path = Path("pairs.png"), pairs: int = 40, seed: int = 0) -> None:
    """Draw a sheet of pairs taken at random.

    Args:
        file: A pair file.
        out: The picture, PNG.
        pairs: How many.
        seed: Chooses them.
    """
    from twinrank.data.pairs import load_pairs
    from twinrank.data.sheet import draw_sheet

    rows = draw_sheet(load_pairs(file), out, pairs, seed)
    print(f"{out}: {len(rows)} pairs of {file}")


@app.command(name="run")
def run(
    recipe: tyro.conf.Positional[str],
    out: Path | None = None,
    data: Path = Path("data"),
    changes: tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")]] = (),
    threads: int | None = None,
) -> None:
    """Do a whole recipe, from nothing to a report. Steps that are done already are skipped.

    Args:
        recipe: "demo", or a YAML file.
        out: Run folder; runs/RECIPE by default.
        data: Folder for the benchmark's files.
        changes: A value that differs from the recipe, for example train.epochs=3; may be repeated.
        threads: Of the CPU; all cores by default.
    """
    from twinrank.pipeline import read_recipe, run_recipe

    out = Path("runs") / Path(recipe).stem if out is None else out
    with _progress() as progress:
        done = run_recipe(read_recipe(recipe, changes), out, data, _say, progress, _command(), threads)
    _print_metrics(done.path)
    print(f"report: {done.report}\nsubmission: {done.path / 'pred_private.csv'}")


@app.command(name="resume")
def resume(run: Argument) -> None:
    """Go on with a training that was stopped.

    Args:
        run: Its folder.
    """
    from twinrank.training.run import resume as go_on

    go_on(run)


@app.command(name="evaluate")
def evaluate(run: Argument, files: Files, labels: Path | None = None) -> None:
    """Score a run on labelled pair files. Nothing is fitted or chosen.

    Args:
        run: Run folder.
        files: Labelled pair files, each evaluated once; those that training was not given also together.
        labels: CSV id,label, if it does not stand beside the file as NAME_labels.csv.
    """
    from twinrank.evaluation.evaluate import evaluate as score
    from twinrank.runs import RunFolder

    _require_some(files)
    records = score(RunFolder(run), files, labels)
    _print_metrics(run, list(records))


@app.command(name="predict")
def predict(run: Argument, file: Argument, out: Path = Path("predictions.csv")) -> None:
    """Label a pair file with a run's network: a CSV id,label, which is a submission.

    Args:
        run: Run folder.
        file: A pair file; labels in it are not used.
        out: The CSV.
    """
    from twinrank.evaluation.evaluate import predict_labels
    from twinrank.runs import RunFolder

    print(f"{out}: {predict_labels(RunFolder(run), file, out):,} labels for {file}")


@app.command(name="report")
def report(run: Argument, out: Path | None = None, figures: Path | None = None) -> None:
    """Write the page of a run.

    Args:
        run: Run folder.
        out: The page; report.html in the run folder by default.
        figures: A folder for the figures as PNG files, too.
    """
    from twinrank.reporting.publish import publish_report

    print(publish_report(run, out, figures))


@submit.command(name="check")
def submit_check(submission: Argument, test: Path) -> None:
    """Check that a submission has every id of a test file once, with label 0 or 1.

    Args:
        submission: CSV id,label.
        test: The test file.
    """
    from twinrank.data.submission import check_submission

    summary = check_submission(submission, test)
    print(f"{submission}: fits {test}; {summary.rows:,} rows, {summary.left_higher:,} of them say left ranks higher")


@app.command(name="models")
def models() -> None:
    """List the networks that can be trained, with their options."""
    from twinrank.models.registry import create_model, entries

    for entry in entries():
        size = sum(parameter.numel() for parameter in create_model(entry.name).parameters())
        options = ", ".join(f"{name}={value}" for name, value in entry.options.items())
        print(f"{entry.name} ({size:,} parameters): {entry.summary}\n    options: {options}")


app.command(data, name="data")
app.command(submit, name="submit")


@app.command(name="train")
def train() -> None:
    """Train a network: 'twinrank train MODEL --help' shows its options and training values."""


def _train(arguments: list[str]) -> None:
    """``twinrank train MODEL``: a subcommand for each network, with its own defaults."""
    from twinrank.models.registry import entries

    networks = tyro.extras.SubcommandApp()
    for entry in entries():
        networks.command(name=entry.name)(_train_command(entry))
    networks.cli(prog="twinrank train", args=arguments)


def _train_command(entry: "Entry") -> Callable[..., None]:
    fields = [(name, type(value), field(default=value)) for name, value in entry.options.items()]
    options_class = make_dataclass("Options", fields, namespace={"__doc__": entry.build.__doc__})
    Options = Annotated[options_class, tyro.conf.arg(name="")]

    def train_network(
        train: Path,
        val: Path,
        options: Options,  # pyright: ignore[reportInvalidTypeForm]
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = entry.train,
        out: Path | None = None,
        threads: int | None = None,
    ) -> None:
        from twinrank.training.run import train as begin

        begin(entry.name, train, val, out or Path("runs") / entry.name, config, vars(options), threads, _command())

    train_network.__doc__ = f"""{entry.summary}

        Args:
            train: Labelled pairs to fit.
            val: Labelled pairs that choose the epoch.
            options: Of the network.
            config: Of the training.
            out: Run folder, new; runs/{entry.name} by default.
            threads: Of the CPU; all cores by default.
        """
    return train_network


def main(arguments: list[str] | None = None) -> None:
    """The ``twinrank`` command. Exits with 2 after bad input and 130 when stopped, with one line and no traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A scheduler's polite stop is a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments[:1] == ["train"]:
            _train(arguments[1:])
        else:
            app.cli(prog="twinrank", description="Learn which of two images ranks higher.", args=arguments)
        sys.stdout.flush()
    except InputError as error:
        _fail(f"twinrank: error: {error}", 2)
    except Interrupted as error:
        _fail(f"twinrank: {error}", 130)
    except KeyboardInterrupt:
        _fail("twinrank: stopped; run the same command again", 130)
    except BrokenPipeError:
        # The reader has gone; Python would complain once more while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(line: str, status: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(status)


def _require_some(files: tuple[Path, ...]) -> None:
    if not files:
        raise InputError("no file is given; name one or more")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for each split, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(split: str, done: int, pairs: int) -> None:
            if split not in tasks:
                tasks[split] = bar.add_task(f"{split}.npz", total=pairs)
            bar.update(tasks[split], completed=done)

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
    return shlex.join(["twinrank", *sys.argv[1:]])


def _say(line: str) -> None:
    print(line, flush=True)
