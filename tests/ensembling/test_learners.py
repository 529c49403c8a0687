import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from twinrank.ensembling.fitted import decide, restore
from twinrank.ensembling.learners import LEARNERS, StackSample, cross_fitted, fit
from twinrank.ensembling.matrix import Rows
from twinrank.errors import InputError
from twinrank.evaluation.metrics import accuracy, log_loss

QUICK = [name for name in LEARNERS if name not in ("lightgbm", "two_level")]


def rows_of(n: int, models: int, seed: int = 0, levels: bool = False) -> Rows:
    """Base models that see the truth through noise, part of which they share."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=n) * 2
    logit = truth[:, None] + random.normal(size=(n, 1)) + random.normal(size=(n, models)) * np.linspace(1, 2, models)
    posteriors = np.log(random.dirichlet(np.ones(3), (n, 2)))
    ids = np.arange(n).astype(str)
    return Rows(ids, (truth > 0).astype(np.int8), logit, {"order": posteriors} if levels else {})


@pytest.fixture(scope="module")
def rows() -> Rows:
    return rows_of(240, 4, levels=True)


FOLD = np.arange(240) % 4


@pytest.mark.parametrize("name", LEARNERS)
def test_swapped_pairs_get_the_negated_logit_to_the_bit_also_after_a_restart(rows: Rows, name: str) -> None:
    fitted = fit(name, StackSample(rows, FOLD))
    logit = decide(fitted, rows)
    assert np.array_equal(decide(fitted, rows.mirrored()), -logit)
    assert accuracy(rows.y, logit) > 0.75
    restored = restore(json.loads(json.dumps(fitted.state())), "learners.json", rows.logit.shape[1])
    assert np.array_equal(decide(restored, rows), logit)
    again = fit(name, StackSample(rows, FOLD))
    assert again.state() == fitted.state(), "fitting is deterministic"


@settings(max_examples=8)
@given(st.integers(0, 239), st.sampled_from(QUICK))
def test_the_logit_of_a_row_does_not_depend_on_its_label(row: int, name: str) -> None:
    rows = rows_of(240, 3)
    y = rows.y.copy()
    y[row] = 1 - y[row]
    logit, other = (cross_fitted(LEARNERS[name], StackSample(each, FOLD)) for each in (rows, replace(rows, y=y)))
    same_fold = FOLD[row] == FOLD
    assert np.array_equal(logit[same_fold], other[same_fold])


@pytest.mark.parametrize("name", ["lightgbm", "two_level"])
def test_nor_where_sizes_are_chosen(rows: Rows, name: str) -> None:
    left_out = FOLD == 1
    logit, other = (
        decide(LEARNERS[name](StackSample(each, FOLD).without(1)), each.take(left_out))
        for each in (rows, replace(rows, y=np.where(left_out, 1 - rows.y, rows.y)))
    )
    assert np.array_equal(logit, other)


def test_baselines_do_what_they_are_called(rows: Rows) -> None:
    z, y = rows.logit, rows.y
    best = int(np.argmax([accuracy(y, each) for each in z.T]))
    assert np.array_equal(decide(fit("best_single", StackSample(rows, FOLD)), rows), z[:, best])
    mean = (1 / (1 + np.exp(-z))).mean(1)
    assert np.allclose(decide(fit("mean_probability", StackSample(rows, FOLD)), rows), np.log(mean / (1 - mean)))
    assert np.allclose(decide(fit("mean_logit", StackSample(rows, FOLD)), rows), z.mean(1))
    gain = np.array([accuracy(y, each) for each in z.T]) - 0.5
    weighted = (1 / (1 + np.exp(-z))) @ (gain / gain.sum())
    assert np.allclose(
        decide(fit("weighted_by_accuracy", StackSample(rows, FOLD)), rows), np.log(weighted / (1 - weighted))
    )


def test_greedy_selection_is_no_worse_than_any_single_model(rows: Rows) -> None:
    chosen = log_loss(rows.y, decide(fit("greedy_selection", StackSample(rows, FOLD)), rows))
    assert chosen <= min(log_loss(rows.y, each) for each in rows.logit.T) + 1e-12


def test_logistic_regression_finds_the_minimum(rows: Rows) -> None:
    weights = np.array(fit("logistic_regression", StackSample(rows, FOLD)).state()["weights"])
    unpenalised = minimize(lambda w: log_loss(rows.y, rows.logit @ w), np.zeros(4), tol=1e-12).x
    assert log_loss(rows.y, rows.logit @ weights) < log_loss(rows.y, rows.logit @ unpenalised) + 0.01


def test_unknown_meta_learners_and_states_are_refused(rows: Rows) -> None:
    with pytest.raises(InputError, match="no meta-learner 'lightgmb'; did you mean 'lightgbm'"):
        fit("lightgmb", StackSample(rows, FOLD))
    with pytest.raises(InputError, match=r"a\.json: not a meta-learner \('kind': invalid value 'other'\)"):
        restore({"kind": "other"}, "a.json", 4)
    for bent in ({"weights": [1.0]}, {"weights": [1.0, 1.0, 1.0, float("nan")]}, {"space": "moon"}, {"weights": 3}):
        with pytest.raises(InputError, match=r"a\.json: not a meta-learner") as found:
            restore({"kind": "linear", "space": "logit", "weights": [1.0] * 4} | bent, "a.json", 4)
        assert str(found.value).count("\n") == 0
    with pytest.raises(InputError, match="it has no trees, or trees in two forms"):
        restore({"kind": "boosted", "chosen": {}}, "a.json", 4)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_label_alone_is_fitted_as_its_mirror_is(rows: Rows, name: str) -> None:
    flipped = rows.y == 0
    one_sided = rows.mirrored()
    levels = {key: np.where(flipped[:, None, None], one_sided.levels[key], both) for key, both in rows.levels.items()}
    logit = np.where(flipped[:, None], one_sided.logit, rows.logit)
    left_always = replace(rows, y=np.ones(240, np.int8), logit=logit, levels=levels)
    expected = decide(fit(name, StackSample(rows, FOLD)), rows)
    found = decide(fit(name, StackSample(left_always, FOLD)), rows)
    assert np.allclose(found, expected, rtol=0.05, atol=0.1)


@pytest.mark.parametrize("name", LEARNERS)
def test_shares_and_weights_count_as_so_many_votes(name: str) -> None:
    rows = rows_of(60, 3)
    votes, left = np.random.default_rng(1).integers(1, 4, 60), np.zeros(60)
    left = np.minimum(votes, np.random.default_rng(2).integers(0, 4, 60))
    shares = replace(rows, y=(left / votes).astype(np.float32), weight=votes.astype(np.float32))
    each = np.repeat(np.arange(60), votes)
    single = np.concatenate([np.arange(count) < ones for count, ones in zip(votes, left, strict=True)]).astype(np.int8)
    apart, fold = replace(rows.take(each), y=single), np.arange(60) % 4
    learner = LEARNERS[name]
    if name == "best_single":
        assert learner(StackSample(shares, fold)).state() == learner(StackSample(apart, fold[each])).state()
        return
    found, expected = (decide(learner(StackSample(*parts)), rows) for parts in ((shares, fold), (apart, fold[each])))
    if name in ("lightgbm", "two_level", "lightgbm_usual"):
        # A leaf needs so many rows, and rows of several votes are fewer.
        assert np.array_equal(decide(learner(StackSample(shares, fold)), rows.mirrored()), -found)
    else:
        assert np.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_row_or_two_and_one_fold_are_enough(name: str) -> None:
    rows = rows_of(3, 2)
    for count, fold in ((1, [0]), (2, [0, 0]), (3, [0, 1, 1])):
        few = rows.take(np.arange(count))
        assert np.isfinite(decide(fit(name, StackSample(few, np.array(fold))), rows)).all()
