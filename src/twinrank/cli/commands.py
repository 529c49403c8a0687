"""Which commands there are, in which groups, and the pages that list them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from twinrank.cli.parsing import unknown
from twinrank.core.messages import quoted
from twinrank.errors import InputError

Function = Callable[..., None]

GROUPS: dict[str, dict[str, str]] = {
    "Start here": {"fit": "start", "run": "start", "models": "start"},
    "Your own images": {
        "label": "label",
        "data": "data",
        "evaluate": "use",
        "predict": "use",
        "rank": "rank",
        "next": "rank",
        "export": "use",
        "serve": "serve",
    },
    "Train": {
        "train": "networks",
        "resume": "training",
        "watch": "training",
        "seeds": "training",
        "tune": "training",
        "slim": "training",
    },
    "Combine": {"grid": "combine", "stack": "combine", "audit": "combine", "distill": "combine"},
    "Explain": {
        "report": "explain",
        "leaderboard": "explain",
        "ablation": "explain",
        "order": "explain",
        "plot": "plot",
        "verify": "explain",
    },
    "Benchmark": {"submit": "submit", "record": "benchmark"},
}
"""Commands of each group, and the module of each."""

PURPOSES = {
    "Start here": "a whole result with one command",
    "Your own images": "judge and check pairs, predict, measure, rank, serve",
    "Train": "fit networks to labelled pairs",
    "Combine": "ensembles, and networks that learn from them",
    "Explain": "pages, tables and pictures of what was trained",
    "Benchmark": "submissions and records",
}
"""What each group is for."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "data": ("check", "show", "split", "fetch", "make", "fresh"),
    "plot": ("curves", "saliency", "augmentations", "ranking"),
    "submit": ("check",),
}
"""Commands of two words. Those of a family stand in a module of its name."""

SUBCOMMANDS: dict[str, tuple[str, ...]] = {"label": ("export",)}
"""Second words that commands of one word may have, as functions of the same module. Any other word is an argument."""

_MODULES = {name: module for group in GROUPS.values() for name, module in group.items()}
_ABOUT = "Learn which of two images ranks higher."
_HELP = ("-h", "--help")


@dataclass(frozen=True)
class Found:
    """A command that was given.

    Attributes:
        prog: The words that call it.
        function: What it does.
        arguments: What follows these words.
    """

    prog: str
    function: Function
    arguments: list[str]


def find(arguments: list[str]) -> Found | str:
    """The command that arguments begin with, or a page of help.

    Raises:
        InputError: There is no such command, or its second word is missing.
    """
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in _HELP:
        return page("twinrank", _ABOUT, _groups(), "-h, --help  Show this page.\n  --version   Show the version.")
    name, *rest = arguments
    if name.startswith("-"):
        raise InputError(f"option {quoted(name)} stands before the command; write 'twinrank COMMAND OPTION ...'")
    if name not in _MODULES:
        raise unknown("command", name, _MODULES, "twinrank")
    if name == "train":
        from twinrank.cli.networks import networks, with_source

        if rest and (command := with_source(rest[0])) is not None:
            return Found(f"twinrank train {rest[0]}", command, rest[1:])
        return _member(name, networks(), rest, "model")
    if name in FAMILIES:
        return _member(name, {"": {each: function(name, each) for each in FAMILIES[name]}}, rest, "command")
    if rest and rest[0] in SUBCOMMANDS.get(name, ()):
        return Found(f"twinrank {name} {rest[0]}", function(name, rest[0]), rest[1:])
    return Found(f"twinrank {name}", function(name), rest)


def _member(family: str, groups: Mapping[str, Mapping[str, Function]], rest: list[str], what: str) -> Found | str:
    """A command of a family, by its second word; networks are those of the family train."""
    prog = f"twinrank {family}"
    members = {name: each for group in groups.values() for name, each in group.items()}
    if not rest:
        choice = (
            f"; it is one of {', '.join(members)}" if len(members) < 8 else f"; '{prog} --help' lists what is possible"
        )
        raise InputError(f"{what.upper()} is missing after '{prog}'{choice}")
    name, *rest = rest
    if name in _HELP:
        listed = {title: {each: summary(found) for each, found in group.items()} for title, group in groups.items()}
        return page(prog, about(family), listed, what=what.upper())
    known = name.replace("-", "_") if what == "model" else name
    if known not in members:
        raise unknown(what, name, members, prog)
    return Found(f"{prog} {known}", members[known], rest)


def function(*words: str) -> Function:
    """The function of a command, for example of ``data``, ``make``."""
    return getattr(import_module(f"twinrank.cli.{_MODULES[words[0]]}"), words[-1])


def summary(command: Function) -> str:
    """The first line of a command's docstring."""
    return (inspect.getdoc(command) or "").partition("\n")[0]


def about(family: str) -> str:
    """What a family of commands is for: the first line of its module."""
    return (import_module(f"twinrank.cli.{_MODULES[family]}").__doc__ or "").partition("\n")[0]


def _groups() -> dict[str, dict[str, str]]:
    families = {*FAMILIES, "train"}
    return {
        f"{group} ({PURPOSES[group]})": {
            name: about(name) if name in families else summary(function(name)) for name in commands
        }
        for group, commands in GROUPS.items()
    }


def page(
    prog: str,
    description: str,
    groups: Mapping[str, Mapping[str, str]],
    options: str = "-h, --help  Show this page.",
    what: str = "COMMAND",
) -> str:
    """A page of help that lists commands.

    Args:
        prog: The words that call them.
        description: What they are for.
        groups: A line for each command, by the title of its group.
        options: Lines about options.
        what: What follows the words, in capitals.
    """
    width = max(len(name) for group in groups.values() for name in group)
    lines = [f"usage: {prog} {what} ...", "", description]
    for title, commands in groups.items():
        lines += ["", f"{title or 'Commands'}:"]
        lines += [f"  {name:<{width}}  {text}" for name, text in commands.items()]
    return "\n".join(
        [*lines, "", "Options:", f"  {options}", "", f"'{prog} {what} --help' describes one {what.lower()}."]
    )
