"""Names of images as people write them, and the files that they mean."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from twinrank.core.files import folders_below, reading
from twinrank.core.messages import first_few, quoted
from twinrank.data.images.decode import ENDINGS
from twinrank.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_MOST_FILES = 300_000
"""Files and folders below a folder that are looked through for the end of a path."""
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


def normal_name(name: str) -> str:
    r"""The name of an image in one spelling: with ``/``, without ``./`` or doubled slashes, in composed Unicode.

    The query of a URL goes where its path names an image file, since signed URLs of one file differ in it.

    >>> normal_name(".\\photos\\\\cafe\u0301.png")
    'photos/café.png'

    Args:
        name: Name, path or URL from a table.
    """
    text = unicodedata.normalize("NFC", name.strip())
    if _URL.match(text):
        start = re.split(r"[?#]", text, maxsplit=1)[0]
        return start if start.lower().endswith(ENDINGS) else text
    text = re.sub(r"/{2,}", "/", text.replace("\\", "/"))
    while text.startswith("./"):
        text = text[2:]
    return text


def find_images(names: Iterable[str], folder: Path | None, table: Path) -> list[Path]:
    """The files that names mean.

    A name is a path from the folder of images, or else from the folder of the table. Case and the form of Unicode
    count only where they decide. The ending may be missing. Of a URL, or a path of another computer, the longest end
    counts that leads to a file; it is accepted only if no other name leads to the same file.

    Args:
        names: Names of images (N,); equal ones are looked for once.
        folder: Folder of the images; None for that of the table.
        table: Table that names them, or its folder.

    Returns:
        A file for each name, (N,). The same file may have several names.

    Raises:
        InputError: Files are missing, or names do not lead to one file each; one line has all of these.
    """
    names = list(names)
    home = table if table.is_dir() else table.parent
    roots = [home] if folder is None or Path(folder).resolve() == home.resolve() else [Path(folder), home]
    with reading(roots[0]):
        if not roots[0].is_dir():
            os.stat(roots[0])  # noqa: PTH116 (fails with the reason if nothing is there)
            raise InputError(f"{roots[0]}: no folder; name the folder of the images with `images`")
    trees = [_Tree(root) for root in roots]
    found = {name: _find(normal_name(name), trees) for name in dict.fromkeys(names)}
    lost = [name for name, place in found.items() if not place.files]
    no_files = [quoted(name) for name in lost if any(tree.has(normal_name(name)) for tree in trees)]
    missing = [quoted(name) for name in lost if quoted(name) not in no_files]
    several = [
        f"{quoted(name)}: {' and '.join(str(file) for file in place.files[:2])}"
        for name, place in found.items()
        if len(place.files) > 1
    ]
    defects = []
    if missing:
        where = " or ".join("this folder" if root == Path() else str(root) for root in roots)
        defects.append(f"images that are not in {where}: {len(missing):,} of {len(found):,} ({first_few(missing)})")
        first = next(name for name in lost if quoted(name) == missing[0])
        elsewhere = trees[0].anywhere(normal_name(first))
        defects += [f"{quoted(first)} is in {elsewhere[0].parent}"] if len(elsewhere) == 1 else []
    if no_files:
        defects.append(f"names of broken links, folders or pipes: {len(no_files):,} ({first_few(no_files)})")
    if several:
        defects.append(f"names that fit several files: {len(several):,} ({first_few(several)})")
    shared = _shared(found)
    if shared:
        defects.append(f"names that lead to one file: {len(shared):,} ({first_few(shared)})")
    if defects:
        remedies = ["correct the names, or name the folder of the images with `images`"] if missing else []
        remedies += ["put images there"] if no_files else []
        raise InputError(f"{table}: {'; '.join(defects)}; {'; '.join(remedies) or 'rename the files'}")
    return [found[name].files[0] for name in names]


@dataclass(frozen=True)
class _Place:
    """Files that a name may mean, and whether only the end of the name led there."""

    files: list[Path]
    shortened: bool = False


def _shared(found: dict[str, _Place]) -> list[str]:
    names = defaultdict(list)
    for name, place in found.items():
        if len(place.files) == 1:
            names[place.files[0]].append(name)
    return [
        f"{' and '.join(map(quoted, group[:2]))}: {file}"
        for file, group in names.items()
        if len(group) > 1 and any(found[name].shortened for name in group)
    ]


def _find(name: str, trees: list["_Tree"]) -> _Place:
    path = _path_of(name)
    absolute = bool(_ABSOLUTE.match(path))
    if not _ABSOLUTE.match(name):  # A file may also be called like an address.
        for tree in trees:
            files = tree.exact(name)
            if not files and path == name:
                files = tree.exact(path.removeprefix(f"{tree.root.resolve().name}/"))
            if files:
                return _Place(files)
        if path == name:
            return _Place([])
    if absolute and os.path.isfile(path):  # noqa: PTH113 (a Path would fail where the name is too long)
        return _Place([Path(path)])
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    ends = [parts[start:] for start in range(len(parts))]
    if parts and _UPLOADED.match(parts[-1]):
        ends.append([_UPLOADED.sub("", parts[-1], count=1)])
    for tree in trees:
        for look in (tree.exact, tree.anywhere):
            for end in ends:
                files = look("/".join(end))
                if files:
                    return _Place(files, shortened=True)
    return _Place([])


def _path_of(name: str) -> str:
    """The path in a URL, or in the address of a local file in Label Studio (``/data/local-files/?d=PATH``)."""
    if not _URL.match(name) and "?d=" not in name:
        return name
    try:
        parts = urlsplit(name)
    except ValueError:  # brackets that do not match, for example
        return name
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    return path if path.startswith("/") else f"/{path}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _key(entry: str) -> str:
    """A file's own name as tables have it: without blanks at its ends, and ``/`` for a backslash."""
    plain = "\\" not in entry and entry == entry.strip()
    return _folded(entry if plain else normal_name(entry).strip("/"))


