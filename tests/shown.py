"""What README and the pages of docs show: their blocks, and the commands in these."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))}
FENCE = re.compile(r"^ *```([a-z]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SHELLS = {"", "sh", "bash"}
"""Languages of blocks in which each line is a command. In others a command stands behind a ``$``."""
_GOES_ON = re.compile(r"(\\|(?<=\|))\n\s*")
_COMMENT = re.compile(r"(^|\s+)#\s.*")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block of a page."""
    yield from FENCE.findall(page.read_text(encoding="utf-8"))


def lines(page: Path) -> Iterator[str]:
    """Commands in the blocks of a page, without comments."""
    for language, block in blocks(page):
        for line in _GOES_ON.sub(" ", block).splitlines():
            command = _COMMENT.sub("", line.removeprefix("$ ")).strip()
            if command and (language in SHELLS or line.startswith("$ ")):
                yield command
