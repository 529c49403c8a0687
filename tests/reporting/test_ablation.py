import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import RECORDED

from twinrank.core.files import write_json
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.ablation import ablation_text, read_ablation, write_ablation
from twinrank.runs import RunFolder


def run(folder: Path, name: str, shares: tuple[float, float], **names: str) -> Path:
    """A run that is right on this share of the rows of val, and of each test file, which may have other names."""
    made = RunFolder(folder / name)
    write_json(made.config, RECORDED)
    for stem, share in (("val", shares[0]), ("test_public", shares[1]), ("test_private", shares[1])):
        y = np.arange(100) % 2
        right = np.arange(100) < 100 * share
        logit = np.where(right == (y == 1), 1.0, -1.0).astype(np.float32)
        meta = {"data": {"path": f"data/{stem}.npz", "sha256": stem, "n": 100}}
        predictions = Predictions(np.arange(100).astype(str), logit, y.astype(np.int8), meta=meta)
        predictions.save(made.predictions(names.get(stem, stem)))
    return made.path


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    base, first, second = (0.8, 0.7), (0.7, 0.7), (0.8, 0.5)
    shares = {"base_seed1": base, "base_seed2": base, "no_mask_seed1": first, "no_mask_seed2": second}
    return [run(tmp_path, name, each) for name, each in shares.items()]


def test_each_factor_is_compared_with_the_base(runs: list[Path], tmp_path: Path) -> None:
    effects = {(effect.factor, effect.rows): effect for effect in read_ablation(runs)}
    assert effects["base", "val"].difference.estimate.value == 0
    mask = effects["no_mask", "val"]
    assert mask.accuracy == pytest.approx(0.75)
    assert mask.difference.estimate.value == pytest.approx(-0.05)
    assert mask.difference.by_seed == pytest.approx((-0.1, 0))
    assert effects["no_mask", "tests"].difference.estimate.n == 200
    assert effects["no_mask", "tests"].difference.estimate.value == pytest.approx(-0.1)
    assert "| no_mask | val, n = 100 | 75.00% | -5.00 |" in ablation_text(list(effects.values()))
    for path in write_ablation(list(effects.values()), tmp_path):
        assert path.is_file()
    assert len(json.loads((tmp_path / "ablation.json").read_text())) == 4


def test_what_is_no_ablation_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="named NAME_seedSEED"):
        read_ablation([*runs, run(tmp_path, "other", (0.5, 0.5))])
    with pytest.raises(InputError, match=r"base_seed1: is named twice; name each run once"):
        read_ablation([*runs, runs[0]])
    with pytest.raises(InputError, match=r"no run is named plain_seed\.\.\.; choose `base` from base, no_mask"):
        read_ablation(runs, "plain")
    with pytest.raises(InputError, match="no_mask: seed 2 is missing in it or in base"):
        read_ablation(runs[:3])
    RunFolder(runs[3]).predictions("val").unlink()
    with pytest.raises(InputError, match=r"no_mask_seed2: has no predictions of val\.npz and no weights to make them"):
        read_ablation(runs)


def test_files_may_have_any_names(tmp_path: Path) -> None:
    names = {"val": "v200", "test_public": "exam", "test_private": "later exam"}
    base = run(tmp_path, "base_seed1", (0.8, 0.7), **names)
    effects = read_ablation([base, run(tmp_path, "other_seed1", (0.7, 0.6))])
    values = [(each.factor, each.rows, each.difference.estimate.value) for each in effects]
    assert values[:2] == [("base", "val", 0), ("base", "tests", 0)]
    assert [value for *_, value in values[2:]] == pytest.approx([-0.1, -0.1])
    (run(tmp_path, "less_seed1", (0.7, 0.6)) / "predictions" / "test_public.npz").unlink()
    with pytest.raises(InputError, match=r"less_seed1: has no predictions of data/test_public\.npz and no weights"):
        read_ablation([base, tmp_path / "less_seed1"])


def test_runs_on_rows_that_share_images_are_compared_over_images(runs: list[Path]) -> None:
    images = np.stack([np.arange(100) % 7, 10 + np.arange(100) % 5], 1)
    for path in runs:
        for file in RunFolder(path).path.glob("predictions/*.npz"):
            replace(Predictions.load(file), images=images).save(file)
    effects = read_ablation(runs)
    assert {effect.difference.estimate.images for effect in effects} == {12}
    assert "paired bootstrap over images, for these runs" in ablation_text(effects)
