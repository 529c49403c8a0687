"""How ``twinrank fit`` divides judgements: images, or folders of them, are held out as a test."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from twinrank.core.messages import counted
from twinrank.data.formats.votes.table import VoteTable
from twinrank.data.split import PARTS, Split, split_votes
from twinrank.errors import InputError
from twinrank.workflows.split import joined_in_words

SHARES = (0.7, 0.1, 0.2)
"""Of the images: those of the first two parts are fitted, those of the third are the test. A network that is trained
from scratch chooses its epoch on the second part."""
_ENOUGH = 2_000, 3_000
"""Judgements that are enough for the second part and the test, where each image occurs once."""
_FEWEST_FOLDERS, _IMAGES_A_FOLDER = 5, 3
"""Folders that are held out whole: so many at least, with so many images on average."""
_LEAST_TEST = 10
_LARGER_TESTS = 0.3, 0.4
"""Shares of the test that are tried, one after the other, where recurring images leave too few judgements to it."""


def divided(
    votes: VoteTable,
    files: tuple[Sequence[Hashable], Sequence[Hashable]],
    seed: int,
    say: Callable[[str], None],
    folder: Path | None = None,
    contents: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
) -> tuple[VoteTable, Split]:
    """Hold out images, or groups of images, for the test.

    Groups are those of the table. Without any, they are the folders of the images, where there are many with several
    images each: images of one folder are often of one thing.

    Args:
        votes: N judgements.
        files: What their left and right images are known by, such as their files, (N,) each.
        seed: Seed of the division.
        say: Listener.
        folder: Folder of the images, whose folders may be groups; None holds out single images.
        contents: What their contents are known by, (N,) each, where ``files`` has copies of one image.

    Returns:
        The judgements, with their groups, and the division.

    Raises:
        InputError: There are too few judgements or images to hold any out.
    """
    stated = votes.grouped
    folders = None if stated or folder is None else _folders(files, folder)
    shares, made = _shares(files), None
    if folders is not None:
        of = dict(zip([*files[0], *files[1]], folders, strict=True))
        sides = [[of[file] for file in side] for side in files]
        grouped, count = replace(votes, left_group=sides[0], right_group=sides[1]), len(set(folders))
        with suppress(InputError):
            made = split_votes(grouped, "group", shares, seed, files)
        if made is None or len(made.rows(PARTS[2])) < _LEAST_TEST:
            made = None
            say(f"the images lie in {count} folders, too few judgements to hold folders out; images are held out")
        else:
            votes = grouped
            say(f"the images lie in {count} folders, which are held out whole (`groups` none holds out images)")
    if made is None:
        by = "group" if stated else "image"
        try:
            made = split_votes(votes, by, shares, seed, files, contents)
            for larger in _LARGER_TESTS if shares == SHARES else ():
                if len(made.rows(PARTS[2])) >= _LEAST_TEST:
                    break
                shares = 1 - SHARES[1] - larger, SHARES[1], larger
                made = split_votes(votes, by, shares, seed, files, contents)
        except InputError as error:
            raise InputError(
                f"{votes.path}: no judgement is left to test on, since the images are too few, or each stands beside"
                " nearly all others, or most groups have copies of images of others; judge pairs of more images"
            ) from error
    if made.joined:
        say(joined_in_words(made.joined))
    test = len(made.rows(PARTS[2]))
    if test < _LEAST_TEST:
        raise InputError(
            f"{votes.path}: only {test} of {counted(len(votes), 'judgement', 'judgements')} can be held out as a test;"
            " judge more pairs"
        )
    return votes, made


def _shares(files: tuple[Sequence[Hashable], Sequence[Hashable]]) -> tuple[float, float, float]:
    """Shares of the images of each part. Where each image occurs once, small shares of many judgements are enough."""
    count = len(files[0])
    if len({*files[0], *files[1]}) < 2 * count:
        return SHARES
    val, test = (min(share, most / count) for share, most in zip(SHARES[1:], _ENOUGH, strict=True))
    return 1 - val - test, val, test


def _folders(files: tuple[Sequence[Hashable], Sequence[Hashable]], folder: Path) -> list[str] | None:
    both = [path for path in (*files[0], *files[1]) if isinstance(path, Path)]
    names = [path.parent.relative_to(folder).as_posix() if path.is_relative_to(folder) else "" for path in both]
    images = dict(zip(both, names, strict=True))
    counts = Counter(images.values())
    if "." in counts or "" in counts or len(counts) < _FEWEST_FOLDERS:
        return None
    return names if len(images) >= _IMAGES_A_FOLDER * len(counts) else None
