import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twinrank.core.processes import child_environment, safe_children

CHILD = """
import time
from twinrank.core.processes import end_with_parent
end_with_parent()
print("up", flush=True)
time.sleep(60)
"""
PARENT = f"""
import subprocess, sys, time
from twinrank.core.processes import child_environment
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=child_environment(), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_of_a_parent_that_is_gone_ends_at_once() -> None:
    environment = child_environment(TWINRANK_PARENT=str(2**22 + 1))
    assert subprocess.run([sys.executable, "-c", CHILD], env=environment, timeout=20).returncode == -signal.SIGTERM


def test_no_code_runs_from_the_working_folder(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for name in ("joblib", "multiprocessing", "numpy", "argparse", "tyro"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    command = [sys.executable, "-m", "twinrank", "data", "show", "--help"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    render = (
        "import sys; sys.path.remove(''); import numpy as np; from twinrank.config import BenchmarkConfig\n"
        "from twinrank.benchmark import generator as g, mnist\n"
        "m = mnist.Mnist(*(np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10) * 2)\n"
        "d = g.drawn_split(m, BenchmarkConfig(pairs_val=700, severity=1), 'val')\n"
        "g.render_split(m.train_images, d, 2)\n"
    )
    found = subprocess.run([sys.executable, "-c", render], cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert not marker.exists()


def test_the_environment_is_as_before_after_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    before = dict(os.environ)
    with safe_children():
        assert os.environ["PYTHONSAFEPATH"] == "1"
    assert dict(os.environ) == before
