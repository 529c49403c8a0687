from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinrank.core import memory
from twinrank.data.judgements import load_pairs

Refusal = Callable[..., str]


def leave(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: size)


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((1000, 28, 56)), y=np.zeros(1000, np.int8))
    return tmp_path / "zeros.npz"


def test_what_would_not_fit_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, npz: Path, refusal: Refusal
) -> None:
    needed = 1000 * 28 * 56 * (8 + 4) + 1000
    assert npz.stat().st_size < needed / 100
    leave(monkeypatch, needed - 1)
    line = refusal(npz)
    assert f"loading needs {needed:,} bytes of memory and {needed - 1:,} are available; split the file" in line
    leave(monkeypatch, needed)
    assert len(load_pairs(npz)) == 1000


def test_long_ids_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: Refusal) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((2, 8, 16), np.uint8), id=np.array(["a", "b" * 100_000]))
    leave(monkeypatch, 1_000_000)
    assert "split the file" in refusal(tmp_path / "a.npz")


def test_without_known_memory_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, npz: Path) -> None:
    leave(monkeypatch, None)
    assert len(load_pairs(npz)) == 1000


def test_tables_that_would_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: Refusal
) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    table = tmp_path / "pairs.csv"
    table.write_text("left,right\n" + "a.png,a.png\n" * 10)
    leave(monkeypatch, 100)
    assert "bytes of memory and 100 are available" in refusal(table)


def test_a_control_group_limits_what_is_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = memory.available_memory()
    assert free is not None
    assert free > 1 << 20
    for name, content in (("max", "900000"), ("current", "500000"), ("stat", "anon 1\ninactive_file 100000\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() != 500_000
