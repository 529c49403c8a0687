"""Sets of real images that are divided by image, and the simplest rival on them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmarks.own_images import __main__ as own_images
from benchmarks.own_images import sets
from benchmarks.own_images.frozen import best_penalty
from benchmarks.own_images.judged import Judged
from benchmarks.real_data.photographs import AMOUNTS, WAYS, degrade
from benchmarks.real_data.picture import Picture
from benchmarks.real_data.tables import read_table
from PIL import Image

SIZES = sets.Sizes(train=12, test=8, votes=120, nu=1.0)


def _write(path: Path, grey: int) -> None:
    Image.new("L", (16, 12), grey).save(path)


def _pictures(part: str, count: int) -> list[Picture]:
    """Plain images that rank by their brightness; the first two are equal."""
    levels = [max(1, number) for number in range(count)]
    return [
        Picture(f"{part}_{row}.png", float(level), partial(_write, grey=200 - 10 * level))
        for row, level in enumerate(levels)
    ]


def _make(out: Path, seed: int, fonts: Path | None = None) -> None:
    sets.write_drawn(out, seed, _pictures("a", SIZES.train), _pictures("b", SIZES.test), SIZES)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sets.Set:
    """A small set in the place of the typefaces."""
    monkeypatch.setitem(sets.MAKERS, "typefaces", _make)
    return sets.make_set("typefaces", 3, tmp_path)


def test_no_test_image_is_in_training(made: sets.Set) -> None:
    votes, pairs = read_table(made.votes), read_table(made.pairs)
    sides = "photo_1", "photo_2"
    assert len(votes) == SIZES.votes
    assert {row[side] for row in votes for side in sides} <= {path.name for path in made.train.iterdir()}
    assert {row[side] for row in pairs for side in sides} == {path.name for path in made.test.iterdir()}
    assert not {path.name for path in made.train.iterdir()} & {path.name for path in made.test.iterdir()}


def test_the_test_is_all_unequal_pairs_in_their_true_order(made: sets.Set) -> None:
    truth, pairs = made.truth(), read_table(made.pairs)
    assert len(pairs) == 8 * 7 / 2 - 1
    assert all(truth[row["winner"]] == max(truth[row["photo_1"]], truth[row["photo_2"]]) for row in pairs)
    assert all(truth[row["photo_1"]] != truth[row["photo_2"]] for row in pairs)
    assert 0 < sum(row["winner"] == row["photo_1"] for row in pairs) < len(pairs)


def test_judgements_of_cells_are_of_two_levels_drawn_evenly() -> None:
    level = np.repeat([0, 1, 2, 3], [1000, 5, 20, 300])
    drawn = level[sets.pairs_of_two_levels(level, 3000, seed=0)]
    assert (drawn[:, 0] != drawn[:, 1]).all()
    # Each of the 12 ordered pairs of levels has a share of 1/12, with a standard deviation of 0.005.
    shares = np.unique(drawn, axis=0, return_counts=True)[1] / 3000
    assert len(shares) == 12
    assert np.abs(shares - 1 / 12).max() < 0.025


@pytest.mark.parametrize("way", WAYS)
def test_a_larger_amount_degrades_more(way: str) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)).resize((96, 72))
    errors = [
        np.abs(np.asarray(degrade(smooth, way, amount, rng), float) - np.asarray(smooth)).mean()
        for amount in AMOUNTS[::2]
    ]
    assert errors == sorted(errors)
    assert len(set(errors)) == 4


def test_the_penalty_is_the_stronger_the_noisier_the_votes() -> None:
    rng = np.random.default_rng(0)
    features, pairs = rng.normal(size=(60, 20)), rng.integers(60, size=(1500, 2))
    names = [str(number) for number in range(60)]
    truth = features[pairs[:, 0], 0] > features[pairs[:, 1], 0]
    chosen = [
        best_penalty(features, Judged(names, pairs, np.where(rng.random(1500) < noise, ~truth, truth).astype(float)))
        for noise in (0.0, 0.5)
    ]
    assert chosen[0] > chosen[1]


def test_what_was_measured_is_kept(made: sets.Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "results.json"
    command = ["typefaces", "--seeds", "3", "--folder", str(tmp_path), "--out", str(out)]
    own_images.main([*command, "--entrants", "simple_feature"])
    results = json.loads(out.read_text())
    of_seed = results["seeds"]["3"]
    assert of_seed["made"]["test_pairs"] == 27
    # Many votes are by people who hardly look, and the rule is still right.
    measured = of_seed["entrants"]["simple_feature"]
    assert measured["slope"] < 0
    assert measured["accuracy"]["value"] == 1
    assert measured["spearman"]["value"] > 0.98
    assert results["mean"]["simple_feature"]["seeds"] == 1
    monkeypatch.setattr(own_images, "ENTRANTS", {})
    with pytest.raises(SystemExit):
        own_images.main([*command, "--entrants", "order_net"])
    assert json.loads(out.read_text()) == results
