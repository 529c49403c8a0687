"""Draw curves, what a network looks at, augmentations, and the ends of a ranking."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from twinrank.cli.arguments import (
    Columns,
    FileArgument,
    ImagesArgument,
    OptionalImages,
    OptionalNumber,
    OutFile,
    RunArgument,
    RunArguments,
    listed,
)
from twinrank.cli.images import ImageFlags
from twinrank.cli.output import listening


def curves(runs: RunArguments, out: OutFile = Path("curves.png"), band: bool = False) -> None:
    """Draw the accuracy on val of one or more runs over their epochs.

    Args:
        runs: Run folders.
        out: Picture: PNG, SVG or PDF, by its ending.
        band: One curve with a band from the worst run to the best. It suits runs that differ in their seed alone.
    """
    from twinrank.reporting.pictures import draw_curves

    print(draw_curves(runs, out, band))


def saliency(
    run: RunArgument,
    file: FileArgument,
    out: OutFile = Path("saliency.png"),
    pairs: int = 8,
    seed: int = 0,
    images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
) -> None:
    """Draw how a network's logit changes where a spot of an image is covered.

    Args:
        run: Run folder.
        file: Pair file.
        out: Picture: PNG, SVG or PDF, by its ending.
        pairs: Number of pairs, taken at random.
        seed: Seed of the choice.
        images: Folder of the images that a table names; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
    """
    from twinrank.data.inputs import require_other_files
    from twinrank.data.source import Source
    from twinrank.inference.saliency import explain
    from twinrank.reporting.pictures import draw_saliency
    from twinrank.runs import RunFolder

    source = Source(images, columns or {}, resize=resize)
    require_other_files([out], file, source)
    with listening() as context:
        explained = explain(RunFolder(run), file, pairs, seed, source, context)
    print(draw_saliency(*explained, out))


def augmentations(
    file: FileArgument,
    out: OutFile = Path("augmentations.png"),
    seed: int = 0,
    flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags(),
) -> None:
    """Draw what each augmentation does to some images of a file.

    Args:
        file: Pair file.
        out: Picture: PNG, SVG or PDF, by its ending.
        seed: Seed of the choice of images.
        flags: Tables: their images and columns.
    """
    from twinrank.data.augmentation.examples import augmented_examples
    from twinrank.data.inputs import require_other_files
    from twinrank.data.judgements import load_pairs
    from twinrank.reporting.pictures import draw_augmentations

    source = flags.source()
    require_other_files([out], file, source)
    with listening() as context:
        data = load_pairs(file, None, source, context)
    print(draw_augmentations(augmented_examples(data, seed), out))


def ranking(
    file: FileArgument,
    images: ImagesArgument,
    out: OutFile = Path("ranking.png"),
    count: int = 6,
    fit: Literal["pad", "native"] = "pad",
    range: listed(float) = (),  # pyright: ignore[reportInvalidTypeForm]
    page: OptionalNumber = None,
) -> None:
    """Draw the images that rank highest and lowest, with their scores.

    Args:
        file: Ranking that rank or fit has written.
        images: Folder of the images that it names.
        out: Picture: PNG, SVG or PDF, by its ending.
        count: Number of images at each end, 1 to 20; half of a shorter ranking.
        fit: Whole images, reduced, or (native) their middle at its own resolution, which shows blur and noise.
        range: Values that become black and white, for images of more than 8 bits, such as 0,4095.
        page: Page or frame of files with several, from 0.
    """
    from twinrank.data.images.reading import Reading
    from twinrank.reporting.ranking_ends import draw_ranking

    print(draw_ranking(file, images, out, count, Reading(fit=fit, range=range or None, page=page)))
