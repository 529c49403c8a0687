"""The image files of a table, and the lines that say how it was understood."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from twinrank.core.files import sha256
from twinrank.core.messages import counted, first_few, quoted
from twinrank.data.formats.votes.names import find_images
from twinrank.data.formats.votes.table import VoteTable
from twinrank.errors import InputError


def image_files(votes: VoteTable, images: Path | None, say: Callable[[str], None]) -> list[Path]:
    """The files of the left images, then of the right ones, (2 N,).

    Args:
        votes: N judgements.
        images: Folder of the images; None for that of the table.
        say: Gets the lines. They count files, since two names may mean one.

    Raises:
        InputError: As :func:`twinrank.data.formats.votes.names.find_images`, or most files are not those that were
            judged.
    """
    lines, names = votes.understood, [*votes.left, *votes.right]
    try:
        files = find_images(names, images, votes.path)
        lines = votes.described(len({*files}))
    finally:
        for line in lines:
            say(line)
    if note := changed_images(dict(zip(names, files, strict=True)), votes.digests, str(votes.path)):
        say(f"note: {note}")
    return files


def changed_images(files: Mapping[str, Path], digests: Mapping[str, str], judged_in: str) -> str:
    """What to say about images whose files are not those that were judged; empty where there are none.

    Args:
        files: Files of the judged images, by name.
        digests: SHA-256 of the files that were judged, by name, as far as they are known.
        judged_in: Name of the table or database of the judgements.

    Raises:
        InputError: More than half of the images have other files.
    """
    changed = []
    for name, digest in digests.items():
        # Files that cannot be read are refused later, all at once.
        with suppress(InputError):
            if name in files and sha256(files[name]) != digest:
                changed.append(name)
    if not changed:
        return ""
    line = f"{len(changed):,} of {counted(len(files), 'judged image', 'judged images')}"
    line += f" {'has' if len(changed) == 1 else 'have'} another file now ({first_few([*map(quoted, sorted(changed))])})"
    if 2 * len(changed) > len(files):
        raise InputError(f"{judged_in}: {line}; give the images that were judged")
    return f"{line}; judgements count for the file that is there"
