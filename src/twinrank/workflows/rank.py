"""``twinrank rank`` and ``twinrank next``: score the images of a folder, rank them, choose pairs to judge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinrank.core.context import Context
from twinrank.core.files import read_json, require_ending, write_text
from twinrank.core.messages import counted
from twinrank.data.formats.votes.write import as_csv
from twinrank.data.images.store import ImageStore
from twinrank.data.inputs import require_other_files, require_own_columns
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.next_pairs import NextPairs, next_pairs
from twinrank.evaluation.prior_given import prior_given
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import ScorePosterior, posterior
from twinrank.inference.exported import ExportedNetwork
from twinrank.inference.judged import as_comparisons
from twinrank.inference.load import images_of_training, is_exported, load_predictor, unknown_use
from twinrank.inference.predictor import Predictor
from twinrank.runs import RunFolder
from twinrank.workflows.rank_page import write_page

COLUMNS = ("image", "score", "low", "high", "rank", "rank_low", "rank_high", "comparisons")
PAIR_COLUMNS = ("left", "right", "drawn", "gain")


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """Images with scores.

    Attributes:
        images: The images.
        names: Their names, (M,).
        network: Scores of the network, float64 (M,), on the scale of the posterior.
        scores: Scores with intervals and ranks.
        comparisons: Judgements that sharpened them, or None.
        judgements: The same as they were read, or None.
        notes: What a reader of the scores must know, a line each.
        used: Whether training used an image, bool (M,).
    """

    images: ImageStore
    names: tuple[str, ...]
    network: np.ndarray
    scores: ScorePosterior
    comparisons: Comparisons | None
    judgements: Judgements | None
    notes: tuple[str, ...]
    used: np.ndarray


def score_images(
    runs: Sequence[Path],
    images: Path | ImageStore,
    judgements: Path | Judgements | None = None,
    *,
    source: Source | None = None,
    seed: int = 0,
    context: Context = Context(),
) -> ScoredImages:
    """Score the images of a folder by networks and judgements.

    Scale and spread of the scores are fitted to the judgements of images that training did not use. Where these are
    few, they are those of the run, which were fitted to its ``val``. Raters and ties are those of the run where it
    knows all raters from no fewer judgements. Else they are fitted, too.

    Args:
        runs: Run folders; the scores of several are averaged.
        images: Folder of images, or a store of them.
        judgements: Judgements of them, or None. Those that training used count twice, so intervals are too narrow.
        source: How the judgements are read; the folder of their images is ``images`` unless it says otherwise.
        seed: Root seed of the draws.
        context: Listeners.

    Raises:
        InputError: A run, an image or the judgements are refused, or no judgement is about these images.
    """
    source = source or Source()
    _require_judgements(judgements, source)
    predictor = load_predictor(*runs)
    if isinstance(images, ImageStore):
        store = predictor.form.fitted(images, images.path, source.resize)
    else:
        store = predictor.form.folder(images, source, context)
    network = predictor.scores(store)
    rows, given, notes = None, None, []
    used = used_images(predictor, store)
    prior, judging = of_run(runs)
    notes += _about_exported(runs, predictor, used)
    if judgements is not None:
        given = judgements
        if not isinstance(given, Judgements):
            where = replace(source, images=source.images or store.path)
            given = predictor.form.load(given, None, where, context)
        rows = as_comparisons(given, store)
        if not len(rows):
            raise InputError(f"{given.path}: none of its judgements is about two images in {store.path}; name others")
        if lost := len(given) - len(rows):
            notes.append(
                f"{given.path}: {lost:,} of {counted(len(given), 'judgement', 'judgements')} left out; they are not"
                " about two images here"
            )
        notes += _used_in_training(used, rows)
        prior, judging = prior_given(network, rows, prior, judging, used, seed)
    if prior is None:
        notes.append("no judgements, and the run has no scale of scores: intervals assume a spread of 1")
        prior = Prior()
    rows_or_none = rows or Comparisons(np.zeros(0), np.zeros(0), np.zeros(0))
    scores = posterior(network, prior, rows_or_none, judging, seed)
    names = tuple(store.name(image) for image in range(len(store)))
    return ScoredImages(store, names, prior.scale * network, scores, rows, given, tuple(notes), used)


def rank(
    runs: Sequence[Path],
    images: Path | ImageStore,
    out: Path,
    judgements: Path | Judgements | None = None,
    *,
    source: Source | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
    context: Context = Context(),
) -> ScoredImages:
    """Rank the images of a folder; write the ranking as a CSV, the highest first, and a page beside it.

    Args:
        runs: Run folders; the scores of several are averaged.
        images: Folder of images, or a store of them.
        out: CSV with the columns :data:`COLUMNS`. Intervals are of 95%. The page has its name, with the ending .html.
        judgements: Judgements of these images, or None, as of :func:`score_images`.
        source: How the judgements are read.
        seed: Root seed of the draws.
        notes: More that a reader must know, a line each.
        context: Listeners.

    Raises:
        InputError: As :func:`score_images`, ``out`` is no CSV or has columns of others, or it cannot be written.
    """
    page = out.with_suffix(".html")
    _require_other_files([out, page], judgements, source)
    require_own_columns(out, COLUMNS)
    scored = score_images(runs, images, judgements, source=source, seed=seed, context=context)
    scored = replace(scored, notes=(*notes, *scored.notes))
    scores = scored.scores
    order = np.argsort(scores.rank)
    columns = [
        [scored.names[image] for image in order],
        *([f"{each:.4f}" for each in part[order]] for part in (scores.mean, scores.low, scores.high)),
        *(part[order].tolist() for part in (scores.rank, scores.rank_low, scores.rank_high)),
        [f"{each:g}" for each in scores.comparisons[order]],
    ]
    write_text(out, as_csv(COLUMNS, [*zip(*columns, strict=True)]))
    write_page(scored, runs, page, context)
    return scored


def choose_pairs(
    runs: Sequence[Path],
    images: Path | ImageStore,
    out: Path,
    judgements: Path | Judgements | None = None,
    *,
    count: int = 100,
    share_random: float = 0.1,
    per_image: int | None = None,
    source: Source | None = None,
    seed: int = 0,
    context: Context = Context(),
) -> tuple[NextPairs, ScoredImages]:
    """Choose the pairs of images to judge next, and write them as a CSV.

    Args:
        runs: Run folders; the scores of several are averaged.
        images: Folder of images, or a store of them.
        out: CSV with the columns :data:`PAIR_COLUMNS`: ``drawn`` is "at random" or "for its gain", which is in bits.
        judgements: Judgements so far, or None, as of :func:`score_images`.
        count: Number of pairs.
        share_random: Share of the pairs that is drawn at random, for honest evaluation.
        per_image: Most pairs with one image; None for twice the average, at least 2.
        source: How the judgements are read.
        seed: Root seed.
        context: Listeners.

    Raises:
        InputError: As :func:`score_images`, a value is out of range, ``out`` is no CSV or has columns of others, or
            it cannot be written.
    """
    _require_other_files([out], judgements, source)
    require_own_columns(out, PAIR_COLUMNS)
    scored = score_images(runs, images, judgements, source=source, seed=seed, context=context)
    chosen = next_pairs(scored.scores, count, share_random, per_image, seed)
    drawn = np.where(chosen.random, "at random", "for its gain").tolist()
    names, gains = scored.names, [f"{gain:.4f}" for gain in chosen.gain]
    rows = zip(chosen.left.tolist(), chosen.right.tolist(), drawn, gains, strict=True)
    write_text(out, as_csv(PAIR_COLUMNS, [(names[left], names[right], *more) for left, right, *more in rows]))
    return chosen, scored


def _require_judgements(judgements: Path | Judgements | None, source: Source) -> None:
    """Refuse what is stated about a table that is missing."""
    if judgements is None and (source.columns or source.images is not None):
        raise InputError("`judgements` is missing, the table that `columns` and `judged_images` are about; give it")


def _require_other_files(outs: Sequence[Path], judgements: Path | Judgements | None, source: Source | None) -> None:
    """Make sure that a CSV can be written, and that nothing replaces the judgements.

    Raises:
        InputError: The first has another ending, or one holds the judgements.
    """
    require_ending(outs[0], ".csv")
    if judgements is not None:
        table = judgements.path if isinstance(judgements, Judgements) else judgements
        require_other_files(outs, table, source)


def of_run(runs: Sequence[Path]) -> tuple[Prior | None, Judging]:
    """Prior of the scores and judging that one run has stored; several runs have none in common."""
    if len(runs) > 1:
        return None, Judging()
    if is_exported(runs[0]):
        return _of_exported(runs[0])
    folder = RunFolder(runs[0])
    kept = folder.score_prior
    prior = Prior.from_json(read_json(kept), str(kept)) if kept.is_file() else None
    return prior, Judging.load(folder.judging) if folder.judging.is_file() else Judging()


def _of_exported(path: Path) -> tuple[Prior | None, Judging]:
    """The same, of an exported file; a folder of several has none in common."""
    if path.is_dir():
        return None, Judging()
    record, where = ExportedNetwork(path).record, f"{path}: metadata"
    prior = Prior.from_json(record["score_prior"], where) if "score_prior" in record else None
    return prior, Judging.from_json(record["judging"], where) if "judging" in record else Judging()


def used_images(predictor: Predictor, store: ImageStore) -> np.ndarray:
    """Whether training used each image for its score, bool (M,). Out-of-fold scores used no judgement of it."""
    hashes = images_of_training(predictor, scored=True)
    return np.zeros(len(store), bool) if hashes is None else np.isin(store.hashes, hashes)


def _about_exported(runs: Sequence[Path], predictor: Predictor, used: np.ndarray) -> list[str]:
    """What a reader must know of exported files among the runs; ``used`` is that of :func:`used_images`."""
    lines = unknown_use(runs, predictor, "intervals of these are too narrow")
    if used.any() and any(map(is_exported, runs)):
        count = counted(int(used.sum()), "image", "images")
        lines.append(
            f"training used {count} here; an exported file has no out-of-fold scores, so their intervals are too narrow"
        )
    return lines


def _used_in_training(used: np.ndarray, rows: Comparisons) -> list[str]:
    seen = used[np.unique(np.concatenate([rows.left, rows.right]))]
    if not seen.any():
        return []
    images = counted(int(seen.sum()), "judged image was", "judged images were")
    return [f"{images} used in training; if their judgements were, too, these count twice and intervals are too narrow"]
