"""How image files become pixels: a predictor, a mean and a training take files that are read alike, or refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import twinrank as tr
from twinrank.inference.load import load_predictor
from twinrank.training.hooks import Hooks

SIZE = 12
TINY: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "options": {"width": 2, "levels": 4},
    "threads": 1,
    "hooks": Hooks(),
}


def _read(name: str, **reading: Any) -> tr.Judgements:
    return tr.load_pairs(name, size=SIZE, **reading)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of judgements with images of two sizes, and runs that read them in two ways. Tests write nothing there."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(8):
        shape = (12, 20) if number % 2 else (20, 12)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / f"{number}.png")
    for name in ("train", "val"):
        rows = [f"{a}.png,{b}.png,left" for a, b in (rng.permutation(8)[:2] for _ in range(24))]
        (folder / f"{name}.csv").write_text("\n".join(["left,right,winner", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for fit in ("crop", "pad"):
            tr.train("order_net", _read("train.csv", fit=fit), _read("val.csv", fit=fit), out=f"runs/{fit}", **TINY)
    return folder


@pytest.fixture(autouse=True)
def there(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_files_of_a_path_are_read_as_in_training(fit: str) -> None:
    predictor = tr.load_predictor(f"runs/{fit}")
    expected = predictor.decision_function(_read("val.csv", fit=fit))
    np.testing.assert_array_equal(predictor.decision_function("val.csv"), expected)


def test_pairs_that_were_read_otherwise_are_refused() -> None:
    pairs, words = (
        _read("val.csv", fit="crop"),
        r"val\.csv: images were read with `fit` 'crop' instead of 'pad', as for",
    )
    for use in (
        lambda: tr.load_predictor("runs/pad").predict(pairs),
        lambda: tr.evaluate("runs/pad", pairs),
        lambda: tr.rank("runs/pad", pairs.images),
    ):
        with pytest.raises(tr.InputError, match=words):
            use()
    with pytest.raises(tr.InputError, match="`background` 'red' instead of 'white', as for runs/pad; read them as in"):
        tr.load_predictor("runs/pad").predict(_read("val.csv", fit="pad", background="red"))


def test_no_training_begins_on_files_that_were_read_in_two_ways(tmp_path: Path) -> None:
    with pytest.raises(tr.InputError, match=r"val\.csv: images were read with `fit` 'pad' .* as those of train\.csv"):
        tr.train("order_net", _read("train.csv", fit="crop"), _read("val.csv", fit="pad"), out=tmp_path / "run", **TINY)
    assert not (tmp_path / "run").exists()


def test_a_mean_is_of_networks_that_read_files_alike(trained: Path) -> None:
    with pytest.raises(tr.InputError, match=r"runs/pad: its training read images with `fit` 'pad' instead of 'crop'"):
        tr.load_predictor("runs/crop", "runs/pad")
    run = str(trained / "runs" / "first")
    for paths in (["runs/pad", run], [run, "runs/pad"]):
        form = load_predictor(*map(Path, paths)).form
        assert (form.name, form.resized) == ("runs/pad", True)
