"""Who may import whom, read from the source."""

import ast
from pathlib import Path

import pytest

import twinrank

SOURCE = Path(twinrank.__file__).parent
LEAVES = {
    *("errors", "files", "yaml_files", "config", "randomness", "runs", "device", "pixels", "provenance", "steps"),
    "__init__",
}
STACKED = {"ensembling", "stacking", "stacks"}
ALLOWED = {
    "data": {"data"},
    "models": {"models"},
    "training": {"training", "data", "models", "evaluation"},
    "evaluation": {"evaluation", "data", "models"},
    "reporting": {"reporting", "data", "evaluation"},
    "ensembling": {"ensembling", "data", "evaluation"},
    "stacking": {"data", "models", "training", "evaluation", "ensembling"},
    "stacks": {"data", "evaluation", "reporting", "ensembling", "stacking"},
    "auditing": {"data", "models", "evaluation", "ensembling", "stacking"},
    "slimming": {"models"},
    "distilling": {"models", "training", "stacks"},
    "verifying": {"data", "evaluation", "reporting", "ensembling", "stacks"},
    "tuning": {"training", "evaluation", "reporting"},
    "recipe": {"models", "training", "reporting", "ensembling", "stacking"},
    "pipeline": {"auditing", *STACKED, "distilling", "data", "training", "evaluation", "reporting"},
    "cli": {
        *("data", "models", "training", "evaluation", "reporting", "recipe", "pipeline"),
        *("auditing", *STACKED, "distilling", "verifying", "tuning", "slimming"),
    },
    "__main__": {"cli"},
}
WITHOUT_TORCH = [
    *("evaluation/metrics.py", "evaluation/predictions.py", "evaluation/record.py", "evaluation/order.py"),
    "reporting/report.py",
]


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
def test_imports_go_one_way(path: Path) -> None:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("twinrank.")} - {"__version__"}
    assert ours - LEAVES <= ALLOWED.get(part_of(path), set())


def test_metrics_and_reports_see_arrays_and_never_torch() -> None:
    seen: set[str] = set()

    def follow(path: Path) -> None:
        for name in imported(path) | {"twinrank"}:
            assert name.split(".")[0] != "torch", path
            target = SOURCE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if name.startswith("twinrank.") and target.is_file() and name not in seen:
                seen.add(name)
                follow(target)

    for name in WITHOUT_TORCH:
        follow(SOURCE / name)


def test_nothing_is_ever_unpickled_but_the_arrays_of_one_package() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text
        assert "torch.load" not in text
        assert ("import pickle" in text) == (path.name == "mnist.py"), path
