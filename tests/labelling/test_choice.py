"""The choice of pairs on a page to judge on, and what the judgements say so far."""

from collections import Counter
from pathlib import Path

import numpy as np

from twinrank.labelling.choice import Choice, Components, Shares
from twinrank.labelling.standings import as_comparisons, standings, verdict
from twinrank.labelling.storage import Shown
from twinrank.workflows.label import Scoring

NAMES = [f"{number:02}.png" for number in range(30)]


def chosen(choice: Choice, count: int, raters: tuple[str, ...] = ("Ada",), outcome: str = "left") -> list[Shown]:
    """Pairs that a choice gives and that are answered at once, from its own last number on."""
    rows = []
    for step in range(count):
        left, right, drawn = choice.next(raters[step % len(raters)])
        number = len(choice.rows)
        row = Shown(number, NAMES[left], NAMES[right], drawn, raters[step % len(raters)], None, False)
        choice.note(row)
        row = Shown(**{**row.__dict__, "outcome": outcome})
        choice.note(row)
        rows.append(row)
    return rows


def test_all_images_are_covered_and_connected_first() -> None:
    choice = Choice(NAMES, [], Shares(again=0, random=0), seed=1)
    rows = chosen(choice, len(NAMES) // 2)
    assert choice.covered == len(NAMES)
    assert choice.used.max() == 1
    rows += chosen(choice, len(NAMES) // 2 - 1)
    assert choice.components.count == 1
    assert {row.drawn for row in rows} == {"to cover"}
    left = Choice(NAMES, rows, Shares(again=0, random=0), seed=2)
    left.tells_most([(3, 7)])
    (row,) = chosen(left, 1)
    assert (row.drawn, left.pair(row)) == ("for its gain", (3, 7))


def test_shares_are_what_was_asked_for() -> None:
    choice = Choice(NAMES, [], Shares(again=0.2, random=0.5), seed=3)
    rows = chosen(choice, 400, ("Ada", "Bo", "Cy"))
    drawn = Counter(row.drawn for row in rows)
    assert 0.14 < drawn["again"] / len(rows) < 0.24
    assert 0.4 < drawn["at random"] / (len(rows) - drawn["again"]) < 0.6
    lower = sum(row.left < row.right for row in rows)
    assert 0.42 < lower / len(rows) < 0.58
    again = [row for row in rows if row.drawn == "again"]
    assert all(
        any(choice.pair(other) == choice.pair(row) for other in rows[: row.id] if other.rater != row.rater)
        for row in again
    )


def test_an_image_that_is_always_skipped_holds_nobody_up() -> None:
    choice = Choice(NAMES, [], Shares(again=0, random=0), seed=4)
    for _ in range(60):
        left, right, drawn = choice.next("Ada")
        bad = NAMES[5] in (NAMES[left], NAMES[right])
        row = Shown(len(choice.rows), NAMES[left], NAMES[right], drawn, "Ada", None, False)
        choice.note(row)
        choice.note(Shown(**{**row.__dict__, "outcome": "skip" if bad else "left"}))
    assert choice.aside == {5}
    assert choice.components.count == 1


def test_undone_answers_do_not_connect() -> None:
    choice = Choice(NAMES, [], Shares(again=0, random=0), seed=5)
    (row,) = chosen(choice, 1)
    assert choice.components.count == choice.linked.count == len(NAMES) - 1
    choice.note(Shown(**{**row.__dict__, "undone": True}))
    assert choice.components.count == choice.linked.count == len(NAMES)
    left, right, drawn = choice.next("Ada")
    shown = Shown(5, NAMES[left], NAMES[right], drawn, "Ada", None, False)
    choice.note(shown)
    # A pair that waits for its answer is not chosen again, and links nothing yet.
    assert (choice.components.count, choice.linked.count) == (len(NAMES) - 1, len(NAMES))
    choice.note(Shown(**{**shown.__dict__, "outcome": "tie"}))
    assert choice.linked.count == len(NAMES) - 1
    assert not Components(2).join(1, 1)


def test_standings_say_how_far_people_agree() -> None:
    """Two raters who agree, and one of them judges each pair twice; then one who always says the opposite."""
    rng = np.random.default_rng(0)
    pairs = [tuple(np.sort(rng.choice(12, 2, replace=False)).tolist()) for _ in range(60)]
    scoring = Scoring.of(Path(), 12, ())

    def said(rater: str, flipped: bool | None, first: int) -> list[Shown]:
        wins = "tie" if flipped is None else "right" if flipped else "left"
        return [
            Shown(first + at, NAMES[low], NAMES[high], "to cover", rater, wins, False)
            for at, (low, high) in enumerate(pairs)
        ]

    alike = standings(
        as_comparisons(said("Ada", False, 0) + said("Ada", False, 60) + said("Bo", False, 120), NAMES[:12]), scoring
    )
    assert alike.raters_agree is not None
    assert alike.raters_repeat is not None
    assert alike.raters_agree.value == alike.raters_repeat.value == 1
    assert np.corrcoef(alike.scores.rank, np.arange(12))[0, 1] > 0.9
    assert "of all pairs stand in the right order now" in verdict(alike)
    against = standings(as_comparisons(said("Ada", False, 0) + said("Bo", True, 60), NAMES[:12]), scoring)
    assert against.raters_agree is not None
    assert against.raters_agree.value == 0
    assert against.sure_neighbours <= alike.sure_neighbours
    equal = standings(as_comparisons(said("Ada", False, 0) + said("Ada", None, 60), NAMES[:12]), scoring)
    assert equal.raters_repeat is not None
    assert equal.raters_repeat.value < 0.3  # Pairs that were drawn twice are answered alike there.
