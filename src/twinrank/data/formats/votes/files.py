"""The image files of a table, and the lines that say how it was understood."""

from collections.abc import Callable
from pathlib import Path

from twinrank.data.formats.votes.names import find_images
from twinrank.data.formats.votes.table import VoteTable


def image_files(votes: VoteTable, images: Path | None, say: Callable[[str], None]) -> list[Path]:
    """The files of the left images, then of the right ones, (2 N,).

    Args:
        votes: N judgements.
        images: Folder of the images; None for that of the table.
        say: Gets the lines. They count files, since two names may mean one.

    Raises:
        InputError: As :func:`twinrank.data.formats.votes.names.find_images`.
    """
    lines = votes.understood
    try:
        files = find_images([*votes.left, *votes.right], images, votes.path)
        lines = votes.described(len({*files}))
    finally:
        for line in lines:
            say(line)
    return files
