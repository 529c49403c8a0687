import json
from typing import Any

import numpy as np
import pytest

from twinrank.errors import InputError
from twinrank.evaluation.metrics import confusion_matrix, score
from twinrank.evaluation.metrics_record import metrics_record, pooled_record, rows_in_words
from twinrank.evaluation.predictions import Predictions


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
        assert record["metrics"][name] == vars(estimate)


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
