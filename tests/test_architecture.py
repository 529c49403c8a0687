"""Layers, sizes, and what may be imported: read from the source, and from fresh interpreters."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import twinrank

SOURCE = Path(twinrank.__file__).parent
LAYERS: list[set[str]] = [
    {"errors", "core", "config", "runs"},
    {"data", "models", "evaluation"},
    {"benchmark", "ensembling"},
    {"inference"},
    {"training"},
    {"tuning"},
    {"reporting"},
    {"exporting", "labelling", "serving"},
    {"workflows"},
    {"api", "cli"},
    {"__main__"},
]
"""From the bottom to the top: a part imports parts of lower layers, and itself."""
TOP = {"__init__.py", "__main__.py", "config.py", "errors.py", "runs.py", "py.typed"}
WITHOUT_TORCH = ("ensembling", "evaluation", "reporting")


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    height = {part: place for place, layer in enumerate(LAYERS) for part in layer}
    own = part_of(path)
    if own == "__init__":
        return
    for name in imported(path):
        if name.startswith("twinrank.") and (part := name.split(".")[1]) in height and part != own:
            assert height[part] < height[own] or {part, own} <= LAYERS[0], name


def test_little_stands_at_the_top() -> None:
    files = {path.name for path in SOURCE.iterdir() if path.is_file()}
    assert files == TOP


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_arrays_and_pages_need_no_torch(part: str) -> None:
    modules = [".".join(("twinrank", *path.relative_to(SOURCE).with_suffix("").parts)) for path in parts(part)]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def parts(part: str) -> Iterator[Path]:
    return (path for path in (SOURCE / part).rglob("*.py") if path.name != "__init__.py")


def test_nothing_is_ever_unpickled_but_the_arrays_of_one_package() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text
        # Public weights come as a pickle of tensors; nothing else in it is accepted.
        assert text.count("torch.load") == text.count("weights_only=True") == (path.name == "lite0.py"), path
        assert ("import pickle" in text) == (path.name == "mnist.py"), path
