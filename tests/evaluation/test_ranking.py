from dataclasses import replace

import numpy as np
import pytest

from twinrank.errors import InputError
from twinrank.evaluation.entrants import load_entrants, save_entrants
from twinrank.evaluation.labelled_rows import LabelledRows, joined
from twinrank.evaluation.metrics import score
from twinrank.evaluation.ranking import Entrant, Kind, rank

FILES = {"val": 600, "test_public": 300, "test_private": 700}


def field(
    skills: dict[str, float], kinds: dict[str, Kind] | None = None
) -> tuple[list[Entrant], dict[str, LabelledRows]]:
    """Entrants whose logits are the truth with noise."""
    random = np.random.default_rng(0)
    truth = {stem: random.normal(size=n) for stem, n in FILES.items()}
    labels = {
        stem: LabelledRows(np.arange(len(each)).astype(str), (each > 0).astype(np.int8)) for stem, each in truth.items()
    }
    entrants = [
        Entrant(
            name,
            (kinds or {}).get(name, "model"),
            "pairs-only",
            100,
            1.0,
            None,
            {stem: skill * each + random.normal(size=len(each)) for stem, each in truth.items()},
        )
        for name, skill in skills.items()
    ]
    return entrants, labels


def test_the_best_on_the_file_that_ranks_is_first_and_tests_show_ties() -> None:
    board = rank(*field({"poor": 0.2, "good": 3.0, "twin": 3.0, "fair": 1.0}), "val")
    values = [row.metrics["val"]["accuracy"].value for row in board.rows]
    assert values == sorted(values, reverse=True)
    assert {row.entrant.name for row in board.rows if row.tied} == {"good", "twin"}
    assert board.rows[0].against_first is None
    assert all(row.adjusted is not None and row.adjusted >= row.against_first.p for row in board.rows[1:])  # pyright: ignore[reportOptionalMemberAccess]
    assert (board.compared_on, board.n) == ("test_public + test_private", 1000)
    assert board.rows[0].metrics["tests"]["accuracy"].n == 1000
    assert board.detectable is not None
    assert 0 < board.detectable < 0.1


def test_tests_never_rank() -> None:
    entrants, labels = field({"first": 1.0, "second": 1.2})
    for each in entrants:
        each.logits["val"] = entrants[0].logits["val"].copy()
    entrants[0].logits["test_private"] *= -1
    assert rank(entrants, labels, "val").rows[0].entrant.name == "first", "among equals in the order given"


def test_ensembles_are_compared_with_the_best_model_by_the_file_that_ranks() -> None:
    board = rank(*field({"model": 1.0, "weak": 0.3, "mean": 3.0}, {"mean": "ensemble"}), "val")
    assert (board.best_model, board.decided_on) == ("model", "test_private")
    found = {row.entrant.name: row.against_best_model for row in board.rows}
    assert found["model"] is not None
    assert found["mean"] is not None
    assert found["model"].p == 1
    assert found["mean"].p < 0.01
    assert found["mean"].second_alone > found["mean"].first_alone


def test_shared_resamples_give_what_each_alone_gives() -> None:
    entrants, labels = field({"one": 1.0, "two": 2.0})
    board = rank(entrants, labels, "val")
    alone = score(labels["val"].y, entrants[0].logits["val"], draws=2000)
    found = next(row for row in board.rows if row.entrant.name == "one").metrics["val"]
    for name, estimate in alone.items():
        assert (found[name].low, found[name].value, found[name].high) == pytest.approx(
            (estimate.low, estimate.value, estimate.high)
        )


def test_one_alone_and_none_and_one_who_was_absent() -> None:
    entrants, labels = field({"only": 1.0})
    board = rank(entrants, labels, "val")
    assert board.rows[0].tied
    assert board.detectable is None
    with pytest.raises(InputError, match="nobody to rank"):
        rank([], labels, "val")
    del entrants[0].logits["test_private"]
    with pytest.raises(InputError, match="only: has not been evaluated on test_private"):
        rank(entrants, labels, "val")


def test_logits_of_entrants_are_stored(tmp_path) -> None:
    entrants, labels = field({"one": 1.0, "two": 2.0}, {"two": "ensemble"})
    labels["val"] = replace(labels["val"], weight=np.full(600, 2, np.float32), images=np.arange(1200).reshape(-1, 2))
    save_entrants(tmp_path / "entrants.npz", entrants, labels)
    again, rows = load_entrants(tmp_path / "entrants.npz")
    assert list(rows) == list(FILES)
    assert np.array_equal(rows["val"].images, labels["val"].images)  # pyright: ignore[reportArgumentType]
    assert rows["val"].weight is not None
    assert rows["test_public"].judged == {"images": None, "tie": None, "weight": None}
    assert [(each.name, each.kind, each.milliseconds) for each in again] == [
        ("one", "model", None),
        ("two", "ensemble", None),
    ]
    assert np.array_equal(again[1].logits["val"], entrants[1].logits["val"].astype(np.float32))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="not the entrants of a stack"):
        load_entrants(tmp_path / "other.npz")


def test_entrants_are_compared_over_images_and_votes() -> None:
    entrants, labels = field({"one": 1.0, "two": 2.0})
    random = np.random.default_rng(0)
    shared = {stem: replace(rows, images=random.integers(0, 40, (len(rows.y), 2))) for stem, rows in labels.items()}
    board = rank(entrants, shared, "val")
    test = board.rows[1].against_first
    assert test is not None
    assert test.test == "bootstrap over images"
    assert board.rows[0].metrics["tests"]["accuracy"].interval == "image bootstrap 95%"
    ties = {stem: np.arange(len(rows.y)) % 3 == 0 for stem, rows in labels.items()}
    tied = {
        stem: replace(rows, y=np.where(ties[stem], 0.5, rows.y).astype(np.float32), tie=ties[stem])
        for stem, rows in labels.items()
    }
    assert rank(entrants, tied, "val").rows[0].metrics["val"]["accuracy"].n == 400


def test_an_image_like_no_other_in_its_file_is_none_of_another_file() -> None:
    ids, y = np.array(["0", "1"]), np.array([1, 0])
    blank, numbered = np.array([[-1, 5], [6, 7]]), np.array([[-1, 8], [9, 6]])
    parts = [LabelledRows(ids, y, images) for images in (blank, numbered, None)]
    images = joined(parts).images
    assert images is not None
    # Only image 6 is in two files.
    assert len(np.unique(images)) == 2 * 6 - 1
