import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from twinrank.errors import InputError
from twinrank.evaluation.chance import chance_warning, constant_log_loss
from twinrank.evaluation.metrics import confusion_matrix, log_loss, score
from twinrank.evaluation.metrics_record import KINDS, metrics_record, pooled_record, rows_in_words
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.contents import metrics_of
from twinrank.reporting.metrics_lines import metrics_lines


def predictions(name: str, n: int, **meta: Any) -> Predictions:
    rng = np.random.default_rng(n)
    data = {"path": f"data/{name}.npz", "sha256": f"digest of {name}", "n": n}
    about = {"data": data, "used": [], "weights_sha256": "w", "model": "order_net"} | meta
    ids = np.array([f"{row}" for row in range(n)])
    return Predictions(ids, rng.normal(size=n), rng.integers(2, size=n), meta=about)


def test_a_record_has_rows_counts_and_intervals() -> None:
    made = predictions("test_public", 50)
    record = json.loads(json.dumps(metrics_record(made)))
    assert made.y is not None
    assert record["data"] == made.meta["data"]
    assert rows_in_words(record) == "all 50 rows of test_public.npz"
    assert (record["weights_sha256"], record["model"]) == ("w", "order_net")
    assert record["confusion"] == confusion_matrix(made.y, made.logit).tolist()
    for name, estimate in score(made.y, made.logit).items():
        assert record["metrics"][name] == estimate.record()


def test_pooled_files_are_evaluated_as_one_set_of_rows() -> None:
    parts = [predictions("test_public", 20), predictions("test_private", 30)]
    record = pooled_record(parts)
    singles = [np.array(metrics_record(part)["confusion"]) for part in parts]
    assert record["data"]["n"] == record["metrics"]["accuracy"]["n"] == 50
    assert record["data"]["files"] == [part.meta["data"] for part in parts]
    assert record["confusion"] == np.sum(singles, axis=0).tolist()
    assert rows_in_words(record) == "all 20 rows of test_public.npz; all 30 rows of test_private.npz"


def test_what_cannot_be_evaluated_honestly_is_refused() -> None:
    made = predictions("test", 5)
    with pytest.raises(InputError, match=r"data/test\.npz: no labels"):
        metrics_record(Predictions(made.id, made.logit, meta=made.meta))
    with pytest.raises(InputError, match="which rows"):
        metrics_record(Predictions(made.id, made.logit, made.y))
    with pytest.raises(InputError, match="same file twice"):
        pooled_record([made, made])
    with pytest.raises(InputError, match="different weights"):
        pooled_record([made, predictions("other", 5, weights_sha256="v")])
    with pytest.raises(InputError, match="no predictions"):
        pooled_record([])


def voted(name: str, seed: int, **columns: Any) -> Predictions:
    """Predictions about 200 rows of 20 images."""
    made, rng = predictions(name, 200), np.random.default_rng(seed)
    images = np.stack([rng.permutation(20)[:2] for _ in range(200)])
    return replace(made, images=images, **columns)


def test_rows_that_share_images_say_so() -> None:
    record = metrics_record(voted("test", 0))
    assert record["images"] == 20
    assert all(each["images"] == 20 for each in record["metrics"].values())
    assert record["agreement"]["pairs"] == record["agreement"]["agreement"]["n"] > 10
    assert record["agreement"]["ceiling"]["value"] >= record["agreement"]["agreement"]["value"]
    assert not {"kinds", "ties", "undecided", "votes", "warnings"} & record.keys()


def test_what_one_rater_said_again_is_named_so() -> None:
    alone, votes = (metrics_record(voted("test", 0, **rater)) for rater in ({"rater": np.full(200, "Ada")}, {}))
    assert alone["agreement"] == votes["agreement"] | {"own": True}
    said, plain = ("\n".join(metrics_lines(metrics_of("test", each))) for each in (alone, votes))
    assert re.search(r"same vote again +\d+\.\d+%", said)
    assert "judged more than once by one rater" in said
    assert "no predictor exceeds the ceiling on one rater's votes" in said
    assert re.search(r"two votes agree +\d+\.\d+%", plain)
    assert "with ties, too" not in plain
    tie = np.arange(200) % 3 == 0
    tied = metrics_record(replace(voted("test", 0, tie=tie), y=np.where(tie, 0.5, np.arange(200) % 2)))
    ties, votes = tied["agreement"]["with_ties"], tied["agreement"]["agreement"]
    assert ties["n"] > votes["n"]
    assert re.search(rf"with ties, too +{100 * ties['value']:.2f}%", "\n".join(metrics_lines(metrics_of("test", tied))))


@pytest.mark.parametrize("ties", [False, True])
def test_files_with_and_without_ties_get_the_same_warnings(ties: bool) -> None:
    tie = np.arange(200) % 10 == 0 if ties else None
    y = np.arange(200) % 2 if tie is None else np.where(tie, 0.5, np.arange(200) % 2)
    side = 2 * (np.arange(200) % 2) - 1
    expected = ((52, 1.0, "no better than chance"), (85, 9.0, "probabilities no better"), (95, 1.0, None))
    for right, size, said in expected:
        logit = np.where(np.arange(200) % 100 < right, size, -size) * side
        record = metrics_record(replace(voted("test", 0, tie=tie), y=y, logit=logit))
        found = metrics_of("test", record).chance
        assert found is None if said is None else found is not None and found.startswith(said)


