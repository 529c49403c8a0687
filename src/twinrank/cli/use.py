"""Commands that use a trained network or stack."""

from functools import partial
from pathlib import Path

from twinrank.cli.arguments import (
    Columns,
    File,
    FileArguments,
    OptionalFile,
    OptionalImages,
    OptionalRuns,
    OutFile,
    RunArgument,
)
from twinrank.cli.output import listening, print_metrics
from twinrank.core.messages import counted


def evaluate(
    run: RunArgument,
    files: FileArguments,
    labels: OptionalFile = None,
    images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
) -> None:
    """Score a run on labelled pair files. Nothing is fitted or chosen.

    Args:
        run: Run folder.
        files: Labelled pair files. Each is evaluated once; those not used in training are also evaluated together.
        labels: CSV with the columns id,label, if it does not stand beside the file as NAME_labels.csv.
        images: Folder of the images that tables name; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.source import Source
    from twinrank.inference.evaluate import evaluate
    from twinrank.runs import RunFolder

    with listening() as context:
        records = evaluate(RunFolder(run), files, labels, Source(images, columns or {}, resize=resize), context)
    print_metrics(run, list(records))


def predict(
    data: File,
    run: OptionalRuns = None,
    out: OutFile = Path("predictions.csv"),
    probabilities: bool = False,
    images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
) -> None:
    """Predict which image of each pair ranks higher: a CSV id,label.

    A file may be of any length. The CSV is a valid submission to the benchmark.

    Args:
        data: Pair file; it needs neither labels nor ids, and labels in it are not used.
        run: Run folder or stack folder. With several, separated by commas, their mean predicts. The default is the
            network that comes with twinrank, which knows the benchmark's occluded digits.
        out: CSV.
        probabilities: Write more columns: the probability of left, of a tie where ties are modelled, the logit, and the
            names of both images where a table has them.
        images: Folder of the images that a table names; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.source import Source
    from twinrank.inference.label import write_predictions
    from twinrank.inference.load import images_of_training, load_predictor
    from twinrank.runs import PRETRAINED

    runs = [PRETRAINED] if run is None else run
    predictor, used = load_predictor(*runs), images_of_training(*runs)
    source = Source(images, columns or {}, resize=resize)
    with listening() as context:
        progress = partial(context.progress, str(data))
        count = write_predictions(
            predictor,
            data,
            out,
            probabilities=probabilities,
            source=source,
            used=used,
            context=context,
            progress=progress,
        )
    words = ("probability", "probabilities") if probabilities else ("label", "labels")
    print(f"{out}: {counted(count, *words)} for {data}")
