"""docs/recipes.md has every key that a recipe may have, with its default and meaning, and its examples are valid."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from twinrank.config import BenchmarkConfig, TrainConfig
from twinrank.core.yaml_files import packaged_names
from twinrank.models.registry import entries
from twinrank.workflows.recipe import RECIPES, read_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")


def described(config: type) -> Iterator[str]:
    (body,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(body, ast.ClassDef)
    said = {
        field.target.id: " ".join(text.value.value.split())  # pyright: ignore[reportAttributeAccessIssue]
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
    }
    for field in fields(config):
        yield f"| `{field.name}` | {json.dumps(field.default)} | {said[field.name]} |"


@pytest.mark.parametrize("config", [TrainConfig, BenchmarkConfig])
def test_every_key_is_documented(config: type) -> None:
    missing = [row for row in described(config) if row not in PAGE]
    assert not missing


def test_every_option_of_a_network_is_documented() -> None:
    for entry in entries():
        for option in entry.options:
            assert f"`{option}`" in PAGE, f"{entry.name}: {option}"


def test_every_recipe_is_named() -> None:
    assert not [name for name in packaged_names(RECIPES) if f"`{name}`" not in PAGE]


def test_its_examples_are_valid(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for text in examples:
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        found = read_recipe(str(tmp_path / "own.yaml"))
        assert found.runs or found.grids
