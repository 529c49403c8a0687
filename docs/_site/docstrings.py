"""Docstrings for the reference: their examples become code blocks, and their roles become links."""

import ast
import re
from pathlib import Path
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
_ROLE = re.compile(r":(?:func|class|meth|data|mod|attr):`([^`]+)`")


class Docstrings(griffe.Extension):
    """Changes the docstrings that griffe has read."""

    def __init__(self) -> None:
        package = ast.parse(Path("src/twinrank/__init__.py").read_text(encoding="utf-8"))
        (names,) = (each.value for each in package.body if isinstance(each, ast.Assign) and _is_all(each))
        self._public = frozenset(ast.literal_eval(names))

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change one docstring."""
        if obj.docstring:
            text = _ROLE.sub(self._link, obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", text)

    def _link(self, role: re.Match[str]) -> str:
        name = role[1].removeprefix("~").removeprefix("twinrank.")
        return f"[`{name}`][twinrank.{name}]" if name.partition(".")[0] in self._public else f"`{name}`"


def _is_all(assignment: ast.Assign) -> bool:
    (target,) = assignment.targets
    return isinstance(target, ast.Name) and target.id == "__all__"
