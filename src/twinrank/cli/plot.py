"""Draw curves, what a network looks at, and augmentations."""

from pathlib import Path

from twinrank.cli.arguments import FileArgument, OutFile, RunArgument, RunArguments


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
    run: RunArgument, file: FileArgument, out: OutFile = Path("saliency.png"), pairs: int = 8, seed: int = 0
) -> None:
    """Draw how a network's logit changes where a spot of an image is covered.

    Args:
        run: Run folder.
        file: Pair file.
        out: Picture: PNG, SVG or PDF, by its ending.
        pairs: Number of pairs, taken at random.
        seed: Seed of the choice.
    """
    from twinrank.inference.saliency import explain
    from twinrank.reporting.pictures import draw_saliency
    from twinrank.runs import RunFolder

    print(draw_saliency(*explain(RunFolder(run), file, pairs, seed), out))


def augmentations(file: FileArgument, out: OutFile = Path("augmentations.png"), seed: int = 0) -> None:
    """Draw what each augmentation does to some images of a file.

    Args:
        file: Pair file.
        out: Picture: PNG, SVG or PDF, by its ending.
        seed: Seed of the choice of images.
    """
    from twinrank.data.augmentation.examples import augmented_examples
    from twinrank.data.judgements import load_pairs
    from twinrank.reporting.pictures import draw_augmentations

    print(draw_augmentations(augmented_examples(load_pairs(file), seed), out))
