"""YAML files: those that come with twinrank, found by name, and the user's own."""

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from twinrank.errors import InputError

_MERGE = "tag:yaml.org,2002:merge"


def packaged_names(folder: str) -> list[str]:
    """The YAML files of a folder that comes with twinrank, without their ending."""
    return sorted(Path(file.name).stem for file in _packaged(folder).iterdir() if file.name.endswith(".yaml"))


def read_yaml(name: str, folder: str, kind: str) -> tuple[Any, str]:
    """A YAML file by its name or path.

    Args:
        name: one of :func:`packaged_names`, or the path of a file.
        folder: that comes with twinrank.
        kind: of what the file holds, for messages.

    Returns:
        What it holds, and how messages call it.

    Raises:
        InputError: there is no such file, or it is not YAML.
    """
    names = packaged_names(folder)
    if name in names:
        text, where = (_packaged(folder) / f"{name}.yaml").read_text(encoding="utf-8"), f"{kind} {name}"
    elif Path(name).is_file():
        text, where = Path(name).read_text(encoding="utf-8", errors="replace"), name
    else:
        raise InputError(f"{kind} '{name}' does not exist; choose {', '.join(names)}, or give a YAML file")
    return parse_yaml(text, where), where


def parse_yaml(text: str, where: str) -> Any:
    """What a YAML text holds.

    Raises:
        InputError: it is not YAML, or a key of a mapping occurs twice.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error


def _packaged(folder: str) -> Traversable:
    return resources.files("twinrank").joinpath(*folder.split("/"))


class _Loader(yaml.SafeLoader):
    """Takes 1e-3 for a number and refuses a key that occurs twice, as YAML 1.2 does and PyYAML does not."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it is written, before ``<<`` adds the keys that it may override."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line, written = key.start_mark.line + 1, (key.tag, key.value)
            if written in lines:
                raise yaml.YAMLError(
                    f"key '{key.value}' of line {lines[written]} occurs again in line {line}; keep one"
                )
            lines[written] = line
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
