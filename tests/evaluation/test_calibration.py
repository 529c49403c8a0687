from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from twinrank.evaluation.calibration import CALIBRATIONS, fit_isotonic, fit_temperature
from twinrank.evaluation.judging import outcome_probabilities
from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.metrics import expected_calibration_error, log_loss
from twinrank.evaluation.vote_calibration import fit_votes


def noisy(n: int, seed: int, sharpness: float) -> tuple[LabelledRows, np.ndarray]:
    """Labelled rows, and logits that are right but for their size."""
    random = np.random.default_rng(seed)
    true = random.normal(size=n) * 2
    return labelled((random.random(n) < expit(true)).astype(np.int8)), true * sharpness


def labelled(y: np.ndarray) -> LabelledRows:
    return LabelledRows(np.arange(len(y)).astype(str), y)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_is_found(sharpness: float) -> None:
    rows, logit = noisy(20_000, 0, sharpness)
    assert fit_temperature(rows, logit).temperature == pytest.approx(sharpness, rel=0.05)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_what_was_too_sure_is_not_any_more_on_other_rows(name: str) -> None:
    calibrate = CALIBRATIONS[name](*noisy(5_000, 0, 3.0))
    rows, logit = noisy(5_000, 1, 3.0)
    y = rows.y
    assert log_loss(y, calibrate(logit)) < log_loss(y, logit) - 0.1
    assert expected_calibration_error(y, calibrate(logit)) < 0.03 < expected_calibration_error(y, logit)


@given(st.sampled_from(list(CALIBRATIONS)), st.integers(0, 50), st.integers(2, 60))
def test_no_decision_changes_and_a_swapped_pair_has_the_negated_logit_to_the_bit(name: str, seed: int, n: int) -> None:
    calibrate = CALIBRATIONS[name](*noisy(n, seed, 2.0))
    logit = np.concatenate([noisy(100, seed + 1, 2.0)[1], [0.0, 1e-9, 500.0]])
    calibrated = calibrate(logit)
    assert np.array_equal(calibrate(-logit), -calibrated)
    assert np.array_equal(calibrated > 0, logit > 0)
    assert (np.diff(calibrated[np.argsort(logit)]) >= 0).all()
    assert np.isfinite(calibrated).all()


def test_rows_that_are_all_right_give_no_certainty() -> None:
    y, logit = np.ones(50, np.int8), np.linspace(1, 2, 50)
    assert log_loss(np.array([0]), fit_isotonic(labelled(y), logit)(np.array([5.0]))) < 10


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_a_row_of_several_votes_counts_as_so_many_rows(name: str) -> None:
    rows, logit = noisy(300, 0, 2.0)
    votes = np.random.default_rng(0).integers(1, 4, 300)
    weighted = CALIBRATIONS[name](replace(rows, weight=votes.astype(np.float32)), logit)(logit)
    repeated = CALIBRATIONS[name](rows.take(np.repeat(np.arange(300), votes)), np.repeat(logit, votes))(logit)
    assert np.abs(weighted) == pytest.approx(np.abs(repeated), abs=1e-3)


def test_the_scale_of_votes_is_found_with_ties_and_few_votes_hardly_move_it() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 3, 20_000)
    left, tied, _ = outcome_probabilities(0.4 * logit, 0.7)
    draw = rng.random(20_000)
    tie = (draw >= left) & (draw < left + tied)
    y = np.where(tie, 0.5, draw < left)
    found = fit_votes(logit, y, tie)
    np.testing.assert_allclose((found.scale, found.nu), (0.4, 0.7), rtol=0.05)
    half = fit_votes(logit[:2000], y[:2000], tie[:2000], np.full(2000, 10.0))
    np.testing.assert_allclose((half.scale, half.nu), (0.4, 0.7), rtol=0.15)
    sure = fit_votes(np.full(10, 1.0), np.ones(10))
    assert 1 < sure.scale < 2.5
    few = np.stack([np.zeros(10, int), np.arange(1, 11)], 1) % 4
    assert 1 < fit_votes(np.full(10, 1.0), np.ones(10), images=few).scale < sure.scale
    apart = np.arange(20).reshape(10, 2)
    assert fit_votes(np.full(10, 1.0), np.ones(10), images=apart) == sure
    assert fit_votes(logit, y > 0.5).nu == 0
    # Votes of a pair may stand in one row, or in one for each.
    left, votes, some = np.array([1, 4, 2]), np.array([2, 5, 2]), np.array([1.0, 2.0, -1.5])
    single = np.concatenate([np.r_[np.ones(k), np.zeros(n - k)] for k, n in zip(left, votes, strict=True)])
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    together = fit_votes(some, left / votes, weight=votes, images=pairs)
    apart_rows = fit_votes(np.repeat(some, votes), single, images=np.repeat(pairs, votes, 0))
    assert together.scale == pytest.approx(apart_rows.scale, abs=1e-4)
