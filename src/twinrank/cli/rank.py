"""Commands that rank images and choose what to judge next."""

from pathlib import Path

from twinrank.cli.arguments import (
    Columns,
    ImagesArgument,
    OptionalFile,
    OptionalImages,
    OptionalNumber,
    OutFile,
    RunsArgument,
)
from twinrank.cli.output import listening, say
from twinrank.core.messages import counted


def rank(
    run: RunsArgument,
    images: ImagesArgument,
    out: OutFile = Path("ranking.csv"),
    judgements: OptionalFile = None,
    judged_images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
    seed: int = 0,
) -> None:
    """Rank the images of a folder: scores with 95% intervals.

    A difference of 1 between two scores is a log-odds of 1. An image that nobody judged keeps the network's score.

    Args:
        run: Run folder, or exported file. With several, separated by commas, the mean of their scores counts.
        images: Folder of images.
        out: CSV: image, score, low, high, rank, rank_low, rank_high, comparisons. A page stands beside it.
        judgements: Table of judgements of these images. Those that training used count twice, so their intervals are
            too narrow.
        judged_images: Folder of the images that the table names; the folder of images by default.
        columns: Columns of the table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
        seed: Seed of the random draws behind intervals.
    """
    from twinrank.data.source import Source
    from twinrank.workflows.rank import rank

    with listening() as context:
        source = Source(judged_images, columns or {}, resize=resize)
        scored = rank(run, images, out, judgements, source=source, seed=seed, context=context)
    for note in scored.notes:
        say(f"note: {note}")
    rows = 0 if scored.comparisons is None else len(scored.comparisons)
    ranked = counted(len(scored.names), "image", "images")
    print(f"{out}: {ranked} ranked, {counted(rows, 'judgement', 'judgements')} used")
    print(out.with_suffix(".html"))


def next(
    run: RunsArgument,
    images: ImagesArgument,
    out: OutFile = Path("next.csv"),
    judgements: OptionalFile = None,
    count: int = 100,
    share_random: float = 0.1,
    per_image: OptionalNumber = None,
    judged_images: OptionalImages = None,
    columns: Columns = None,
    resize: bool = False,
    seed: int = 0,
) -> None:
    """Choose the pairs to judge next: those that tell most.

    Args:
        run: Run folder, or exported file. With several, separated by commas, the mean of their scores counts.
        images: Folder of images.
        out: CSV: left, right, drawn (for its gain, or at random), gain (in bits).
        judgements: Table of the judgements so far. Those that training used count twice, as for rank.
        count: Number of pairs.
        share_random: Share of the pairs that is drawn at random. Only these measure accuracy honestly.
        per_image: Most pairs with one image; twice the average by default, at least 2.
        judged_images: Folder of the images that the table names; the folder of images by default.
        columns: Columns of the table where their names do not tell, such as left=photo_1,right=photo_2; else as in
            training.
        resize: Bring images of another size to that of the training.
        seed: Seed of the choice.
    """
    from twinrank.data.source import Source
    from twinrank.workflows.rank import choose_pairs

    with listening() as context:
        chosen, scored = choose_pairs(
            run,
            images,
            out,
            judgements,
            count=count,
            share_random=share_random,
            per_image=per_image,
            source=Source(judged_images, columns or {}, resize=resize),
            seed=seed,
            context=context,
        )
    for note in scored.notes:
        say(f"note: {note}")
    print(f"{out}: {counted(len(chosen), 'pair', 'pairs')}, {int(chosen.random.sum()):,} of them at random")
    print(
        f"the ranking is expected to order {chosen.right_now:.1%} of all pairs rightly, "
        f"and {chosen.right_after:.1%} after these judgements; it has {'' if chosen.settled else 'not '}settled"
    )
