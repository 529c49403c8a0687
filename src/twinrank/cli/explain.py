"""Commands that explain and compare what was trained."""

from twinrank.cli.arguments import (
    Columns,
    FileArgument,
    ImagesOrNumber,
    OptionalFolder,
    OptionalOutFile,
    RunArgument,
    RunArguments,
    RunsArgument,
)
from twinrank.cli.output import listening, say
from twinrank.core.context import Context


def report(run: RunArgument, out: OptionalOutFile = None, figures: OptionalFolder = None) -> None:
    """Write the page of a run or a stack: figures, pictures, intervals.

    Args:
        run: Run folder, or stack folder.
        out: Page; report.html in that folder by default.
        figures: Folder for the figures as PNG files, too.
    """
    from twinrank.workflows.report import report

    print(report(run, out, figures))


def leaderboard(runs: RunArguments, out: OptionalFolder = None) -> None:
    """Compare runs and stacks in one table, the best on val first.

    The table has accuracy, log-loss, calibration and cost, and marks ties.

    Args:
        runs: Evaluated run folders, and stack folders, about the same rows.
        out: Folder for the table as leaderboard.md, leaderboard.csv, leaderboard.json and leaderboard.png.
    """
    from twinrank.reporting.leaderboard import leaderboard_text, read_field, write_leaderboard

    field = read_field(runs)
    board = field.rank()
    print(leaderboard_text(board, field))
    if out is not None:
        for written in write_leaderboard(board, field, out):
            print(written)


def ablation(runs: RunArguments, base: str = "base", out: OptionalFolder = None) -> None:
    """Compare runs that each differ from a base in one thing, row by row.

    Only seeds that both have are compared.

    Args:
        runs: Evaluated run folders named FACTOR_seedSEED, for example those of "twinrank run ablations".
        base: Factor that the others are compared with.
        out: Folder for the table as ablation.md and ablation.json.
    """
    from twinrank.reporting.ablation import ablation_text, read_ablation, write_ablation

    effects = read_ablation(runs, base)
    print(ablation_text(effects))
    if out is not None:
        for written in write_ablation(effects, out):
            print(written)


def order(
    run: RunsArgument,
    file: FileArgument,
    images: ImagesOrNumber = None,
    number: int = 200,
    seed: int = 0,
    out: OptionalFolder = None,
    columns: Columns = None,
    resize: bool = False,
) -> None:
    """Test whether the predictions of all pairs of some images form one ranking.

    The command counts cycles, and pairs whose prediction changes when they are swapped. All pairs are not like those of
    a file. Some are of equal rank, others are further apart than any in training.

    Args:
        run: Run folder or stack folder. With several, separated by commas, their mean predicts.
        file: Pair file; labels in it are not used.
        images: Folder of the images that a table names; that of the table by default. A number counts as --number.
        number: Number of different images, taken at random from both sides.
        seed: Seed of the choice.
        out: Folder for order.json and cycles.png.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.inputs import require_other_files
    from twinrank.data.source import Source
    from twinrank.inference.load import load_predictor
    from twinrank.inference.order import order as measure
    from twinrank.reporting.order import order_text, write_order, written_files

    folder, number = (None, images) if isinstance(images, int) else (images, number)
    source = Source(folder, columns or {}, resize=resize)
    if out is not None:
        require_other_files(written_files(out), file, source)
    with listening() as context:
        found = measure(load_predictor(*run), file, number, seed, source, context)
    print(order_text(found.report, found.rows))
    if out is not None:
        for written in write_order(*found, out):
            print(written)


def verify(run: RunArgument) -> None:
    """Compute every figure of a report again; exit with 1 if one differs.

    Args:
        run: Run folder, or stack folder.
    """
    from twinrank.workflows.verify import verify

    verify(run, context=Context(say))
    print(f"{run}: every figure is what the files give")
