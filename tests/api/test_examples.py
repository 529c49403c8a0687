"""Python in README and docs, and the examples, run as they stand, but for their sizes."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from twinrank.benchmark.mnist import Mnist

ROOT = Path(__file__).parents[2]
NOTEBOOK = json.loads((ROOT / "examples" / "benchmark_in_ten_minutes.ipynb").read_text(encoding="utf-8"))
SIZES = {"PAIRS": 300, "TESTS": 40, "EPOCHS": 2, "WIDTH": 2}


@pytest.fixture(autouse=True)
def small_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist: Mnist) -> None:
    """An empty folder, with MNIST in the cache, and no window for pictures."""
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")


def changed(code: str, sizes: dict[str, int]) -> str:
    """Code with other sizes; each of them is in it."""
    for name, size in sizes.items():
        code, found = re.subn(rf"\b{name}(\s*=\s*)[\d_]+", rf"{name}\g<1>{size}", code)
        assert found, name
    return code


def python_of(page: str) -> str:
    """All Python that a page shows."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


def test_readme_runs(benchmark_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").symlink_to(benchmark_folder)
    code = changed(python_of("README.md"), {"epochs": 1}).replace("epochs=1", 'epochs=1, options={"width": 2}')
    exec(code, {})
    low_to_high = [float(word) for word in capsys.readouterr().out.splitlines()[-1].split()]
    assert low_to_high[1] <= low_to_high[0] <= low_to_high[2]


def test_the_page_of_the_benchmark_runs() -> None:
    names: dict[str, Any] = {}
    exec(python_of("docs/benchmark.md"), names)
    assert names["xa"].shape == (128, 1, 28, 28)


def test_the_page_of_ten_minutes_makes_images() -> None:
    exec(python_of("docs/ten-minutes.md").replace("range(60)", "range(4)"), {})
    assert [path.name for path in sorted(Path("photos").iterdir())] == ["00.png", "01.png", "02.png", "03.png"]


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = python_of("docs/python.md")
    sizes = {"pairs_train": 240, "pairs_val": 60, "pairs_public": 20, "pairs_private": 20, "epochs": 1, "cv": 2}
    exec(changed(code, sizes), {"__name__": "page"})
    shown = capsys.readouterr().out.splitlines()
    assert "Run(runs/small: order_net, 1 epoch)" in shown
    assert "{'lr':" in "".join(shown)
    # What its comments say of an error is so.
    assert shown[-1] == re.findall(r"print\(error\)  # (.*)", code)[-1]


def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    first, *others = ["".join(cell["source"]) for cell in cells]
    names: dict[str, object] = {}
    for code in (changed(first, SIZES), *others):
        exec(code, names)
    assert "exactly opposite: True" in capsys.readouterr().out
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)


def test_the_training_loop_runs(benchmark_folder: Path) -> None:
    main: Callable[..., float] = runpy.run_path(str(ROOT / "examples" / "training_loop.py"))["main"]
    accuracy = main(str(benchmark_folder / "train.npz"), str(benchmark_folder / "val.npz"), epochs=1, width=2)
    assert 0 <= accuracy <= 1
