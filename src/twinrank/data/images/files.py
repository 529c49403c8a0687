"""Work on many image files, in threads; what is wrong with a file is a result like any other."""

import stat
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from twinrank.core.files import folders_below, open_file, reading, sha256
from twinrank.core.machine import available_threads
from twinrank.core.messages import cause
from twinrank.data.images.decode import ENDINGS, OTHER_ENDINGS, UnusableImage
from twinrank.errors import InputError

Result = TypeVar("Result")

_BLOCK = 32
"""Files that a thread works on before it reports."""


def image_files(folder: Path) -> list[Path]:
    """All image files in a folder and its subfolders, by their endings, sorted. Hidden ones are left out.

    Links to folders are followed, see :func:`twinrank.core.files.folders_below`. Images of formats that are not read
    are among them, so that they are refused, and not missing without a word.

    Raises:
        InputError: The folder cannot be read, or there is none in it.
    """
    with reading(folder):
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise InputError(f"{folder}: is no folder; give a folder of images")
        found = []
        for parent, folders, names in folders_below(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            images = (
                name for name in names if not name.startswith(".") and name.lower().endswith((*ENDINGS, *OTHER_ENDINGS))
            )
            found += [parent / name for name in images]
    if not found:
        raise InputError(f"{folder}: no image in it; images end in {', '.join(ENDINGS)}")
    return sorted(found)


def same_content(paths: Sequence[Path]) -> list[Path]:
    """Image files, the first one in place of each that has its bytes. Files of a size that no other has are not read.

    Args:
        paths: Image files; those that cannot be read stay as they are.
    """
    sizes: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            sizes.setdefault(path.stat().st_size, []).append(path)
    first, instead = dict[str, Path](), dict[Path, Path]()
    for path in (path for alike in sizes.values() if len(alike) > 1 for path in alike):
        with suppress(InputError, OSError):
            instead[path] = first.setdefault(sha256(path), path)
    return [instead.get(path, path) for path in paths]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An image file, opened.

    Raises:
        UnusableImage: It is missing, is no regular file, or cannot be read.
    """
    try:
        with open_file(path) as file:
            yield file
    except (InputError, OSError) as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise UnusableImage("that do not exist", "check their paths") from error
        detail = cause(error).removeprefix(f"{path}: ").partition(";")[0]
        raise UnusableImage("that cannot be opened", "check what they are", detail) from error


def in_threads(
    work: Callable[[int], Result], items: Sequence[int], progress: Callable[[int], None], threads: int | None
) -> Iterator[tuple[int, Result | UnusableImage]]:
    """The results of a function for some numbers, in their order; an unusable image is a result.

    Args:
        work: Function of a number. Several threads call it.
        items: Numbers.
        progress: Listener for how many are done.
        threads: Threads; None is all cores.
    """

    def block(numbers: Sequence[int]) -> list[Result | UnusableImage]:
        return [_result(work, number) for number in numbers]

    threads = threads or available_threads()
    # Only as many blocks wait as keep the threads busy, so that results do not pile up.
    waiting: deque[tuple[Sequence[int], Future[list[Result | UnusableImage]]]] = deque()
    done = 0
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # About odd metadata, and about sizes that are refused anyway.
        try:
            blocks = (items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK))
            for numbers in islice(blocks, 2 * threads):
                waiting.append((numbers, pool.submit(block, numbers)))
            while waiting:
                finished, future = waiting.popleft()
                results = future.result()
                for numbers in islice(blocks, 1):
                    waiting.append((numbers, pool.submit(block, numbers)))
                yield from zip(finished, results, strict=True)
                progress(done := done + len(finished))
        finally:
            pool.shutdown(cancel_futures=True)


def _result(work: Callable[[int], Result], number: int) -> Result | UnusableImage:
    try:
        return work(number)
    except UnusableImage as defect:
        return defect
