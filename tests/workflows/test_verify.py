"""``twinrank verify`` of a run on people's own images. Those of the benchmark, and stacks, are in ``test_stack.py``."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.errors import CheckFailed
from twinrank.inference.evaluate import evaluate
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.train import train
from twinrank.workflows.report import report
from twinrank.workflows.verify import verify


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that was evaluated on its ``val.npz``, and compared with a simple rule."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 12, 12), np.uint8)
    bright = images.mean((1, 2))
    for name in ("train", "val"):
        left, right = rng.permuted(np.tile(np.arange(20), (60, 1)), axis=1)[:, :2].T
        np.savez(tmp_path / f"{name}.npz", images=images, left=left, right=right, y=bright[left] > bright[right])
    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=1), {"width": 2, "levels": 4})
    files = tmp_path / "train.npz", tmp_path / "val.npz"
    made = train(spec, *files, tmp_path / "run", context=Context(threads=1))
    assert "warnings" in evaluate(made, files[1:])["val"]
    report(made.path)
    return made


def test_the_comparison_with_a_simple_rule_is_made_again(run: RunFolder, tmp_path: Path) -> None:
    verify(run.path)
    written = run.metrics("val").read_text()
    record = json.loads(written)
    record["simple"]["accuracy"] -= 0.01
    run.metrics("val").write_text(json.dumps(record))
    with pytest.raises(CheckFailed, match=r"val\.json: simple\.accuracy is"):
        verify(run.path)
    run.metrics("val").write_text(written)
    # Without the images, the other figures are compared.
    (tmp_path / "val.npz").unlink()
    verify(run.path)


def test_figures_of_other_weights_are_named(run: RunFolder) -> None:
    run.weights.write_bytes(b"later")
    with pytest.raises(CheckFailed, match=r"predictions/val\.npz: is of other weights than .*/weights\.safetensors"):
        verify(run.path)
