"""Every command that README and docs show is one: the command line understands it, ``make`` and benchmarks have it."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.shown import FENCE, PAGES, ROOT, lines

from twinrank.cli.commands import find
from twinrank.cli.main import _command
from twinrank.errors import InputError

SPAN = re.compile(r"`([^`]+)`")
WORDS = {"MODEL": "order_net", "COMMAND": "fit", "RECIPE": "demo", "SEED": "1", "EPOCHS": "1", "SET": "cells"}
"""What stands for words in capitals. Others are names of files, which need not exist."""
FILES = re.compile("no such file or folder|not a run folder")
UNFINISHED = re.compile("is missing|are missing|name one or more")
"""Within a sentence a command may lack its arguments."""


def commands(page: Path, begin: str) -> Iterator[tuple[str, bool]]:
    """Commands that a page shows, and whether each stands in a block, so is complete."""
    for line in lines(page):
        if line.startswith(begin):
            yield line, True
    for span in SPAN.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if (line := " ".join(span.split())).startswith(begin):
            yield line, False


def refusal(line: str, complete: bool) -> str | None:
    """Why the command line would not run this, besides files that are not there."""
    line = re.sub(r"\b[A-Z]+\b", lambda word: WORDS.get(word[0], word[0]), line.replace("DATA", "--train t --val v"))
    # One of several choices; and nothing is looked up at a hub.
    line = re.sub(r"(hf|timm):\S+", "order_net", re.sub(r"(\w+)\|[\w|]+", r"\1", line))
    arguments = shlex.split(line, comments=True)[1:]
    try:
        if arguments[-1] in ("--help", "..."):
            find(arguments[:-1])
        elif arguments != ["--version"]:
            _command(arguments, {})
    except InputError as error:
        if not FILES.search(str(error)) and (complete or not UNFINISHED.search(str(error))):
            return f"{line}: {error}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_the_command_line_understands(page: str) -> None:
    shown = dict(sorted(commands(PAGES[page], "twinrank ")))
    assert not [*filter(None, (refusal(line, complete) for line, complete in shown.items()))]


def test_what_is_no_command_is_found() -> None:
    assert "--epoch" in (refusal("twinrank train order_net --train a.npz --val b.npz --epoch 3", True) or "")
    assert refusal("twinrank rank runs/a photos --judgement votes.csv", False)
    assert refusal("twinrank plot rankings", False)


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {line.split()[1] for page in PAGES.values() for line, _ in commands(page, "make ")}
    assert shown
    assert shown <= targets


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shown = re.findall(r"pip install .*?\[([\w,]+)\]", "".join(page.read_text("utf-8") for page in PAGES.values()))
    assert shown
    assert {extra for each in shown for extra in each.split(",")} <= {*project["optional-dependencies"]}


def test_benchmarks_have_their_flags() -> None:
    shown = [
        line
        for page in PAGES.values()
        for begin in ("python -m benchmarks", "python benchmarks")
        for line, _ in commands(page, begin)
    ]
    assert shown
    for line in shown:
        _, *words = shlex.split(line, comments=True)
        path = ROOT / (f"{words[1].replace('.', '/')}" if words[0] == "-m" else words[0])
        module = path if path.is_dir() else path.with_suffix(".py")
        sources = sorted(module.parent.glob("*.py")) if module.parent.name != "benchmarks" else [module]
        sources = sorted(module.rglob("*.py")) if module.is_dir() else sources
        code = "".join(source.read_text(encoding="utf-8") for source in sources)
        flags = [word for word in words if word.startswith("--")]
        # A flag is a word of the code, or a field of its options.
        assert not [
            flag for flag in flags if f'"{flag}"' not in code and f"    {flag[2:].replace('-', '_')}: " not in code
        ], line