def test_a_network_that_expects_ties_is_not_blamed_where_there_are_none() -> None:
    side, right = 2 * (np.arange(200) % 2) - 1, np.arange(200) % 5 > 0
    for logit, warned in ((np.log(4), False), (9.0, True)):
        made = replace(voted("test", 0), y=np.arange(200) % 2, logit=np.where(right, logit, -logit) * side)
        found = metrics_of("test", metrics_record(replace(made, meta=made.meta | {"nu": 1.0})))
        assert found.metrics["log_loss"].value > np.log(2)
        assert (found.chance is not None) == warned


def test_ties_and_votes_are_counted() -> None:
    tie, weight = np.arange(200) % 10 == 0, np.full(200, 3.0)
    y = np.where(tie, 0.5, np.arange(200) % 2)
    record = metrics_record(replace(predictions("test", 200), y=y, tie=tie, weight=weight))
    assert (record["ties"], record["undecided"], record["votes"]) == (20, 20, 600)
    assert (record["metrics"]["accuracy"]["n"], record["metrics"]["log_loss"]["n"]) == (180, 200)
    assert np.sum(record["confusion"]) == 540


def test_rows_are_scored_apart_by_what_training_used() -> None:
    seen = np.stack([np.arange(200) % 4 == 0, np.arange(200) % 2 == 0], 1)
    made = voted("test", 1, seen=seen)
    record = metrics_record(made)
    assert list(record["kinds"]) == list(KINDS)
    assert [each["n"] for each in record["kinds"].values()] == [100, 50, 50]
    here = ~seen.any(1)
    assert made.y is not None
    assert made.images is not None
    apart = score(made.y[here], made.logit[here], images=made.images[here])["accuracy"].record()
    assert record["kinds"]["both unseen"]["metrics"]["accuracy"] == apart
    assert record["shared"] == {"images": len(np.unique(made.images[seen])), "rows": 100}
    (line,) = record["warnings"]
    assert line.startswith("data/test.npz: shares ")
    assert "100 of 200 rows" in line


def test_files_that_share_images_are_pooled_by_image() -> None:
    parts = [voted("first", 2), voted("second", 3)]
    assert pooled_record(parts)["images"] == 20
    # Images that are like no other stay apart in each file, and a file without recurring images has its own.
    alone = [replace(part, images=-1 - part.images) for part in parts if part.images is not None]
    assert pooled_record(alone)["images"] == 40
    assert pooled_record([parts[0], predictions("third", 30)])["images"] == 80


def test_what_the_training_warned_of_is_repeated() -> None:
    made = predictions("test", 20, warnings=["train.csv: every label is 1"])
    assert metrics_record(made)["warnings"] == ["train.csv: every label is 1"]


def test_a_model_of_ties_is_part_of_the_log_loss() -> None:
    tie = np.arange(200) % 4 == 0
    y = np.where(tie, 0.5, np.arange(200) % 2)
    plain, modelled = (replace(predictions("test", 200, **about), y=y, tie=tie) for about in ({}, {"nu": 0.7}))
    losses = [metrics_record(each)["metrics"]["log_loss"]["value"] for each in (plain, modelled)]
    assert modelled.y is not None
    assert losses[1] == pytest.approx(log_loss(modelled.y, modelled.logit, tie=tie, nu=0.7))
    assert losses[0] == pytest.approx(log_loss(modelled.y, modelled.logit, tie=tie))
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("right", "size", "line"),
    [
        (90, 1.0, None),
        (52, 1.0, r"no better than chance \(accuracy 52\.0%, interval 42\.3–61\.5, which includes 50%\); try more"),
        (20, 1.0, r"worse than chance \(.*\); see whether the table names the winner or the loser"),
        (
            80,
            9.0,
            r"probabilities no better than a constant prediction \(log-loss 1\.8001, constant 0\.6931\); try more",
        ),
    ],
)
def test_predictions_at_chance_are_said_to_be(right: int, size: float, line: str | None) -> None:
    y = np.arange(100) % 2
    found = score(y, np.where(np.arange(100) < right, size, -size) * (2 * y - 1))
    said = chance_warning(found["accuracy"], found["log_loss"].value, constant_log_loss())
    assert said is None if line is None else said is not None and re.fullmatch(f"{line}.*", said)


def test_a_constant_prediction_knows_the_share_of_ties() -> None:
    made = voted("test", 0, tie=np.arange(200) % 4 == 0)
    assert made.y is not None
    plain, modelled = (metrics_record(replace(made, meta=made.meta | {"nu": nu})) for nu in (0.0, 0.5))
    assert plain["constant_log_loss"] == constant_log_loss()
    probability = 0.25, 0.375, 0.375
    np.testing.assert_allclose(modelled["constant_log_loss"], -np.dot(probability, np.log(probability)))
    assert "constant_log_loss" not in metrics_record(voted("test", 0))
