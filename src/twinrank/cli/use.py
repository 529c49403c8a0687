"""Commands that use a trained network or stack."""

from functools import partial
from pathlib import Path
from typing import Literal

from twinrank.cli.arguments import (
    Columns,
    File,
    FileArguments,
    OptionalFile,
    OptionalImages,
    OptionalOutFile,
    OptionalRuns,
    OutFile,
    RunArgument,
    RunsArgument,
)
from twinrank.cli.output import listening, print_metrics, print_records
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
        run: Run folder, or an exported file or folder. For the latter, the figures are printed and not kept.
        files: Labelled pair files. Each is evaluated once; those not used in training are also evaluated together.
        labels: CSV with the columns id,label, if it does not stand beside the file as NAME_labels.csv.
        images: Folder of the images that tables name; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.source import Source
    from twinrank.inference.load import is_exported, load_predictor, unknown_use

    if is_exported(run):
        from twinrank.inference.scored_files import score_files

        predictor = load_predictor(run)
        with listening() as context:
            scored = score_files(predictor, files, labels, Source(images, columns or {}, resize=resize), context)
            for line in unknown_use([run], predictor, "figures of rows with these are too high"):
                context.say(line)
        print_records(scored)
        return
    from twinrank.inference.evaluate import evaluate
    from twinrank.runs import RunFolder

    with listening() as context:
        records = evaluate(RunFolder(run), files, labels, Source(images, columns or {}, resize=resize), context)
    print_metrics(run, list(records))


def export(
    run: RunsArgument,
    format: Literal["onnx", "safetensors", "web"] = "onnx",
    out: OptionalOutFile = None,
    int8: bool = False,
    check: OptionalFile = None,
    images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
) -> None:
    """Write a network, a mean or a stack for other programs, with a model card.

    It is compared with the original on labelled pairs. Nothing is kept if they differ.

    Args:
        run: Run folder or stack folder. With several, separated by commas, their mean is exported.
        format: onnx needs onnxruntime to predict, and not torch. web is a page to draw two digits on, which runs the
            network in a browser. safetensors is a folder that is read like the run.
        out: File that ends in .onnx for one network, else a new folder; model.onnx, model or page by default.
        int8: Compute convolutions in 8 bits. It is refused if it loses more than 1% of accuracy.
        check: Labelled pair file of the comparison; the val of the run by default.
        images: Folder of the images that tables name; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.source import Source
    from twinrank.exporting.card import check_lines
    from twinrank.workflows.export import export

    stated = images is not None or bool(columns) or resize
    source = Source(images, columns or {}, resize=resize) if stated else None
    with listening() as context:
        made = export(run, out, format=format, int8=int8, check_file=check, source=source, context=context)
    if made.check is not None:
        print("\n".join(line.removeprefix("- ") for line in check_lines(made.check)))
    print(made.out)
    print(made.card)


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
        run: Run folder, stack folder, or exported file or folder. With several, separated by commas, their mean
            predicts. The default is the network that comes with twinrank, which knows the benchmark's occluded digits.
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
    from twinrank.inference.load import images_of_training, load_predictor, unknown_use
    from twinrank.runs import PRETRAINED

    runs = [PRETRAINED] if run is None else run
    predictor = load_predictor(*runs)
    source = Source(images, columns or {}, resize=resize)
    with listening() as context:
        progress = partial(context.progress, str(data))
        count = write_predictions(
            predictor,
            data,
            out,
            probabilities=probabilities,
            source=source,
            used=images_of_training(predictor),
            context=context,
            progress=progress,
        )
        for line in unknown_use(runs, predictor, "predictions for its judgements are surer than they should be"):
            context.say(line)
    words = ("probability", "probabilities") if probabilities else ("label", "labels")
    print(f"{out}: {counted(count, *words)} for {data}")
