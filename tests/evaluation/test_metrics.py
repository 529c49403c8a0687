import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from twinrank.errors import InputError
from twinrank.evaluation import metrics

NAMES = ["accuracy", "macro_f1", "log_loss", "brier", "expected_calibration_error"]


def calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2.5, n)
    return (rng.random(n) < expit(logit)).astype(np.int8), logit


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    size = st.floats(1e-6, 50)
    logit = draw(st.lists(st.one_of(size, size.map(lambda value: -value)), min_size=n, max_size=n))
    return np.array(y, np.int8), np.array(logit)


def test_values_are_those_of_scikit_learn() -> None:
    y, logit = calibrated(500)
    decision, probability = logit > 0, expit(logit)
    assert metrics.accuracy(y, logit) == pytest.approx(sklearn.metrics.accuracy_score(y, decision))
    assert metrics.macro_f1(y, logit) == pytest.approx(sklearn.metrics.f1_score(y, decision, average="macro"))
    assert metrics.log_loss(y, logit) == pytest.approx(sklearn.metrics.log_loss(y, probability))
    assert metrics.brier(y, logit) == pytest.approx(sklearn.metrics.brier_score_loss(y, probability))
    assert metrics.confusion_matrix(y, logit).tolist() == sklearn.metrics.confusion_matrix(y, decision).tolist()


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy() -> None:
    # Three rows of confidence 0.8 in one bin, two of them right; one of 0.99 in another, right.
    logit = np.array([*3 * [np.log(4)], -np.log(99)])
    expected = (3 * abs(0.8 - 2 / 3) + abs(0.99 - 1)) / 4
    assert metrics.expected_calibration_error(np.array([1, 1, 0, 0]), logit) == pytest.approx(expected)


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0]])
def test_one_class_is_evaluated(y: list[int]) -> None:
    for logit in ([2.0, 1.0, -1.0], [2.0, 1.0, 3.0]):
        decision = np.array(logit) > 0
        assert metrics.macro_f1(np.array(y), np.array(logit)) == pytest.approx(
            sklearn.metrics.f1_score(y, decision, average="macro")
        )
    assert list(metrics.score(np.array(y), np.array([2.0, 1.0, -1.0]))) == NAMES


def test_log_loss_is_exact_for_huge_logits() -> None:
    assert metrics.log_loss(np.array([1, 0]), np.array([-1e4, -1e4])) == pytest.approx(5e3)


def test_a_tie_is_decided_as_right_ranks_higher() -> None:
    assert metrics.confusion_matrix(np.array([0, 1]), np.array([0.0, -0.0])).tolist() == [[1, 0], [1, 0]]


@given(rows())
def test_mirroring_every_pair_changes_nothing(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    y, logit = pairs
    assert metrics.score(y, logit, draws=20) == metrics.score(1 - y, -logit, draws=20)
    assert metrics.confusion_matrix(1 - y, -logit).tolist() == metrics.confusion_matrix(y, logit)[::-1, ::-1].tolist()


@given(rows())
def test_every_interval_holds_its_estimate(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    for name, estimate in metrics.score(*pairs, draws=20).items():
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.n == len(pairs[0])
        assert estimate.low >= 0
        assert estimate.high <= 1 or name == "log_loss"


def test_the_interval_of_accuracy_is_wilson() -> None:
    y, logit = calibrated(200)
    estimate = metrics.score(y, logit, draws=2)["accuracy"]
    reference = scipy.stats.binomtest(round(200 * estimate.value), 200).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high))
    assert estimate.interval == "Wilson 95%"


def test_macro_f1_without_an_error_is_as_uncertain_as_the_accuracy() -> None:
    found = metrics.score(np.arange(18) % 2, np.where(np.arange(18) % 2, 1.0, -1.0))
    assert (found["macro_f1"].value, found["macro_f1"].high) == (1, 1)
    assert found["macro_f1"].low == found["accuracy"].low < 0.85


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    y, logit = calibrated(2000)
    estimate = metrics.score(y, logit)["brier"]
    error = np.std((expit(logit) - y) ** 2) / np.sqrt(2000)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert estimate.interval == "bootstrap 95%"


@pytest.mark.parametrize("overconfidence", [1.0, 1.5])
def test_intervals_cover_the_truth(overconfidence: float) -> None:
    y, logit = calibrated(500_000, seed=1)
    truth = {name: getattr(metrics, name)(y, overconfidence * logit) for name in NAMES}
    if overconfidence == 1.0:
        truth["expected_calibration_error"] = 0.0
    covered = dict.fromkeys(NAMES, 0)
    for part in range(100):
        y, logit = calibrated(1000, seed=100 + part)
        for name, estimate in metrics.score(y, overconfidence * logit, draws=200).items():
            covered[name] += estimate.low <= truth[name] <= estimate.high
    assert min(covered.values()) >= 85, covered


def test_the_seed_decides_the_resamples() -> None:
    y, logit = calibrated(100)
    assert metrics.score(y, logit, seed=5) == metrics.score(y, logit, seed=5)
    assert metrics.score(y, logit, seed=5)["brier"] != metrics.score(y, logit, seed=6)["brier"]


def test_reliability_bins_hold_all_rows_and_explain_the_calibration_error() -> None:
    y, logit = calibrated(3000)
    curve = metrics.reliability_curve(y, logit)
    gap = np.abs(curve.accuracy - curve.confidence) @ curve.n / 3000
    assert curve.n.sum() == 3000
    assert curve.n @ curve.accuracy / 3000 == pytest.approx(metrics.accuracy(y, logit))
    assert gap == pytest.approx(metrics.expected_calibration_error(y, logit))
    assert ((curve.low <= curve.accuracy) & (curve.accuracy <= curve.high)).all()
    assert (np.diff(curve.confidence) > 0).all()


@pytest.mark.parametrize(
    ("y", "logit", "message"),
    [
        ([], [], "no rows"),
        ([0, 1], [0.5], "same length"),
        ([[0, 1]], [[0.5, 1.0]], "same length"),
        ([0, 2], [0.5, 1.0], "label 2 in row 1"),
        ([0, -1], [0.5, 1.0], "label -1 in row 1"),
        ([0, 1], [0.5, np.nan], "logit nan in row 1"),
        ([0, 1], [-np.inf, 1.0], "logit -inf in row 0"),
    ],
)
def test_wrong_rows_are_refused(y: list, logit: list, message: str) -> None:
    for function in (metrics.score, metrics.accuracy, metrics.confusion_matrix, metrics.reliability_curve):
        with pytest.raises(InputError, match=message):
            function(np.array(y), np.array(logit))
