from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from twinrank.errors import InputError
from twinrank.evaluation.abstention import accuracy_at_coverage, conformal_set, coverages_that_fit
from twinrank.evaluation.labelled_rows import LabelledRows


def noisy(n: int, seed: int = 0) -> tuple[LabelledRows, np.ndarray]:
    random = np.random.default_rng(seed)
    logit = random.normal(size=n) * 2
    return LabelledRows(np.arange(n).astype(str), (random.random(n) < expit(logit)).astype(np.int8)), logit


def test_fewer_and_surer_decisions_are_right_more_often() -> None:
    rows, logit = noisy(4_000)
    y, rates = rows.y, accuracy_at_coverage(rows, logit)
    assert rates[1.0].value == pytest.approx(((logit > 0) == (y == 1)).mean())
    assert rates[1.0].value < rates[0.5].value < rates[0.1].value
    assert [rates[share].n for share in (1.0, 0.5, 0.1)] == [4_000, 2_000, 400]
    surest = np.abs(logit) >= np.median(np.abs(logit))
    assert rates[0.5].value == pytest.approx(((logit > 0) == (y == 1))[surest].mean())


@given(st.integers(0, 30), st.sampled_from([0.5, 0.8, 0.9, 0.99]))
def test_sets_hold_the_true_label_as_often_as_stated(seed: int, stated: float) -> None:
    rows, logit = noisy(4_000, seed)
    y, found = rows.y, conformal_set(*noisy(4_000, seed + 100), rows, logit, stated)
    assert found.coverage.value == pytest.approx(stated, abs=0.05)
    left, right = logit >= -found.threshold, logit <= found.threshold
    assert found.both == pytest.approx((left & right).mean())
    assert found.neither == pytest.approx((~left & ~right).mean())
    assert found.coverage.value == pytest.approx(np.where(y == 1, left, right).mean())
    assert not (found.both and found.neither)


@given(st.integers(0, 30))
def test_swapping_pairs_swaps_their_sets(seed: int) -> None:
    (rows, logit), (other, other_logit) = noisy(300, seed), noisy(300, seed + 1)
    swapped = np.random.default_rng(seed).random(300) < 0.5
    turned = replace(rows, y=np.where(swapped, 1 - rows.y, rows.y)), np.where(swapped, -logit, logit)
    expected = conformal_set(rows, logit, other, other_logit, 0.9)
    assert expected == conformal_set(*turned, replace(other, y=1 - other.y), -other_logit, 0.9)


def test_rows_without_a_majority_do_not_count() -> None:
    rows, logit = noisy(400)
    tie = np.arange(400) % 4 == 0
    tied = replace(rows, y=np.where(tie, 0.5, rows.y).astype(np.float32), tie=tie)
    decided = rows.take(~tie), logit[~tie]
    assert accuracy_at_coverage(tied, logit) == accuracy_at_coverage(*decided)
    assert conformal_set(tied, logit, tied, logit, 0.9) == conformal_set(*decided, *decided, 0.9)
    shared = replace(rows, images=np.random.default_rng(0).integers(0, 30, (400, 2)))
    assert accuracy_at_coverage(shared, logit)[0.5].interval == "image bootstrap 95%"


def test_too_few_rows_to_state_a_coverage_are_refused() -> None:
    assert coverages_that_fit(noisy(9)[0]) == (0.9,)
    assert coverages_that_fit(noisy(8)[0]) == ()
    assert coverages_that_fit(noisy(99)[0]) == (0.9, 0.95, 0.99)
    with pytest.raises(InputError, match="9 rows are too few to state a coverage of 99%"):
        conformal_set(*noisy(9), *noisy(9), 0.99)
