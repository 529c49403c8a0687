from dataclasses import replace

import numpy as np
import pytest

from twinrank.ensembling.ledger import Matrix, Rows
from twinrank.ensembling.stack import stack
from twinrank.evaluation.metrics import accuracy

N, TESTS = 300, 80
CHEAP = "best_single", "mean_probability", "greedy_selection", "lightgbm_usual"


def matrix_of(seed: int = 0, noise: float = 1.0, signal: float = 2.0) -> Matrix:
    random = np.random.default_rng(seed)

    def rows(n: int) -> Rows:
        truth = random.normal(size=n)
        logit = signal * truth[:, None] + random.normal(size=(n, 3)) * noise
        return Rows(np.arange(n).astype(str), (truth > 0).astype(np.int8), logit, {})

    about = {"track": "pairs-only", "parameters": 100, "networks": 2, "seconds": 3.0, "milliseconds": 0.5}
    names = ("a", "b", "c")
    return Matrix(names, dict.fromkeys(names, about), "oof", rows(N), np.arange(N) % 3, {"test": rows(TESTS)})


def test_base_models_and_ensembles_are_judged_on_the_same_rows() -> None:
    matrix = matrix_of()
    found = {each.name: each for each in stack(matrix, CHEAP)}
    assert [each.kind for each in found.values()] == ["model"] * 3 + ["ensemble"] * 4
    assert np.array_equal(found["b"].logit, matrix.rows.logit[:, 1])
    assert all(each.logit.shape == (N,) and each.tests["test"].shape == (TESTS,) for each in found.values())
    assert (found["a"].parameters, found["a"].seconds, found["a"].milliseconds) == (200, 3.0, 0.5)
    assert found["best_single"].parameters == 200, "it asks one base model"
    assert found["mean_probability"].parameters == 600
    better = accuracy(matrix.rows.y, found["mean_probability"].logit)
    assert better > max(accuracy(matrix.rows.y, found[name].logit) for name in "abc")


def test_labels_of_chance_stack_to_chance_although_in_sample_they_do_not() -> None:
    matrix = matrix_of(signal=0.0)
    (found,) = [each for each in stack(matrix, ["lightgbm_usual"]) if each.kind == "ensemble"]
    assert accuracy(matrix.rows.y, found.logit) == pytest.approx(0.5, abs=0.1)
    assert found.in_sample is not None
    assert accuracy(matrix.rows.y, found.in_sample) > 0.8


def test_one_network_of_another_track_makes_the_ensemble_so() -> None:
    matrix = matrix_of()
    matrix = replace(matrix, about=matrix.about | {"c": matrix.about["c"] | {"track": "open"}})
    tracks = {each.name: each.track for each in stack(matrix, ["mean_logit"])}
    assert tracks == {"a": "pairs-only", "b": "pairs-only", "c": "open", "mean_logit": "open"}
