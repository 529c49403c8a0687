import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinrank.errors import InputError
from twinrank.evaluation.fit_judging import fit_judging
from twinrank.evaluation.judging import COMMON_SD, Judging, log_likelihood, outcome_probabilities, slopes
from twinrank.evaluation.simulate import Crowd, make_crowd, random_pairs, simulate_crowd


def simulated(seed: int, crowd: Crowd, n: int = 3000) -> dict:
    """Arguments of a fit to judgements of a crowd, with the true differences of scores."""
    score = np.random.default_rng(seed).normal(0, 1.5, 200)
    seen = simulate_crowd(score, *random_pairs(200, n, seed), crowd, seed)
    z = score[seen.left] - score[seen.right]
    return {"z": z, "y": seen.y, "tie": seen.tie, "rater": seen.rater, "names": crowd.names}


@given(st.floats(-800, 800), st.floats(0, 50))
def test_outcomes_have_probabilities_that_swap_with_the_images(u: float, nu: float) -> None:
    left, tie, right = outcome_probabilities(np.array([u]), nu)
    swapped = outcome_probabilities(np.array([-u]), nu)
    assert (left, tie, right) == (swapped[2], swapped[1], swapped[0])
    assert left + tie + right == pytest.approx(1)


def test_no_ties_is_the_logistic_model_and_decided_outcomes_are_for_every_nu() -> None:
    u = np.linspace(-5, 5, 11)
    left, tie, _ = outcome_probabilities(u)
    assert np.allclose(left, 1 / (1 + np.exp(-u)))
    assert not tie.any()
    left, _, right = outcome_probabilities(u, 1.7)
    assert np.allclose(left / (left + right), 1 / (1 + np.exp(-u)))


def test_log_likelihood_is_that_of_the_outcomes_with_shares_and_weights() -> None:
    u, nu = np.array([0.3, -1.0, 2.0, 0.5]), 0.8
    y, tie, weight = np.array([1.0, 0.0, 0.5, 0.25]), np.array([False, False, True, False]), np.array([1, 2, 3, 4])
    left, equal, right = (np.log(each) for each in outcome_probabilities(u, nu))
    expected = [left[0], 2 * right[1], 3 * equal[2], left[3] + 3 * right[3]]
    assert np.allclose(log_likelihood(u, y, tie, weight, nu), expected)


def test_a_tie_without_nu_is_half_a_vote_for_each() -> None:
    assert log_likelihood(np.array([1.0]), np.array([1.0]), np.array([True])) == pytest.approx(
        log_likelihood(np.array([1.0]), np.array([0.5]))
    )


@pytest.mark.parametrize("nu", [0.0, 1.3])
def test_slopes_are_derivatives(nu: float) -> None:
    u = np.linspace(-4, 4, 9)
    y, tie = np.linspace(0, 1, 9), np.arange(9) % 3 == 0
    slope, curve = slopes(u, y, tie, nu)
    step = 1e-5
    ends = [log_likelihood(u + each, y, tie, None, nu) for each in (-step, 0, step)]
    assert np.allclose(slope, (ends[2] - ends[0]) / (2 * step), atol=1e-8)
    assert np.allclose(curve, -(ends[2] - 2 * ends[1] + ends[0]) / step**2, atol=1e-4)


def test_the_fit_is_where_the_penalised_likelihood_is_greatest() -> None:
    given_rows = simulated(0, make_crowd(5, 0, bias=0.4, nu=0.6))
    fitted = fit_judging(**given_rows, bias=True)

    def objective(log_sharpness: np.ndarray, bias: np.ndarray, log_nu: float) -> float:
        rater = given_rows["rater"]
        u = np.exp(log_sharpness[rater]) * given_rows["z"] + bias[rater]
        data = log_likelihood(u, given_rows["y"], given_rows["tie"], None, np.exp(log_nu)).sum()
        shrunk = ((log_sharpness - log_sharpness.mean()) ** 2).sum() / 2 + ((bias - bias.mean()) ** 2).sum() / 0.5
        level = log_sharpness.mean() + np.log(np.sqrt((given_rows["z"] ** 2).mean()))
        common = (level**2 + bias.mean() ** 2 + log_nu**2) / (2 * COMMON_SD**2)
        return float(data - shrunk - common)

    best = np.log(fitted.sharpness * fitted.scale), fitted.bias, np.log(fitted.nu)
    value = objective(*best)
    for part in range(5):
        for size in (-0.02, 0.02):
            move = size * (np.arange(5) == part)
            assert objective(best[0] + move, best[1], best[2]) < value
            assert objective(best[0], best[1] + move, best[2]) < value
    assert max(objective(*best[:2], best[2] - 0.02), objective(*best[:2], best[2] + 0.02)) < value


def test_parameters_lie_in_their_intervals() -> None:
    hits: dict[str, list[float]] = {name: [] for name in ("nu", "scale", "sharpness", "bias")}
    for seed in range(30):
        crowd = make_crowd(12, seed, spread=0.5, bias=0.4, nu=0.7)
        fitted = fit_judging(**simulated(seed, crowd, 1500), bias=True)
        log = np.log(crowd.sharpness)
        for name, true, interval in (
            ("nu", 0.7, np.array(fitted.nu_interval)),
            ("scale", np.exp(log.mean()), np.array(fitted.scale_interval)),
            ("sharpness", np.exp(log - log.mean()), fitted.sharpness_interval),
            ("bias", crowd.bias, fitted.bias_interval),
        ):
            hits[name].append(float(np.mean((interval[..., 0] <= true) & (true <= interval[..., 1]))))
    assert {name: np.mean(each) > 0.9 for name, each in hits.items()} == dict.fromkeys(hits, True)


