from pathlib import Path
from typing import Any

import pytest

from twinrank.core.files import write_json
from twinrank.core.steps import Steps
from twinrank.errors import InputError

STEP = {"step": "train", "seconds": 1.0, "peak_memory_mb": 2, "inputs": {}, "outputs": {}}


@pytest.mark.parametrize("bent", [{}, 3, [3], [{}], [STEP | {"seconds": "long"}], [STEP | {"outputs": {"a": 1}}]])
def test_bent_steps_are_one_line(tmp_path: Path, bent: Any) -> None:
    write_json(tmp_path / "steps.json", bent)
    with pytest.raises(InputError, match=r"steps\.json: not a list of steps .*without it all steps are done again"):
        Steps(tmp_path / "steps.json", print)


def test_a_step_with_the_same_inputs_is_done_once(tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        with Steps(tmp_path / "steps.json", lines.append).step("write", {"a": 1}, [tmp_path / "a"]) as todo:
            if todo:
                (tmp_path / "a").write_text("a")
    assert lines[-1].startswith("write: done before")
