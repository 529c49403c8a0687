"""What others read about the package agrees: pyproject, the citation, the workflow for a public host."""

import tomllib
from pathlib import Path

import yaml

import twinrank as tr

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["title"], cited["type"]) == ("1.2.0", PROJECT["name"], "software")
    assert cited["version"] == PROJECT["version"] == tr.__version__
    assert cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]


def test_the_development_tools_have_what_tests_of_the_site_need() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {*extras["docs"]} <= {*extras["dev"]}


def test_the_workflow_runs_the_tests() -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs == [".ci/run", "make docs", "make package"]


def test_the_wheel_will_have_every_file() -> None:
    """Templates, recipes and the network that comes along; ``make package`` looks into the wheel itself."""
    package, patterns = ROOT / "src" / "twinrank", PYPROJECT["tool"]["setuptools"]["package-data"]["twinrank"]
    # Folders of that name have what Python and Numba compiled.
    kept = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = {path for path in kept if path.suffix != ".py"}
    assert files
    assert files <= {path for pattern in patterns for path in package.glob(pattern)}