def test_careless_and_adversarial_raters_come_out_last() -> None:
    crowd = make_crowd(10, 1, careless=0.2, adversarial=0.1)
    fitted = fit_judging(**simulated(1, crowd))
    assert set(np.argsort(fitted.sharpness)[:3].tolist()) == {7, 8, 9}
    assert np.log(fitted.sharpness).mean() == pytest.approx(0, abs=1e-9)


def test_one_rater_leaves_only_the_scale() -> None:
    given_rows = simulated(2, make_crowd(1, 0, spread=0))
    for rater, names in ((None, ()), (given_rows["rater"], given_rows["names"])):
        fitted = fit_judging(2 * given_rows["z"], given_rows["y"], rater=rater, names=names)
        assert fitted.scale == pytest.approx(0.5, rel=0.1)
        assert fitted.nu == 0
        assert fitted.sharpness.tolist() == pytest.approx([1.0] * len(names))
        assert np.allclose(fitted.sharpness_interval, 1)


def test_weights_are_votes() -> None:
    z, y = np.array([1.0, -0.5, 0.7, 2.0]), np.array([0.75, 0.5, 0.5, 1.0])
    weight = np.array([4, 2, 6, 3])
    single = [(each, vote) for each, share, n in zip(z, y, weight, strict=True) for vote in np.arange(n) < share * n]
    one_each = fit_judging(np.array([row[0] for row in single]), np.array([float(row[1]) for row in single]))
    assert fit_judging(z, y, weight=weight).scale == pytest.approx(one_each.scale, rel=1e-4)


def test_sets_without_information_stay_finite() -> None:
    for z, y, tie in (
        (np.zeros(3), np.ones(3), None),
        (np.ones(3), np.ones(3), None),
        (-np.ones(3), np.ones(3), None),
        (np.ones(3), np.full(3, 0.5), np.ones(3, bool)),
    ):
        fitted = fit_judging(z, y, tie, rater=np.array([0, 1, 1]), names=["a", "b"], bias=True)
        assert np.isfinite([fitted.scale, fitted.nu, *fitted.sharpness, *fitted.bias]).all()


def test_json_keeps_everything_and_bent_values_are_named(tmp_path: Path) -> None:
    fitted = fit_judging(**simulated(3, make_crowd(4, 0, bias=0.3, nu=0.5)), bias=True)
    path = tmp_path / "judging.json"
    path.write_text(json.dumps(fitted.as_json()))
    loaded = Judging.load(path)
    assert loaded.as_json() == fitted.as_json()
    for key, value, words in (("nu", -1, "`nu` is -1"), ("nu", "x", "'nu'"), ("scale", 0, "`scale` is 0")):
        with pytest.raises(InputError, match=f"judging.json.*{words}"):
            Judging.from_json(fitted.as_json() | {key: value}, "judging.json")
    with pytest.raises(InputError, match=r"raters\[0\]"):
        Judging.from_json(fitted.as_json() | {"raters": [{"name": "a"}]}, "judging.json")


def test_raters_are_found_by_name_and_strangers_are_usual() -> None:
    model = Judging(
        raters=("a", "b"),
        sharpness=np.array([2.0, 0.5]),
        sharpness_interval=np.ones((2, 2)),
        bias=np.array([0.1, -0.1]),
        bias_interval=np.zeros((2, 2)),
        judgements=np.array([3, 4]),
    )
    sharpness, bias = model.of_raters(np.array(["b", "c", "a"]), 3)
    assert sharpness.tolist() == [0.5, 1.0, 2.0]
    assert bias.tolist() == [-0.1, 0.0, 0.1]
    assert model.of_raters(None, 2)[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": np.array([0.0, 2.0])}, "`y` has values outside 0 to 1"),
        ({"z": np.array([0.0, np.inf])}, "not finite"),
        ({"weight": np.array([1.0, 0.0])}, "`weight`"),
        ({"rater": np.array([0, 1])}, "without `names`"),
        ({"rater": np.array([0, 2]), "names": ["a", "b"]}, "outside 0 to 1"),
        ({"rater": np.array([0, 0]), "names": ["a", "b"]}, "'b', who judged nothing"),
        ({"tie": np.array([True])}, "`tie` has shape"),
        ({"z": np.zeros(0), "y": np.zeros(0)}, "no judgement"),
    ],
)
def test_bent_values_are_refused(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"z": np.array([1.0, -1.0]), "y": np.array([1.0, 0.0])} | change
    with pytest.raises(InputError, match=words):
        fit_judging(**given)


def test_the_crowd_is_deterministic_and_its_votes_are_by_different_people() -> None:
    crowd = make_crowd(7, 0, bias=0.2, nu=0.4)
    score, pairs = np.linspace(-1, 1, 9), random_pairs(9, 50, 3)
    seen, again = (simulate_crowd(score, *pairs, crowd, 5, votes=3) for _ in range(2))
    assert np.array_equal(seen.y, again.y)
    assert np.array_equal(seen.rater, again.rater)
    assert all(len(set(votes)) == 3 for votes in seen.rater.reshape(-1, 3).tolist())
    assert (seen.left != seen.right).all()
    assert (seen.y[seen.tie] == 0.5).all()
    with pytest.raises(InputError, match="only 7 raters"):
        simulate_crowd(score, *pairs, crowd, 5, votes=8)
