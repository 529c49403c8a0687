"""A short run: whatever is in a file, a command works, or says in one line what is wrong."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.figures import table_lines
from tests.fuzz.trial import trial
from tests.fuzz.visit import visit
from tests.fuzz.world import TARGETS, make_world

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "world"
    make_world(folder)
    return folder


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "recipes"])
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_bent_file_is_read_or_refused(world: Path, name: str, seed: int) -> None:
    done = trial(world, world.with_name(name), name, Random(seed))
    assert done.problem is None, f"{done.problem}: {done.what}\n{done.text[-2000:]}"


def test_requests_of_any_content_lose_no_answer(world: Path) -> None:
    done = visit(world, world.with_name("visited"), Random(0), 60)
    assert not done.problems, "\n".join(done.problems)
    assert done.kept > 5
    assert min(done.counts["answered"], done.counts["refused in one line"]) > 30


def test_the_page_has_the_figures_of_the_long_run() -> None:
    found = json.loads((ROOT / "results" / "trust" / "fuzz.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    assert "\n".join(table_lines(found["targets"])) in page
    assert found["command"] in page
