from dataclasses import replace

import numpy as np
import pytest

from twinrank.ensembling.fitted import decide
from twinrank.ensembling.learners import LEARNERS, StackSample
from twinrank.ensembling.matrix import Matrix, Rows
from twinrank.ensembling.stack import nested, stack, without_models
from twinrank.errors import InputError
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
    return Matrix(names, dict.fromkeys(names, about), "oof", rows(N), np.arange(N) % 4, "train", {"test": rows(TESTS)})


def test_base_models_and_ensembles_are_scored_on_the_same_rows() -> None:
    matrix = matrix_of()
    found = {each.name: each for each in stack(matrix, CHEAP).entrants}
    assert [each.kind for each in found.values()] == ["model"] * 3 + ["ensemble"] * 4
    assert np.array_equal(found["b"].logits["train"], matrix.rows.logit[:, 1].astype(np.float32))
    for one in found.values():
        assert {stem: len(each) for stem, each in one.logits.items()} == {"train": N, "test": TESTS}
    assert (found["a"].parameters, found["a"].seconds, found["a"].milliseconds) == (200, 3.0, 0.5)
    assert found["best_single"].parameters == 200, "it uses one base model"
    assert found["mean_probability"].parameters == 600
    better = accuracy(matrix.rows.y, found["mean_probability"].logits["train"])
    assert better > max(accuracy(matrix.rows.y, found[name].logits["train"]) for name in "abc")


def test_labels_of_chance_stack_to_chance_although_in_sample_they_do_not() -> None:
    matrix = matrix_of(signal=0.0)
    stacked = stack(matrix, ["lightgbm_usual"])
    assert accuracy(matrix.rows.y, stacked.entrants[-1].logits["train"]) == pytest.approx(0.5, abs=0.1)
    assert accuracy(matrix.rows.y, decide(stacked.fitted["lightgbm_usual"], matrix.rows)) > 0.8


def test_one_network_of_another_track_makes_the_ensemble_so() -> None:
    matrix = matrix_of()
    matrix = replace(matrix, about=matrix.about | {"c": matrix.about["c"] | {"track": "open"}})
    tracks = {each.name: each.track for each in stack(matrix, ["mean_logit"]).entrants}
    assert tracks == {"a": "pairs-only", "b": "pairs-only", "c": "open", "mean_logit": "open"}


def test_calibration_uses_neither_the_fold_nor_the_row() -> None:
    matrix = matrix_of()
    y = matrix.rows.y.copy()
    y[0] = 1 - y[0]
    logit, other = (
        nested(each, "greedy_selection") for each in (matrix, replace(matrix, rows=replace(matrix.rows, y=y)))
    )
    left_out = matrix.fold == matrix.fold[0]
    assert np.isnan(logit[0, left_out]).all()
    assert np.array_equal(logit[0, ~left_out], other[0, ~left_out]), "line 0 is fitted without fold 0"
    direct = LEARNERS["greedy_selection"](StackSample(matrix.rows, matrix.fold).without(0).without(2))
    assert np.array_equal(logit[0, matrix.fold == 2], decide(direct, matrix.rows)[matrix.fold == 2])


def test_without_a_base_model_is_as_if_it_had_never_been_there() -> None:
    matrix = matrix_of()
    without = without_models(matrix, "mean_logit")
    assert np.allclose(without["a"], matrix.rows.logit[:, 1:].mean(1))


def test_folds_that_are_too_few_are_refused() -> None:
    matrix = matrix_of()
    with pytest.raises(InputError, match="`folds`: 3 is not possible; use 4 to 100"):
        stack(replace(matrix, fold=matrix.fold % 3), ["mean_logit"])
