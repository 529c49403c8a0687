"""The site has the folders of the repository: ``docs/guide.md`` may link to ``../LOG.md`` and ``../results``.

README.md is the first page. What pages link to comes along: pages, pictures, tables, code. A link to a folder leads to
a list of its files.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from posixpath import join, normpath
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(\]\()([^)\s#]+)")
_BLOCK = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`[^`\n]+`")
_BEFORE_LIST = re.compile(r"^((?![-*+|] |\d+\. )\S.*\n)(?=(?:[-*+]|1\.) )", re.MULTILINE)
_LONGEST_LIST = 100
"""Most files of a folder that a list has."""
_LARGEST = 300_000
"""Bytes of the largest file that is taken from a list."""
_PLAY = "play/index.html"
"""The page that ``play.py`` puts in the place of this one."""
_NO_NETWORK = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Draw two digits</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
p { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
</style>
<p>This copy of the documentation has no network to play with: onnxruntime-web could not be fetched when it was built.
Run <code>make docs</code> where npm reaches its registry. Or run <code>twinrank serve</code>: it has the same page.</p>
"""
_BEGIN = ("README.md", "CHANGELOG.md", "docs/_site/iframe-worker.js", "docs/_site/style.css")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take the pages of ``docs``, README and CHANGELOG, and whatever these link to."""
    root = Path(config.config_file_path).parent
    wanted = [*_BEGIN, *(f"docs/{path.name}" for path in sorted((root / "docs").glob("*.md")))]
    found: dict[str, File] = {}
    for target in wanted:
        path = root / target
        name = _list_name(target, path) if path.is_dir() else target
        if name in found:
            continue
        if path.is_dir() and not (root / name).exists():
            found[name] = File.generated(config, name, content=_listed(root, path))
        elif path.exists():
            found[name] = File.generated(config, name, abs_src_path=str(root / name))
        if name in found and name.endswith(".md"):
            wanted += _targets(name, found[name].content_string)
    found[_PLAY] = File.generated(config, _PLAY, content=_NO_NETWORK)
    return Files([*(file for file in files if not _of_docs(file, config)), *found.values()])


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to folders lead to their lists, and put an empty line before lists, which GitHub does not need."""
    root = Path(config.config_file_path).parent

    def to_list(link: re.Match[str]) -> str:
        path = root / _target(page.file.src_uri, link[2])
        return f"{link[1]}{_list_name(link[2], path)}" if path.is_dir() else link[0]

    # Every second part is a block of code.
    text, blocks = _BLOCK.split(markdown)[::2], _BLOCK.findall(markdown)
    changed = [_BEFORE_LIST.sub(r"\1\n", _LINK.sub(to_list, part)) for part in text]
    return "".join(part + block for part, block in zip_longest(changed, blocks, fillvalue=""))


def _of_docs(file: File, config: MkDocsConfig) -> bool:
    return file.src_dir == config.docs_dir


def _list_name(name: str, folder: Path) -> str:
    return f"{name}/{'README.md' if (folder / 'README.md').exists() else 'index.md'}"


def _targets(page: str, markdown: str) -> Iterator[str]:
    """Paths from the root that a page links to, without addresses and anchors."""
    for _, link in _LINK.findall(_SPAN.sub("", _BLOCK.sub("", markdown))):
        if not re.match(r"[a-z]+:", link):
            yield _target(page, link)


def _target(page: str, link: str) -> str:
    return normpath(join(page, "..", unquote(link)))


def _listed(root: Path, folder: Path) -> str:
    """A page with the files of a folder, by subfolder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    lines = [f"# {folder.relative_to(root).as_posix()}", "", f"{len(files):,} files of the repository.", ""]
    if len(files) > _LONGEST_LIST:
        return "\n".join([*lines, *(f"- `{path.name}`" for path in sorted(folder.iterdir()))])
    names = [path.relative_to(folder).as_posix() for path in files]
    small = [path.stat().st_size <= _LARGEST for path in files]
    return "\n".join(
        [*lines, *(f"- [{name}]({name})" if fits else f"- `{name}`" for name, fits in zip(names, small, strict=True))]
    )
