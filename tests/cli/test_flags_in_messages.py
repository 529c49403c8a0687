"""Parameters that messages of the library name in backticks are flags of a command, or known to Python alone."""

import ast
import re
from pathlib import Path

import twinrank
from twinrank.cli.commands import FAMILIES, GROUPS, function
from twinrank.cli.networks import networks
from twinrank.cli.parsing import flags_of

SOURCE = Path(twinrank.__file__).parent
PYTHON_ALONE = {
    "api/classifier.py": {"X", "y", "validation", "validation_fraction"},
    "api/pairs.py": {"Judgements"},
    "api/values.py": {"options"},
}
"""Parameters of the Python front door. Those of arrays, below `evaluation`, no file or flag can make wrong."""


def all_flags() -> set[str]:
    """The parameters that some command turns into a flag."""
    commands = [each for group in networks().values() for each in group.values()]
    for name in (name for group in GROUPS.values() for name in group if name != "train"):
        commands += [function(name, each) for each in FAMILIES[name]] if name in FAMILIES else [function(name)]
    return {name for command in commands for name in flags_of(command)}


def named_in_messages(path: Path) -> set[str]:
    """Words in backticks in a module's strings, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
    ]
    return {word for text in texts for word in re.findall(r"`(\w+)`", text)}


def test_every_parameter_in_a_message_is_a_flag() -> None:
    flags = all_flags()
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith("evaluation/"):
            assert named_in_messages(path) <= flags | PYTHON_ALONE.get(place, set()), place
