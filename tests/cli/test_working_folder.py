"""No code of the working folder runs, whatever its files are called."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NAMES = "joblib", "multiprocessing", "numpy", "rich", "subprocess", "torch", "typing", "tyro"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["data", "check", "pairs.npz"]], ids=" ".join)
def test_no_module_of_the_working_folder_is_imported(
    twinrank: Callable[..., subprocess.CompletedProcess[str]],
    benchmark_folder: Path,
    tmp_path: Path,
    arguments: list[str],
) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("print('EVIL')\n", encoding="utf-8")
    (tmp_path / "pairs.npz").write_bytes((benchmark_folder / "val.npz").read_bytes())
    result = twinrank(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "EVIL" not in result.stdout + result.stderr
    assert not (tmp_path / "__pycache__").exists()
