"""YAML files: those that come with twinrank, found by name, and the user's own."""

import os
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from twinrank.core.files import read_text, whole_number
from twinrank.core.messages import quoted
from twinrank.errors import InputError

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_LONGEST, _DEEPEST, _MOST_NODES = 1_000_000, 50, 100_000
"""Characters of a text, levels of nesting, and values after every alias is replaced by what it stands for."""


def packaged_names(folder: str) -> list[str]:
    """Names of the YAML files of a folder that comes with twinrank, without their ending."""
    return sorted(Path(file.name).stem for file in _packaged(folder).iterdir() if file.name.endswith(".yaml"))


def read_yaml(name: str, folder: str, kind: str) -> tuple[Any, str]:
    """A YAML file by its name or path.

    Args:
        name: One of :func:`packaged_names`, or the path of a file.
        folder: Folder that comes with twinrank.
        kind: Kind of file for messages, such as ``recipe``.

    Returns:
        The value of the file, and its name for messages.

    Raises:
        InputError: There is no such file, it cannot be read, or :func:`parse_yaml` refuses it.
    """
    names = packaged_names(folder)
    if name in names:
        text, where = (_packaged(folder) / f"{name}.yaml").read_text(encoding="utf-8"), f"{kind} {name}"
    elif "\0" not in name and os.path.exists(name):  # noqa: PTH110 (a Path fails where the name is too long)
        text, where = read_text(Path(name)), name
    else:
        raise InputError(f"{kind} {quoted(name)} does not exist; choose {', '.join(names)}, or give a YAML file")
    return parse_yaml(text, where), where


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text: mappings with texts as keys, lists, texts, numbers, true, false and null.

    Everything is checked before a value is made, so a text cannot take more memory or time than its length warrants.

    Args:
        text: YAML.
        where: Place of the text, for the message.

    Raises:
        InputError: It is not YAML; a key of a mapping occurs twice or is no text; there is a tag such as ``!!set``; the
            text is too long, nested too deep, or its aliases stand for too much; or a number is out of range.
    """
    try:
        if len(text) > _LONGEST:
            raise yaml.YAMLError(f"{len(text):,} characters; at most {_LONGEST:,} are possible")
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error


def _packaged(folder: str) -> Traversable:
    return resources.files("twinrank").joinpath(*folder.split("/"))


def _check_size(root: yaml.Node) -> None:
    """Refuse aliases that contain themselves, or stand for too much."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, above: tuple[int, ...]) -> int:
        if id(node) in above:
            raise yaml.YAMLError(f"the alias in line {node.start_mark.line + 1} contains itself")
        if id(node) not in sizes:
            within = (*above, id(node))
            sizes[id(node)] = 1 + sum(size(child, within) for child in _children(node))
        return sizes[id(node)]

    if size(root, ()) > _MOST_NODES:
        raise yaml.YAMLError(f"its aliases stand for more than {_MOST_NODES:,} values")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


class _Loader(yaml.SafeLoader):
    """Takes 1e-3 for a number and refuses a key that occurs twice, as YAML 1.2 does and PyYAML does not."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """A value as it is written."""
        event: Any = self.peek_event()
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError(f"line {line} has the tag {quoted(event.tag)}; write the value without a tag")
        if self._depth >= _DEEPEST:
            raise yaml.YAMLError(f"line {line} is nested deeper than {_DEEPEST} levels")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it is written, before ``<<`` adds the keys that it may override."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                continue
            if key.tag != _TEXT:
                written = quoted(key.value) if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                raise yaml.YAMLError(f"a key in line {line} is {written}, which is no text; put it in quotation marks")
            if key.value in lines:
                raise yaml.YAMLError(
                    f"key {quoted(key.value)} of line {lines[key.value]} occurs again in line {line}; keep one"
                )
            lines[key.value] = line
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number that a float can hold, too."""
        number = super().construct_yaml_int(node)
        return whole_number(str(number))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
