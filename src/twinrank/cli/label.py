"""Commands for judging pairs of images on a page."""

from pathlib import Path
from typing import Annotated

import tyro

from twinrank.cli.arguments import ImagesArgument, OptionalRuns, OptionalText, OutFile
from twinrank.cli.output import listening
from twinrank.core.messages import counted

_Database = Annotated[str, tyro.conf.arg(metavar="FILE|URL")]


def label(
    images: ImagesArgument,
    out: _Database = "judgements.db",
    question: OptionalText = None,
    model: OptionalRuns = None,
    port: int = 8000,
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1",
    repeat: float = 0.1,
    share_random: float = 0.1,
    resize: bool = False,
) -> None:
    """Judge pairs of images on a page in the browser; several people may.

    fit, rank and data check read the database. 'twinrank label export judgements.db --out votes.csv' writes a table.

    Args:
        images: Folder of images.
        out: Database of the judgements: an SQLite file, or postgresql://USER@HOST/NAME. One that is there goes on.
        question: Question that is asked, such as "Which is sharper?"; that of the database by default.
        model: Run folder. Its scores help to choose the pairs.
        port: Port of the page; 0 for any that is free.
        host: Address of the page. Only this machine reaches 127.0.0.1; 0.0.0.0 is open to the network, without a
            password.
        repeat: Share of the pairs that is shown again, to measure how far people agree.
        share_random: Share of the others that is drawn at random, once all images are connected.
        resize: Bring images of another size to that of the run's training. The page shows them as they are.
    """
    from twinrank.workflows.label import label

    with listening() as context:
        label(
            images,
            out,
            question=question,
            runs=model or (),
            host=host,
            port=port,
            repeat=repeat,
            share_random=share_random,
            resize=resize,
            context=context,
        )


def export(database: tyro.conf.Positional[_Database], out: OutFile = Path("votes.csv")) -> None:
    """Write the judgements of a page as a table.

    Skipped pairs and answers that were taken back are left out.

    Args:
        database: Database of 'twinrank label': a file, or postgresql://USER@HOST/NAME.
        out: CSV: left, right, winner (an image, or tie), rater, time, drawn, seconds, question.
    """
    from twinrank.workflows.label import export_labels

    print(f"{out}: {counted(export_labels(database, out), 'judgement', 'judgements')}")