def _stem(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if dot + ending.lower() in ENDINGS and stem else name


class _Tree:
    """The files below a folder. Each folder is listed once, when it is needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[Path, tuple[dict[str, list[str]], dict[str, list[str]]]] = {}

    def exact(self, name: str) -> list[Path]:
        """Files that a path from the root means; several only where case, Unicode or a missing ending leave it open."""
        parts = PurePosixPath(name).parts or ("",)
        *parents, last = parts
        files = [file for file in self._below(self.root, parts) if file.is_file()]
        if files:
            return [file.parent.resolve() / file.name for file in files] if ".." in parents else files
        folders = self._below(self.root, tuple(parents)) if parents else [self.root]
        if ".." in parents:
            folders = [folder.resolve() for folder in folders]
        return [folder / entry for folder in folders for entry in self._without_ending(folder, last)]

    def has(self, name: str) -> bool:
        """Whether a path from the root leads to anything, such as a broken link."""
        return bool(self._below(self.root, PurePosixPath(name).parts or ("",)))

    def _below(self, folder: Path, parts: tuple[str, ...]) -> list[Path]:
        """Where a path leads from a folder. The name of a file or a folder may have several parts, as ``a\\b.png``."""
        found = []
        for end in range(1, len(parts) + 1):
            places = [folder / entry for entry in self._entries(folder, "/".join(parts[:end]))]
            found += places if end == len(parts) else [e for place in places for e in self._below(place, parts[end:])]
        return found

    def anywhere(self, end: str) -> list[Path]:
        """Files below the root whose path ends so; their ending may be missing."""
        wanted = [_folded(part) for part in PurePosixPath(end).parts]
        if not wanted:
            return []
        *parents, last = wanted
        for index in self._everywhere:
            files = [
                path
                for path in index.get(last, [])
                if not parents or [_folded(part) for part in path.parts[-len(wanted) : -1]] == parents
            ]
            if files:
                return files
        return []

    def _entries(self, folder: Path, name: str) -> list[str]:
        if name in ("", ".", ".."):
            return [name] if name else []
        alike = self._listed(folder)[0].get(_folded(name.strip()), [])
        return [entry for entry in alike if normal_name(entry).strip("/") == name.strip()] or alike

    def _without_ending(self, folder: Path, name: str) -> list[str]:
        alike = [entry for entry in self._listed(folder)[1].get(_folded(name), []) if (folder / entry).is_file()]
        return [entry for entry in alike if unicodedata.normalize("NFC", _stem(entry)) == name] or alike

    def _listed(self, folder: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Entries of a folder by name, and image files by their name without its ending; both without case."""
        if folder not in self._listings:
            whole, stems = defaultdict(list), defaultdict(list)
            if folder.is_dir():
                with reading(folder):
                    entries = sorted(os.listdir(folder))  # noqa: PTH208 (names alone, of maybe 100,000 files)
                for entry in entries:
                    whole[_key(entry)].append(entry)
                    if _stem(entry) != entry and not entry.startswith("._"):
                        stems[_folded(_stem(entry))].append(entry)
            self._listings[folder] = (dict(whole), dict(stems))
        return self._listings[folder]

    @cached_property
    def _everywhere(self) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        whole, stems, seen = defaultdict(list), defaultdict(list), 0
        for folder, _, files in folders_below(self.root, must_read=False):
            seen += len(files) + 1
            if seen > _MOST_FILES:  # What is found in a part of them might be there twice.
                return {}, {}
            for entry in sorted(files):
                if not entry.startswith("._"):
                    whole[_folded(entry)].append(Path(folder, entry))
                    if _stem(entry) != entry:
                        stems[_folded(_stem(entry))].append(Path(folder, entry))
        return dict(whole), dict(stems)
