"""Commands that use a trained network or stack."""

from functools import partial
from pathlib import Path

from twinrank.cli.arguments import File, FileArguments, OptionalFile, OptionalRuns, OutFile, RunArgument
from twinrank.cli.output import print_metrics, progress_bars


def evaluate(run: RunArgument, files: FileArguments, labels: OptionalFile = None) -> None:
    """Score a run on labelled pair files. Nothing is fitted or chosen.

    Args:
        run: Run folder.
        files: Labelled pair files. Each is evaluated once; those not used in training are also evaluated together.
        labels: CSV with the columns id,label, if it does not stand beside the file as NAME_labels.csv.
    """
    from twinrank.inference.evaluate import evaluate
    from twinrank.runs import RunFolder

    records = evaluate(RunFolder(run), files, labels)
    print_metrics(run, list(records))


def predict(data: File, run: OptionalRuns = None, out: OutFile = Path("predictions.csv")) -> None:
    """Predict which image of each pair ranks higher: a CSV id,label.

    A file may be of any length. The CSV is a valid submission to the benchmark.

    Args:
        data: Pair file; it needs neither labels nor ids, and labels in it are not used.
        run: Run folder or stack folder. With several, separated by commas, their mean predicts. The default is the
            network that comes with twinrank, which knows the benchmark's occluded digits.
        out: CSV.
    """
    from twinrank.inference.label import write_labels
    from twinrank.inference.load import load_predictor
    from twinrank.runs import PRETRAINED

    predictor = load_predictor(*([PRETRAINED] if run is None else run))
    with progress_bars() as progress:
        count = write_labels(predictor.logits, data, out, partial(progress, str(data)))
    print(f"{out}: {count:,} labels for {data}")
