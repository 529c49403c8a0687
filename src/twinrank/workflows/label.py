"""``twinrank label`` and ``twinrank label export``: people judge pairs of a folder's images on a page."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinrank.core.context import Context
from twinrank.core.extras import needed
from twinrank.core.files import require_ending, write_text
from twinrank.core.messages import counted, first_few, quoted
from twinrank.data.formats.votes.database import COLUMNS, is_database, read_database
from twinrank.data.formats.votes.files import changed_images
from twinrank.data.formats.votes.write import as_csv
from twinrank.data.images.decode import OTHER_ENDINGS
from twinrank.data.images.defects import refusal
from twinrank.data.images.display import defects_to_show
from twinrank.data.images.files import image_files
from twinrank.data.inputs import require_kept, require_own_rows
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.prior_given import prior_given
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import ScorePosterior, posterior

if TYPE_CHECKING:
    from twinrank.labelling.storage import LabelStore


@dataclass(frozen=True, eq=False)
class Scoring:
    """Scores of M images from judgements, and from networks if there are some.

    Attributes:
        network: Scores of the networks, float64 (M,); 0 for all without one.
        used: Whether training used an image, bool (M,).
        prior: Prior of the scores that a run has stored, or None.
        judging: How people judge by that run.
    """

    network: np.ndarray
    used: np.ndarray
    prior: Prior | None = None
    judging: Judging = field(default_factory=Judging)

    def __call__(self, rows: Comparisons) -> ScorePosterior:
        """Scores given judgements, at least one."""
        prior, judging = prior_given(self.network, rows, self.prior, self.judging, self.used, seed=0)
        return posterior(self.network, prior, rows, judging)

    @classmethod
    def of(
        cls, images: Path, count: int, runs: Sequence[Path], resize: bool = False, context: Context = Context()
    ) -> "Scoring":
        """The scoring of a folder's images.

        Args:
            images: Folder.
            count: Number of its images.
            runs: Run folders; none for judgements alone.
            resize: Whether the networks get images of another size resized.
            context: Listeners.

        Raises:
            InputError: A run or an image is refused.
        """
        if not runs:
            return cls(np.zeros(count), np.zeros(count, bool))
        # Without a network, the page needs no torch, and is there at once.
        from twinrank.inference.load import load_predictor
        from twinrank.workflows.rank import of_run, used_images

        predictor = load_predictor(*runs)
        store = predictor.form.folder(images, Source(resize=resize), context)
        return cls(predictor.scores(store), used_images(predictor, store), *of_run(runs))


def label(
    images: Path,
    out: str,
    *,
    question: str | None = None,
    runs: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    repeat: float = 0.1,
    share_random: float = 0.1,
    resize: bool = False,
    context: Context = Context(),
) -> None:
    """Serve a page on which people judge pairs of images, until the process is stopped.

    Args:
        images: Folder of images. Those that are there now are judged.
        out: Database: an SQLite file, or the URL of one on a PostgreSQL server. One that is there goes on.
        question: Question that people answer; None for that of the database.
        runs: Run folders, whose scores help to choose the pairs; none is possible.
        host: Address to listen on.
        port: Port; 0 for any that is free.
        repeat: Share of pairs that are shown again, to measure agreement.
        share_random: Share of the others that is drawn at random, once all images are connected.
        resize: Whether networks get images of another size than that of their training resized.
        context: Listeners.

    Raises:
        InputError: A package is missing, or a folder, an image, a database, a run, an address or a value is refused.
    """
    with needed("the page to judge on", "serve"):
        from twinrank.core.web import address_of, bound, is_loopback
        from twinrank.labelling.server import serve
    from twinrank.labelling.choice import Shares
    from twinrank.labelling.databases import alone, place_of
    from twinrank.labelling.session import Session
    from twinrank.labelling.storage import LabelStore

    place = place_of(out)
    if question is not None and not question.strip():
        raise InputError("`question` is empty; ask something, or leave it out")
    shares = Shares(repeat, share_random)
    files = _readable(image_files(images))
    names = _writable([path.relative_to(images).as_posix() for path in files], images)
    notes = _usable(files, names, images, context)
    with bound(host, port) as listening, alone(place):
        scoring = Scoring.of(images, len(files), runs, resize, context)
        store = LabelStore(place, question)
        notes += _of_this_folder(store, dict(zip(names, files, strict=True)), images)
        session = Session(store, names, scoring, shares)
        name = store.name
        context.say(f"{name}: {counted(len(files), 'image', 'images')}, question: {store.question}")
        for note in notes:
            context.say(f"note: {note}")
        context.say(f"{address_of(listening, host)} is the page; Ctrl-C ends it, and nothing is lost")
        if not is_loopback(host):
            context.say("note: everybody who reaches this address may see the images and judge; there is no password")
        with suppress(KeyboardInterrupt):
            serve(session, files, listening, is_loopback(host))
        context.say(f"{name}: {counted(session.judgements, 'judgement', 'judgements')}")


def export_labels(database: str, out: Path) -> int:
    """Write the judgements of a database as a CSV: ``left,right,winner,rater,time,drawn,seconds,question``.

    ``winner`` has the name of an image, or ``tie``. ``question`` is the same in all rows. Skipped pairs and answers
    that were undone are left out.

    Args:
        database: Database of ``twinrank label``: a file, or the URL of one on a PostgreSQL server.
        out: CSV.

    Returns:
        The number of judgements.

    Raises:
        InputError: The database cannot be read or has no judgement, or ``out`` is no CSV or has columns or rows
            of others.
    """
    require_ending(out, ".csv")
    if "://" in database:
        with needed("a database on a server", "serve"):
            from twinrank.labelling.databases import judgements_at
        rows, question = judgements_at(database)
    else:
        require_kept([out], [Path(database)])
        if not Path(database).exists():
            raise InputError(f"{database}: no such file; check the path")
        if not is_database(Path(database)):
            raise InputError(f"{database}: is no database of twinrank label; give one")
        cells = read_database(Path(database))
        rows, question = [*zip(*cells.columns.values(), strict=True)], cells.question or ""
    columns, rows = (*COLUMNS, "question"), [(*row, question) for row in rows]
    require_own_rows(out, columns, rows)
    write_text(out, as_csv(columns, rows))
    return len(rows)


def _readable(files: list[Path]) -> list[Path]:
    """Refuse image files of formats that no other command reads."""
    if other := [path.name for path in files if path.name.lower().endswith(OTHER_ENDINGS)]:
        raise InputError(
            f"{files[0].parent}: {counted(len(other), 'image', 'images')} of formats that are not read"
            f" ({first_few(other)}); save them as PNG"
        )
    return files


def _writable(names: list[str], folder: Path) -> list[str]:
    """Refuse names of files that are no text: no database and no page can hold them."""
    if odd := [quoted(name) for name in names if any("\ud800" <= letter <= "\udfff" for letter in name)]:
        raise InputError(
            f"{folder}: {counted(len(odd), 'image has a name', 'images have names')} that is no text in UTF-8"
            f" ({first_few(odd)}); rename them"
        )
    return names


def _usable(files: list[Path], names: list[str], folder: Path, context: Context) -> list[str]:
    """Refuse images that cannot be shown, before anybody judges them. What other commands refuse is a note."""
    cannot, refused = defects_to_show(files, lambda done: context.progress("images", done, len(files)))
    if cannot:
        raise refusal(folder, names, cannot, lambda number: (0.0, 0.0))
    if not refused:
        return []
    kinds = first_few([f"{quoted(names[number])} {defect.kind}" for number, defect in refused.items()])
    count = counted(len(refused), "image as it is", "images as they are")
    return [f"other commands refuse {count}: {kinds}; fit reads them with --range or --page"]


def _of_this_folder(store: "LabelStore", files: dict[str, Path], folder: Path) -> list[str]:
    """Refuse a database that is about other images. A few images that are gone, or are others now, are a note."""
    judged = sorted({name for row in store.rows() if row.counts for name in (row.left, row.right)})
    gone = [name for name in judged if name not in files]
    line = f"{len(gone):,} of {counted(len(judged), 'judged image', 'judged images')}"
    line += f" {'is' if len(gone) == 1 else 'are'} not in {folder} ({first_few([*map(quoted, gone)])})"
    try:
        if 2 * len(gone) > len(judged):
            raise InputError(f"{store.name}: {line}; choose another `out`, or give the folder that was judged")
        changed = changed_images({name: files[name] for name in judged if name in files}, store.digests(), store.name)
    except InputError:
        store.close()
        raise
    notes = [f"{line}; their judgements are kept, and do not count here"] if gone else []
    return [*notes, changed] if changed else notes
